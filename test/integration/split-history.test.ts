import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { type JobRun, jobRuns } from '../synthetic/job-runs.ts';
import { SyntheticStack } from '../synthetic/synthetic-stack.ts';

/** Each table's snapshot comes in so many groups. */
const FILES = 64;
const TABLES = 8;
/** Temporal's own limit is 4,096. */
const SUGGESTED_EVENTS = 150;
/** What may still come: eight in flight, each with three events of its own and three of a workflow task; the last record. */
const IN_FLIGHT_EVENTS = 8 * 6 + 20;

let stack: SyntheticStack;
beforeAll(async () => {
  stack = await SyntheticStack.start({
    settings: [`limit.historyCount.suggestContinueAsNew=${SUGGESTED_EVENTS}`],
    splitSize: { above: 1, group: 1 },
  });
}, 180_000);
afterAll(() => stack?.[Symbol.asyncDispose]());

it('tables that are split side by side leave to the next run what the history has no room for', async () => {
  const uri = stack.upstream('split', { tables: TABLES, namespaces: 1, files: FILES });
  const connectorId = await stack.connect('split', uri);
  const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
  expect(await stack.ended(jobId)).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: {
      tablesScanned: BigInt(TABLES),
      tablesChanged: BigInt(TABLES),
      tablesUnchanged: 0n,
      snapshotsIngested: BigInt(TABLES),
      filesIngested: BigInt(TABLES * FILES),
    },
  });
  const runs: JobRun[] = [];
  for await (const run of jobRuns(stack.temporal, jobId)) runs.push(run);
  for (const { events } of runs) expect(events.length).toBeLessThan(SUGGESTED_EVENTS + IN_FLIGHT_EVENTS);
  // Each group once, but for tables that had no run left in which to be split.
  const groups = runs
    .flatMap(({ events }) => events)
    .filter((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'ingestFileGroup');
  expect(groups.length).toBeGreaterThan(FILES);
  expect(groups.length).toBeLessThanOrEqual(TABLES * FILES);
}, 300_000);
