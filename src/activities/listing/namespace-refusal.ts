import type { TableFailure } from '../../contract/job.ts';
import { namespaceText } from '../options/destination.ts';
import { describeError } from '../runtime/failures.ts';
import type { RefusedNamespace } from './walk-namespaces.ts';

/** In characters: the message becomes part of a workflow's history. */
const MAX_MESSAGE_LENGTH = 1_000;

/** A namespace that may not be listed, as a failure of the job. */
export function namespaceRefusal({ path, error }: RefusedNamespace): TableFailure {
  const { code, message } = describeError(error);
  return {
    table: `namespace ${namespaceText(path)}`,
    code,
    message: message.slice(0, MAX_MESSAGE_LENGTH),
    failedAtMs: Date.now(),
  };
}
