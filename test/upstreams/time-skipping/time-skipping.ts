import type { WorkflowHandle } from '@temporalio/client';
import { SearchAttributeType } from '@temporalio/common';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../../../src/contract/search-attributes.ts';
import { ReconcileEnvironment } from '../../workflows/reconcile/reconcile-environment.ts';
import type { ActivityName } from '../../workflows/reconcile/stub-upstream.ts';
import { startTemporalTestServer } from '../servers/temporal-test-server.ts';

const { INDEXED_VALUE_TYPE_BOOL, INDEXED_VALUE_TYPE_KEYWORD } = proto.temporal.api.enums.v1.IndexedValueType;
const TYPES = {
  [SearchAttributeType.KEYWORD]: INDEXED_VALUE_TYPE_KEYWORD,
  [SearchAttributeType.BOOL]: INDEXED_VALUE_TYPE_BOOL,
};

/**
 * The built workflows with stub activities on a server that skips time: to the next timer while a test waits for a result, and by `sleep`.
 * Time stands still while an activity runs.
 */
export async function startTimeSkipping(): Promise<ReconcileEnvironment> {
  const temporal = await startTemporalTestServer();
  const types = Object.values(SEARCH_ATTRIBUTES).map(({ name, type }) => [name, TYPES[type]]);
  await temporal.connection.operatorService.addSearchAttributes({
    namespace: 'default',
    searchAttributes: Object.fromEntries(types),
  });
  return ReconcileEnvironment.on(temporal);
}

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;

/** As `scheduleToStartTimeout` of the steps that read an upstream. */
const UNSERVED_AFTER_MS = 5 * MINUTE_MS;

/**
 * Lets the job's only step time out, which no worker takes. The server's time stands still from when a step is scheduled, whether a worker
 * takes it or not: it counts what holds it, so one hold is lifted meanwhile.
 *
 * @returns false if the job has ended
 */
export async function timeOutUnserved(
  { temporal }: ReconcileEnvironment,
  handle: WorkflowHandle,
  step: ActivityName,
): Promise<boolean> {
  const { testService } = temporal.connection;
  if (!(await untilScheduled(handle, step))) return false;
  await testService?.unlockTimeSkipping({});
  try {
    await temporal.sleep(UNSERVED_AFTER_MS + 1_000);
  } finally {
    await testService?.lockTimeSkipping({});
  }
  return true;
}

/** Waits until the step is in its queue. @returns false if the job has ended */
export async function untilScheduled(handle: WorkflowHandle, step: ActivityName): Promise<boolean> {
  for (;;) {
    const { raw, status } = await handle.describe();
    if (status.name !== 'RUNNING') return false;
    if (raw.pendingActivities?.some(({ activityType }) => activityType?.name === step)) return true;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
