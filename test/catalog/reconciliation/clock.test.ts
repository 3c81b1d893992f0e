import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { pino } from 'pino';
import { openClock } from '../../../src/catalog/store/clock/clock.ts';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { toDuration } from '../../../src/durations.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { TestTable } from '../files.ts';
import { connectorSpec, DROPS, TestCatalog } from '../harness.ts';
import { DAY, HOUR, MachineClock, MINUTE } from '../machine-clock.ts';

const TABLE = ObjectKind.OBJECT_KIND_TABLE;

let machine: MachineClock;
let catalog: TestCatalog;
beforeEach(async () => {
  machine = new MachineClock();
  catalog = await TestCatalog.start();
});
afterEach(async () => {
  await catalog[Symbol.asyncDispose]();
  machine.restore();
});

/** A connector with a table, which has an expired snapshot; both are marked now, by a clock that is wrong by these days meanwhile. */
async function marked([snapshotDays, tableDays] = [0, 0]) {
  const { connectors, ingestion, bindings, reconciliation } = catalog.clients;
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec(DROPS) });
  const table = await TestTable.create(catalog, { upstream: { connectorId, namespacePath: ['n'], tableName: 't' } });
  await table.put({ snapshotId: 1, changes: [] });
  await table.put({ snapshotId: 2, base: 1, changes: [] });
  const { tableId } = table;
  machine.jump(snapshotDays * DAY);
  await ingestion.expireSnapshots({ tableId, snapshotIds: [1n] });
  machine.jump((tableDays - snapshotDays) * DAY);
  await bindings.markMissing({ connectorId, kind: TABLE, objectIds: [tableId] });
  machine.jump(-tableDays * DAY);
  /** Drops what has been gone for as many days, as a job does. */
  const drop = async (days: number) => {
    const gone = toDuration((days * DAY) / 1000);
    const { clients } = catalog;
    const listed = await clients.bindings.listBindings({ connectorId, kind: TABLE, missingFor: gone });
    const expired = await clients.reconciliation.dropExpiredSnapshots({ connectorId, expiredFor: gone });
    const { dropped } = await clients.reconciliation.dropMissing({
      connectorId,
      missingFor: gone,
      tableIds: [tableId],
    });
    return [listed.bindings.length, Number(expired.tables[0]?.snapshots ?? 0), Number(dropped)];
  };
  return { drop, reconciliation, connectorId };
}

const NOTHING = [0, 0, 0];
const ALL = [1, 1, 1];

describe('what has been gone for long enough', () => {
  it('is dropped after this time, and not before', async () => {
    const { drop } = await marked();
    machine.pass(7 * DAY - HOUR);
    expect(await drop(7)).toEqual(NOTHING);
    machine.pass(HOUR);
    expect(await drop(7)).toEqual(ALL);
  });

  it('is not dropped because the clock jumped forward, but after the time has really passed', async () => {
    const { drop } = await marked();
    machine.jump(8 * DAY);
    expect(await drop(7)).toEqual(NOTHING);
    machine.pass(6 * DAY);
    expect(await drop(7)).toEqual(NOTHING);
    machine.pass(DAY);
    expect(await drop(7)).toEqual(ALL);
    const jumps = catalog.log.map((line) => JSON.parse(line)).filter((line) => 'jumpedSeconds' in line);
    expect(jumps).toEqual([expect.objectContaining({ jumpedSeconds: 691_200 })]);
  });

  it.each([
    [-8, -9],
    [-9, -8],
  ])('is not dropped because it was marked while the clock was wrong by %i and %i days', async (...days) => {
    // The catalog is old enough for the wrong times to be ones that it has seen.
    machine.pass(30 * DAY);
    await catalog.restart();
    const { drop } = await marked(days);
    expect(await drop(7)).toEqual(NOTHING);
    machine.pass(7 * DAY);
    expect(await drop(7)).toEqual(ALL);
  });

  it('is dropped later if the clock was set back', async () => {
    const { drop } = await marked();
    machine.jump(-HOUR);
    machine.pass(7 * DAY);
    expect(await drop(7)).toEqual(NOTHING);
    machine.pass(HOUR);
    expect(await drop(7)).toEqual(ALL);
  });

  it('is dropped in time if the service was stopped while the machine ran', async () => {
    const { drop } = await marked();
    await catalog.stop();
    machine.pass(7 * DAY);
    await catalog.restart();
    expect(await drop(7)).toEqual(ALL);
  });

  it('is not dropped because the clock jumped while the service was stopped', async () => {
    const { drop } = await marked();
    await catalog.stop();
    machine.jump(8 * DAY);
    await catalog.restart();
    expect(await drop(7)).toEqual(NOTHING);
  });

  it('is dropped later by the time that the machine was off, since nothing shows how long that was', async () => {
    const { drop } = await marked();
    machine.pass(DAY);
    await catalog.stop();
    const db = new Sqlite(catalog.file);
    db.prepare("update clock_periods set boot_id = 'an earlier boot'").run();
    db.close();
    machine.pass(9 * DAY);
    await catalog.restart();
    expect(await drop(7)).toEqual(NOTHING);
    machine.pass(6 * DAY - HOUR);
    expect(await drop(7)).toEqual(NOTHING);
    machine.pass(HOUR);
    expect(await drop(7)).toEqual(ALL);
  });
});

