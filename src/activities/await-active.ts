import { activityInfo, heartbeat } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import type { JobRecord } from '../contract/activities.ts';
import { CONNECTOR_PAUSED } from '../contract/names.ts';
import { recordJob } from './record-job.ts';
import { activeConnector, isPaused } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';

/**
 * Returns when the connector is active. While it is paused, this fails with CONNECTOR_PAUSED and is retried by Temporal for as long as it
 * takes, which costs no history. The first attempt records that the job is paused.
 */
export async function awaitActive(
  deps: ActivityDeps,
  input: { connectorId: string; record: JobRecord },
): Promise<void> {
  if (activityInfo().heartbeatDetails === undefined) {
    await recordJob(deps, input.record);
    heartbeat('recorded');
  }
  try {
    await activeConnector(deps, input.connectorId);
  } catch (error) {
    if (!isPaused(error)) throw error;
    throw ApplicationFailure.create({
      type: CONNECTOR_PAUSED,
      message: 'The connector is paused; this waits until it is resumed.',
      category: ApplicationFailureCategory.BENIGN,
    });
  }
}
