import type { CodeName } from '../../errors.ts';
import { PolicyError } from '../../policy/policy-error.ts';
import { describeError } from '../runtime/failures.ts';

const WRONG: Partial<Record<string, string>> = {
  UNAUTHENTICATED: 'The credentials are rejected',
  PERMISSION_DENIED: 'A permission is missing',
  UNAVAILABLE: 'The address does not respond',
  DEADLINE_EXCEEDED: 'The address does not respond in time',
  RESOURCE_EXHAUSTED: 'The upstream asks to slow down',
  NOT_FOUND: 'The address or the warehouse does not exist',
  INVALID_ARGUMENT: 'The connector is configured wrongly',
  FAILED_PRECONDITION: 'The connector cannot be opened as it is',
  UNIMPLEMENTED: 'This upstream cannot be read',
};

/** The part of the connector that is wrong, and the error's message. */
export function whatIsWrong(error: unknown): string {
  const { code, message } = describeError(error);
  if (error instanceof PolicyError) return `The policy of the worker refuses it: ${message}`;
  return `${WRONG[code] ?? code}: ${message}`;
}

/** Whether the error probably holds for all tables, because the connector or the storage causes it and not the table. */
export function isAccessError(error: unknown): boolean {
  return ACCESS.has(describeError(error).code);
}

const ACCESS: ReadonlySet<string> = new Set<CodeName>([
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
  'INVALID_ARGUMENT',
  'FAILED_PRECONDITION',
  'UNIMPLEMENTED',
]);