it('without a time, only what is marked as missing can be dropped', async () => {
  const { reconciliation, bindings, connectors } = catalog.clients;
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec(DROPS) });
  const upstream = { connectorId, namespacePath: ['n'], tableName: 't' };
  const { tableId } = await TestTable.create(catalog, { upstream });
  expect(await reconciliation.dropMissing({ connectorId, tableIds: [tableId] })).toEqual({ dropped: 0n });
  await bindings.markMissing({ connectorId, kind: TABLE, objectIds: [tableId] });
  expect(await reconciliation.dropMissing({ connectorId, tableIds: [tableId] })).toEqual({ dropped: 1n });
});

describe('lists of jobs', () => {
  it('stay in order if the clock is set back an hour', async () => {
    const { connectorId, displayName } = await catalog.clients.connectors.createConnector({
      connector: connectorSpec(),
    });
    const record = async (jobId: string, state: JobState) => {
      await catalog.clients.reconciliation.recordJob({
        job: { jobId, connectorId, connectorName: displayName, state },
      });
      machine.pass(MINUTE);
    };
    for (const jobId of ['first', 'second', 'third']) await record(jobId, JobState.JS_SUCCEEDED);
    machine.jump(-HOUR);
    for (const jobId of ['fourth', 'fifth']) await record(jobId, JobState.JS_SUCCEEDED);
    const list = async (connectorId: string) => {
      const found: string[] = [];
      let pageToken = '';
      do {
        const page = await catalog.clients.jobs.listReconcileJobs({ connectorId, pageSize: 2, pageToken });
        found.push(...page.jobs.map(({ jobId }) => jobId));
        pageToken = page.nextPageToken;
      } while (pageToken);
      return found;
    };
    const newestFirst = ['fifth', 'fourth', 'third', 'second', 'first'];
    expect(await list('')).toEqual(newestFirst);
    expect(await list(connectorId)).toEqual(newestFirst);
  });
});

/** What may happen to a machine, and when something is stored. */
const event = fc.oneof(
  fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 10 * DAY }) }),
  // A clock that is corrected by less is not wrong.
  fc.record({ kind: fc.constant('jump' as const), ms: fc.integer({ min: 2 * MINUTE, max: 10 * DAY }) }),
  fc.record({ kind: fc.constant('jump' as const), ms: fc.integer({ min: -10 * DAY, max: -2 * MINUTE }) }),
  fc.record({ kind: fc.constant('store' as const) }),
  fc.record({ kind: fc.constant('restart' as const), ms: fc.integer({ min: 0, max: 10 * DAY }) }),
);

it('never says of anything that it is older than it is', async () => {
  const logger = pino({ level: 'silent' });
  let old = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 30 }), async (events) => {
      const { db, close } = await openDatabase(':memory:');
      let clock = await openClock(db, logger);
      /** The timestamps of what was stored, with the machine's uptime at that time. */
      const stored: { timestamp: number; at: number }[] = [];
      try {
        for (const what of events) {
          if (what.kind === 'pass') machine.pass(what.ms);
          else if (what.kind === 'jump') machine.jump(what.ms);
          else if (what.kind === 'store') stored.push({ timestamp: await clock.now(), at: machine.uptime });
          else {
            await clock.stop();
            machine.pass(what.ms);
            clock = await openClock(db, logger);
          }
          for (const time of [HOUR, DAY, 7 * DAY]) {
            const ago = await clock.ago(time);
            for (const { timestamp, at } of stored) {
              if (timestamp > ago) continue;
              old += 1;
              expect(machine.uptime - at).toBeGreaterThanOrEqual(time);
            }
          }
        }
      } finally {
        await clock.stop();
        await close();
      }
    }),
    { numRuns: 200 },
  );
  // Otherwise the property would hold for a clock that calls nothing old.
  expect(old).toBeGreaterThan(1000);
});
