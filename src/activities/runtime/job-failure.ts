import type { TableFailure } from '../../contract/job.ts';
import { truncate } from '../../text.ts';
import type { describeError } from './failures.ts';

/** In characters: the message becomes part of a workflow's history. */
const MAX_MESSAGE_LENGTH = 1_000;

/** What failed now, as a job's outcome and record have it. */
export function jobFailure(table: string, { code, message }: ReturnType<typeof describeError>): TableFailure {
  return { table, code, message: truncate(message, MAX_MESSAGE_LENGTH), failedAtMs: Date.now() };
}
