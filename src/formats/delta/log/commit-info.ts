import { truncate } from '../../../text.ts';
import { losslessJson, parseLosslessJson } from '../../json/lossless-json.ts';
import { MalformedError } from '../../malformed.ts';

/** What a version's commit says of itself (Delta protocol, "Commit Provenance Information"). Everything in it is optional. */
export interface CommitInfo {
  /** As the writer states it; empty if it does not. */
  operation: string;
  summary: Record<string, string>;
  /** Milliseconds since 1970. */
  inCommitTimestamp?: number;
}

/** Fields that are taken over; the values in those that are objects become entries of their own. */
const FIELDS = [
  'operationMetrics',
  'operationParameters',
  'engineInfo',
  'userName',
  'userId',
  'isBlindAppend',
  'isolationLevel',
  'readVersion',
  'userMetadata',
  'txnId',
] as const;
/** In characters. Statements of thousands of characters are among the parameters. */
const MAX_VALUE = 1_000;
const MAX_SUMMARY = 4_000;

/** The line's text is longer than anything that is shown of it: it would only take memory. */
const MAX_LINE = 1024 * 1024;

export const NO_COMMIT_INFO: CommitInfo = { operation: '', summary: {} };

/**
 * Reads `{"commitInfo":{…}}`. Its values may be of any type: all are texts in the summary, which has a few KB at most.
 *
 * @throws MalformedError if the line is not JSON
 */
export function commitInfo(line: string): CommitInfo {
  if (line.length > MAX_LINE) return largeCommitInfo(line);
  const { commitInfo: fields } = parseLosslessJson(line) as { commitInfo?: unknown };
  return infoOf(fields);
}

/** Only the head of a large action is read: the operation and the time, which writers put first. */
function largeCommitInfo(line: string): CommitInfo {
  const head = line.slice(0, 4096);
  const [, operation = ''] = /"operation"\s*:\s*"([^"\\]{0,200})"/.exec(head) ?? [];
  const time = /"inCommitTimestamp"\s*:\s*(\d{1,15})\b/.exec(head)?.[1];
  return {
    operation,
    summary: {},
    ...(time !== undefined && { inCommitTimestamp: Number(time) }),
  };
}

function infoOf(value: unknown): CommitInfo {
  if (value === null || value === undefined) return NO_COMMIT_INFO;
  if (typeof value !== 'object') throw new MalformedError('the action commitInfo is not an object');
  const fields = value as Record<string, unknown>;
  const { operation, inCommitTimestamp } = fields;
  const isTime = typeof inCommitTimestamp === 'number' && Number.isSafeInteger(inCommitTimestamp);
  return {
    operation: typeof operation === 'string' ? truncate(operation, MAX_VALUE) : '',
    summary: summaryOf(fields),
    ...(isTime && { inCommitTimestamp }),
  };
}

function summaryOf(fields: Record<string, unknown>): Record<string, string> {
  const summary: Record<string, string> = Object.create(null);
  let length = 0;
  const put = (key: string, value: unknown) => {
    if (value === null || value === undefined) return;
    const text = truncate(typeof value === 'string' ? plainText(value) : losslessJson(value), MAX_VALUE);
    length += key.length + text.length;
    if (length <= MAX_SUMMARY) summary[key] = text;
  };
  for (const name of FIELDS) {
    const value = fields[name];
    if (typeof value !== 'object' || value === null || Array.isArray(value)) put(name, value);
    else for (const [key, inner] of Object.entries(value)) put(`${name}.${truncate(key, 100)}`, inner);
  }
  return summary;
}

/** The digits of a long integer (see `parseLosslessJson`), otherwise the text itself. */
const plainText = (value: string) => losslessJson(value).replace(/^"[\s\S]*"$/, () => value);
