import { activityInfo, CancelledFailure, cancellationDetails } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { workerContext } from './worker-context.ts';

/** The type of the failure of an activity that a person has paused. */
const PAUSED = 'ActivityPause';

/**
 * To be called at the end of a slice after which more is to be done. A person may have paused the activity in Temporal since its last
 * heartbeat: then it must not complete, since the next slice would be another activity, which nobody has paused.
 *
 * @throws ApplicationFailure ActivityPause, after which the server keeps the activity until a person unpauses it
 */
export async function throwIfPaused(): Promise<void> {
  const { workflowExecution, activityId } = activityInfo();
  const { isActivityPaused } = workerContext();
  if (!workflowExecution || !(await isActivityPaused?.({ ...workflowExecution, activityId }))) return;
  throw ApplicationFailure.create({
    ...{ type: PAUSED, message: 'Activity paused', category: ApplicationFailureCategory.BENIGN },
  });
}

/** Whether an activity ends with this error because a person has paused or reset it: the server runs it again, with its last heartbeat. */
export function isStoppedByPerson(error: unknown): boolean {
  if (error instanceof ApplicationFailure) return error.type === PAUSED;
  const { paused, reset } = cancellationDetails() ?? {};
  return error instanceof CancelledFailure && Boolean(paused || reset);
}
