import { CommitSnapshotRequest } from '../../generated/reconciler/internal/v1/ingestion.ts';
import { PutFileColumnStatsRequest } from '../../generated/reconciler/v1/statistics.ts';
import { CHANGES, REQUEST } from '../../wire/file-change-tags.ts';
import { MalformedMessage, WireReader } from '../../wire/reader.ts';
import { invalid } from '../rpc/violations.ts';
import type { ParsedChange } from '../store/files/file-change-row.ts';
import { FileChangeParser } from './decode-file-change.ts';

type Oneof = NonNullable<CommitSnapshotRequest['request']>;
type Header = Extract<Oneof, { $case: 'header' }>['value'];
type Finish = Extract<Oneof, { $case: 'finish' }>['value'];

/** One message of a stream that commits a snapshot. File changes are parsed when they are needed. */
export type CommitMessage =
  | { case: 'header'; header: Header }
  | { case: 'finish'; finish: Finish }
  | { case: 'groupFinish'; group: string }
  | {
      case: 'changes';
      count: number;
      /** The size of the whole message in bytes. */
      size: number;
      parse(from: number, to: number): ParsedChange[];
    };

/** Reads the messages of a stream. @param read reads one: what a header and a finish may contain depends on the RPC */
export async function* readMessages(
  requests: AsyncIterable<Uint8Array>,
  read: (bytes: Uint8Array) => CommitMessage,
): AsyncGenerator<CommitMessage> {
  for await (const bytes of requests) yield read(bytes);
}

/**
 * Reads one message of an Ingestion.CommitSnapshot stream. File changes are decoded later, when they are written, and then only as far as
 * the store needs: each file's message is stored as received.
 *
 * @throws InvalidRequest
 */
export function readCommitMessage(bytes: Uint8Array): CommitMessage {
  return readMessage(bytes, () => {
    const { request } = CommitSnapshotRequest.decode(bytes);
    if (request?.$case === 'header') return { case: 'header', header: request.value };
    if (request?.$case === 'finish') return { case: 'finish', finish: request.value };
    if (request?.$case === 'groupFinish') return { case: 'groupFinish', group: request.value.group };
    return undefined;
  });
}

/** Reads one message of a TableStatistics.PutFileColumnStats stream, which has fewer fields and no groups. @throws InvalidRequest */
export function readPutMessage(bytes: Uint8Array): CommitMessage {
  return readMessage(bytes, () => {
    const { request } = PutFileColumnStatsRequest.decode(bytes);
    if (request?.$case === 'header') return { case: 'header', header: { ...request.value, whole: false } };
    if (request?.$case === 'finish') return { case: 'finish', finish: { ...request.value, groups: [] } };
    return undefined;
  });
}

function readMessage(bytes: Uint8Array, decode: () => CommitMessage | undefined): CommitMessage {
  let message: CommitMessage | undefined;
  try {
    const slices = changeSlices(bytes);
    message = slices ? changesMessage(bytes, slices) : decode();
  } catch (error) {
    throw invalid('request', `is malformed: ${(error as Error).message}`);
  }
  if (message) return message;
  throw invalid('request', 'is required: a header, changes or a finish');
}

function changesMessage(bytes: Uint8Array, slices: number[]): CommitMessage {
  const parser = new FileChangeParser(bytes);
  return {
    case: 'changes',
    count: slices.length / 2,
    size: bytes.length,
    parse(from, to) {
      const changes: ParsedChange[] = [];
      for (let index = from; index < to; index += 1) {
        const [start, end] = [slices[index * 2] as number, slices[index * 2 + 1] as number];
        changes.push(parser.parse(start, end, index));
      }
      return changes;
    },
  };
}

/** Starts and ends of the FileChange messages; undefined if the message holds something else. */
function changeSlices(bytes: Uint8Array): number[] | undefined {
  const reader = new WireReader(bytes);
  const end = bytes.length;
  let slices: number[] | undefined;
  let others = 0;
  while (reader.position < end) {
    const tag = reader.tag(end);
    if (tag !== REQUEST.changes) {
      others += 1;
      reader.skip(tag, end);
      continue;
    }
    slices ??= [];
    const stop = reader.lengthEnd(end);
    while (reader.position < stop) {
      const inner = reader.tag(stop);
      if (inner !== CHANGES.change) {
        reader.skip(inner, stop);
        continue;
      }
      const changeEnd = reader.lengthEnd(stop);
      slices.push(reader.position, changeEnd);
      reader.position = changeEnd;
    }
  }
  if (slices && others > 0) throw new MalformedMessage('it holds file changes and something else');
  return slices;
}
