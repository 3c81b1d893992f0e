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
 * Lets each attempt of the job's only step time out, which no worker takes, until one is waiting when `isOver` returns true.
 *
 * The server counts what holds its time: the test, unless it waits, and each step from when it is scheduled, whether a worker takes it or
 * not. The test lets go of it here, and `sleep` also takes the hold of the step away.
 *
 * @returns false if the job has ended before
 */
export async function passUnserved(
  { temporal }: ReconcileEnvironment,
  handle: WorkflowHandle,
  step: ActivityName,
  isOver: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const { testService } = temporal.connection;
  let scheduledMs = await scheduled(handle, step);
  await testService?.unlockTimeSkipping({});
  try {
    while (scheduledMs !== undefined && !(await isOver())) {
      const last: number = scheduledMs;
      await temporal.sleep(Math.max(0, last + UNSERVED_AFTER_MS - (await temporal.currentTimeMs())) + 10);
      scheduledMs = await scheduled(handle, step, last);
    }
    return scheduledMs !== undefined;
  } finally {
    await testService?.lockTimeSkipping({});
  }
}

/** Waits until the step is in its queue, later than an earlier attempt. @returns when it was scheduled; undefined if the job has ended */
async function scheduled(handle: WorkflowHandle, step: ActivityName, afterMs = 0): Promise<number | undefined> {
  for (;;) {
    const { raw, status } = await handle.describe();
    if (status.name !== 'RUNNING') return undefined;
    const pending = raw.pendingActivities?.find(({ activityType }) => activityType?.name === step);
    const { seconds = 0, nanos = 0 } = pending?.scheduledTime ?? {};
    const scheduledMs = Number(seconds) * 1_000 + Math.floor((nanos ?? 0) / 1e6);
    if (scheduledMs > afterMs) return scheduledMs;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
