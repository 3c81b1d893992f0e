import { CLOSE_OBJECT, startsWith } from '../../json/json-bytes.ts';
import { MalformedError } from '../../malformed.ts';
import type { AddAction, MetadataAction, ProtocolAction, RemoveAction } from '../actions.ts';
import { type CommitInfo, commitInfo } from './commit-info.ts';
import { lineEnd, parseLine, type ReadBytes, readLines } from './json-lines.ts';
import {
  addAction,
  type DomainAction,
  domainAction,
  fieldsOf,
  metadataAction,
  protocolAction,
  removeAction,
  type SidecarAction,
  sidecarAction,
} from './log-actions.ts';

/** The actions of a commit or JSON checkpoint that are not about files. The order of actions in a commit means nothing. */
export interface SmallActions {
  info?: CommitInfo;
  metadata?: MetadataAction;
  protocol?: ProtocolAction;
  domains: DomainAction[];
  sidecars: SidecarAction[];
  /** Numbers of lines about files. */
  files: FileLines;
  /** Where the lines of the metadata and the protocol are in what was read. */
  metadataLine?: LineRange;
  protocolLine?: LineRange;
}

export interface FileLines {
  adds: number;
  removes: number;
  /** Whether the first add brings rows into the table: others add live files again, with other statistics. */
  addsRows: boolean;
}

/** The bytes of a line. */
export interface LineRange {
  start: number;
  end: number;
}

/** A range of bytes; see `readLines`. */
export interface LinesRange {
  from?: number;
  to?: number;
  signal?: AbortSignal;
}

export type FileAction = AddAction | RemoveAction;

/** File actions of a commit. */
export interface ActionChunk {
  actions: FileAction[];
  /** Position in the commit after them. */
  end: number;
}

/** How lines of file actions begin that writers write. */
const USUAL_ADD = Buffer.from('{"add":{');
const USUAL_REMOVE = Buffer.from('{"remove":{');
/** Lines of file actions are not parsed for the others. They hold one action (Delta protocol, "Delta Log Entries"). */
const FILE_ACTION = /^\s*\{\s*"(?:add|remove|cdc|txn)"\s*:\s*\{/;

/**
 * Reads the actions of a JSON file of the log that are not about files. Unknown actions and fields are ignored (Delta protocol, "Protocol Evolution").
 *
 * @throws MalformedError that contains the line
 */
export async function readSmallActions(read: ReadBytes, signal?: AbortSignal): Promise<SmallActions> {
  const found = noSmallActions();
  for await (const chunk of readLines(read, { signal })) {
    const { bytes } = chunk;
    let number = chunk.before;
    for (let start = 0, end = 0; start < bytes.length; start = end + 1) {
      end = lineEnd(bytes, start);
      number++;
      // Most lines are these, and nothing is made of them.
      if (bytes[end - 1] === CLOSE_OBJECT) {
        if (startsWith(bytes, start, USUAL_REMOVE)) {
          found.files.removes++;
          continue;
        }
        if (startsWith(bytes, start, USUAL_ADD) && found.files.adds > 0) {
          found.files.adds++;
          continue;
        }
      }
      const line = bytes.toString('utf8', start, end);
      if (isBlank(line)) continue;
      countFile(found.files, line);
      try {
        if (!FILE_ACTION.test(line))
          takeAction(found, line, { start: chunk.position(start), end: chunk.position(end) });
        else if (!line.trimEnd().endsWith('}')) throw new MalformedError('it ends in the middle of an action');
      } catch (error) {
        throw inLine(number, error);
      }
    }
  }
  return found;
}

export const noSmallActions = (): SmallActions => ({
  domains: [],
  sidecars: [],
  files: { adds: 0, removes: 0, addsRows: true },
});

function countFile(files: FileLines, line: string): void {
  const [, action] = /^\s*\{\s*"(add|remove)"\s*:\s*\{/.exec(line) ?? [];
  if (action === 'remove') files.removes++;
  if (action === 'add' && ++files.adds === 1) files.addsRows = /"dataChange"\s*:\s*true\b/.test(line);
}

function takeAction(found: SmallActions, line: string, at: LineRange): void {
  if (/^\s*\{\s*"commitInfo"/.test(line)) {
    found.info = commitInfo(line);
    return;
  }
  const action = parseLine(line);
  const metadata = fieldsOf(action.metaData, 'metaData');
  if (metadata) [found.metadata, found.metadataLine] = [metadataAction(metadata), at];
  const protocol = fieldsOf(action.protocol, 'protocol');
  if (protocol) [found.protocol, found.protocolLine] = [protocolAction(protocol), at];
  const domain = fieldsOf(action.domainMetadata, 'domainMetadata');
  if (domain) found.domains.push(domainAction(domain));
  const sidecar = fieldsOf(action.sidecar, 'sidecar');
  if (sidecar) found.sidecars.push(sidecarAction(sidecar));
}

/** What takes the file actions of a commit. */
export interface FileActionTarget {
  /** Takes the line between two positions as it is. @returns false if the line has to be parsed */
  line?(bytes: Buffer, start: number, end: number): boolean;
  action(action: FileAction): void;
}

/**
 * Reads the file actions whose lines begin in a range of a commit (see `readLines`), in the order of the lines. Yields the positions up to which the
 * target has them.
 *
 * @throws MalformedError that contains the line, LimitError
 */
export async function* passFileActions(
  read: ReadBytes,
  target: FileActionTarget,
  range: LinesRange = {},
): AsyncGenerator<number> {
  for await (const { bytes, before, end: position } of readLines(read, range)) {
    let number = before;
    for (let start = 0, end = 0; start < bytes.length; start = end + 1) {
      end = lineEnd(bytes, start);
      number++;
      try {
        if (!target.line?.(bytes, start, end)) takeFileActions(bytes.toString('utf8', start, end), target);
      } catch (error) {
        throw range.from ? error : inLine(number, error);
      }
    }
    yield position;
  }
}

/** The same, as actions: about a thousand at a time. */
export async function* readFileActions(read: ReadBytes, range: LinesRange = {}): AsyncGenerator<ActionChunk> {
  let actions: FileAction[] = [];
  const target: FileActionTarget = { action: (action) => actions.push(action) };
  for await (const end of passFileActions(read, target, range)) {
    yield { actions, end };
    actions = [];
  }
}

function takeFileActions(line: string, target: FileActionTarget): void {
  if (isBlank(line)) return;
  const parsed = parseLine(line);
  const add = fieldsOf(parsed.add, 'add');
  if (add) target.action(addAction(add));
  const remove = fieldsOf(parsed.remove, 'remove');
  if (remove) target.action(removeAction(remove));
}

const isBlank = (line: string) => line.length <= 2 && line.trim() === '';

function inLine(line: number, error: unknown): unknown {
  return error instanceof MalformedError ? new MalformedError(`line ${line}: ${error.message}`) : error;
}
