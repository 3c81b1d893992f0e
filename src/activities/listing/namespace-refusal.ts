import type { TableFailure } from '../../contract/job.ts';
import { namespaceText } from '../options/destination.ts';
import { describeError } from '../runtime/failures.ts';
import { jobFailure } from '../runtime/job-failure.ts';
import type { RefusedNamespace } from './walk-namespaces.ts';

/** A namespace that may not be listed, as a failure of the job. */
export function namespaceRefusal({ path, error }: RefusedNamespace): TableFailure {
  return jobFailure(`namespace ${namespaceText(path)}`, describeError(error));
}
