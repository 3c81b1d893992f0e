import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { anyone } from '../../../src/catalog/auth/authorize-middleware.ts';
import { spreadOffset } from '../../../src/catalog/schedules/spread-offset.ts';
import { type RunningCatalog, startCatalog } from '../../../src/catalog/server/server.ts';
import { type CatalogClients, connectCatalog } from '../../../src/catalog-client/connect.ts';
import { ConnectorKind, ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { ScheduleStatus } from '../../../src/generated/reconciler/v1/schedules.ts';
import { connectTemporal } from '../../../src/temporal/connect.ts';
import { temporalJobControl } from '../../../src/temporal/job-control.ts';
import { poll } from '../../jest/poll.ts';
import { TemporalServer } from '../stack/temporal-server.ts';

const POLL = { timeout: 60_000, interval: 100 };
const { SCHEDULE_STATUS_OK: OK, SCHEDULE_STATUS_MISSING: MISSING } = ScheduleStatus;
const { SCHEDULE_STATUS_DIFFERENT: DIFFERENT, SCHEDULE_STATUS_SURPLUS: SURPLUS } = ScheduleStatus;
const { SCHEDULE_STATUS_FOREIGN: FOREIGN } = ScheduleStatus;

/** A catalog service with a real Temporal server that tests stop and start. There is no worker. */
let temporal: TemporalServer;
let folder: string;
let catalog: RunningCatalog;
let clients: CatalogClients;

async function startService(): Promise<void> {
  process.env.TEMPORAL_ADDRESS = temporal.address;
  const jobs = temporalJobControl(connectTemporal);
  const databaseFile = join(folder, 'catalog.db');
  const logger = pino({ level: 'silent' });
  catalog = await startCatalog({
    authenticate: anyone,
    address: '127.0.0.1:0',
    databaseFile,
    jobs: async () => jobs,
    logger,
  });
  clients = connectCatalog(catalog.address);
}

async function stopService(): Promise<void> {
  clients.close();
  await catalog.stop();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reconciler-test-'));
  temporal = await TemporalServer.stopped();
  await startService();
});
afterAll(async () => {
  await stopService();
  await temporal[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function create(displayName: string, policy: object): Promise<string> {
  const kind = ConnectorKind.CONNECTOR_KIND_ICEBERG;
  const uri = 'file:///warehouse';
  const { connectorId } = await clients.connectors.createConnector({ connector: { displayName, kind, uri, policy } });
  return connectorId;
}
const update = (connectorId: string, fields: object, ...updateMask: string[]) =>
  clients.connectors.updateConnector({ connector: { connectorId, ...fields }, updateMask });
const scheduleOf = async (connectorId: string) => (await clients.schedules.listSchedules({ connectorId })).schedules[0];
const statusOf = async (connectorId: string) => (await scheduleOf(connectorId))?.status;
const handle = (connectorId: string) => temporal.client.schedule.getHandle(`reconcile-${connectorId}`);

/** Lists all schedules, by the connector's name, or by its id if the connector is unknown. */
async function listed() {
  const schedules = [];
  let pageToken = '';
  do {
    const page = await clients.schedules.listSchedules({ pageSize: 2, pageToken });
    schedules.push(...page.schedules);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return Object.fromEntries(schedules.map((s) => [s.connectorName || s.connectorId, s]));
}

const ids: Record<string, string> = {};

describe('schedules', () => {
  it('are created as soon as Temporal is available, however long after their connector', async () => {
    ids.hourly = await create('hourly', { enabled: true, interval: { seconds: 3600n } });
    ids.nightly = await create('nightly', { enabled: true, cron: ['0 3 * * *'], timeZone: 'Europe/Vienna' });
    ids.byHand = await create('by hand', { enabled: true });
    await expect(scheduleOf(ids.hourly)).rejects.toThrow(/UNAVAILABLE: Temporal cannot be reached/);
    await temporal.start();
    await poll(() => statusOf(ids.hourly as string).catch(() => undefined), POLL).toBe(OK);
    await poll(() => statusOf(ids.nightly as string), POLL).toBe(OK);
    expect(await statusOf(ids.byHand)).toBeUndefined();
    expect(await listed()).toMatchObject({
      hourly: { connectorId: ids.hourly, when: 'every 1h', paused: false, nextRunAt: expect.any(Date) },
      nightly: { when: '0 3 * * * Europe/Vienna' },
    });
    expect((await scheduleOf(ids.nightly))?.nextRunAt?.getUTCMinutes()).toBe(0);
    const nextRun = (await scheduleOf(ids.hourly))?.nextRunAt?.getTime() ?? 0;
    expect((nextRun / 1000) % 3600).toBe(spreadOffset(ids.hourly, 3600));
  });

  it('follow changes of their connector', async () => {
    const id = ids.hourly as string;
    await update(
      id,
      { policy: { interval: { seconds: 600n } }, displayName: 'often' },
      'policy.interval',
      'display_name',
    );
    await poll(async () => (await handle(id).describe()).spec.intervals, POLL).toEqual([
      { every: 600_000, offset: spreadOffset(id, 600) * 1000 },
    ]);
    expect((await handle(id).describe()).action).toMatchObject({
      workflowId: `reconcile-often-${id.slice(-6)}`,
      staticSummary: 'Reconcile of often',
    });

    await update(id, { state: ConnectorState.CONNECTOR_STATE_PAUSED }, 'state');
    await poll(async () => (await handle(id).describe()).state, POLL).toMatchObject({
      paused: true,
      note: 'Reconciles connector often. The connector is paused.',
    });
    expect(await scheduleOf(id)).toMatchObject({ status: OK, paused: true, nextRunAt: undefined });
    await update(
      id,
      { policy: { enabled: false }, state: ConnectorState.CONNECTOR_STATE_ACTIVE },
      'state',
      'policy.enabled',
    );
    await poll(async () => (await handle(id).describe()).state.note, POLL).toContain('switched off');
    await update(id, { policy: { enabled: true } }, 'policy.enabled');
    await poll(async () => (await handle(id).describe()).state.paused, POLL).toBe(false);

    await update(id, { policy: { interval: { seconds: 0n } } }, 'policy.interval');
    await poll(() => statusOf(id), POLL).toBeUndefined();
    await update(id, { policy: { interval: { seconds: 60n } } }, 'policy.interval');
    await poll(() => statusOf(id), POLL).toBe(OK);
  });

  it('are deleted with their connector', async () => {
    const id = await create('short-lived', { enabled: true, interval: { seconds: 60n } });
    await poll(() => statusOf(id), POLL).toBe(OK);
    await clients.connectors.deleteConnector({ connectorId: id });
    await expect(handle(id).describe()).rejects.toThrow(/not found/i);
  });

  it('are reported and repaired if they are missing, different or surplus, and foreign schedules are left alone', async () => {
    const [missing, different] = [ids.nightly as string, ids.hourly as string];
    await handle(missing).delete();
    await handle(different).update((now) => ({ ...now, state: { paused: true, note: 'somebody' } }));
    const unwanted = ids.byHand as string;
    const action = { type: 'startWorkflow' as const, workflowType: 'reconcile', taskQueue: 'reconciler' };
    const deletedConnector = 'con_0000000000000000000000';
    const surplus = [unwanted, deletedConnector, 'con_1111111111111111111111'];
    const { memo } = await handle(different).describe();
    for (const id of surplus)
      await temporal.client.schedule.create({
        scheduleId: `reconcile-${id}`,
        spec: {},
        action,
        state: { paused: true },
        memo,
      });
    // Nothing shows whose they are.
    const unowned = 'con_3333333333333333333333';
    await temporal.client.schedule.create({ scheduleId: `reconcile-${unowned}`, spec: {}, action });
    const foreign = { ...action, workflowType: 'other' };
    await temporal.client.schedule.create({
      scheduleId: 'reconcile-con_2222222222222222222222',
      spec: {},
      action: foreign,
    });
    await temporal.client.schedule.create({ scheduleId: 'reconcile-mine', spec: {}, action });

    // Temporal's list is eventually consistent.
    await poll(async () => Object.keys(await listed()).sort(), POLL).toEqual(
      [deletedConnector, 'con_1111111111111111111111', unowned, 'by hand', 'nightly', 'often'].sort(),
    );
    expect(await listed()).toMatchObject({
      nightly: { status: MISSING },
      often: { status: DIFFERENT, paused: true },
      'by hand': { status: SURPLUS },
      [deletedConnector]: { status: SURPLUS, connectorName: '' },
      [unowned]: { status: FOREIGN, connectorName: '' },
    });

    const repaired = await clients.schedules.repairSchedules({});
    expect(repaired).toMatchObject({ made: 1n, changed: 1n, removed: 3n, unchanged: 0n, foreign: 1n });
    expect(repaired.repaired.map(({ status }) => status).sort()).toEqual(
      [MISSING, DIFFERENT, SURPLUS, SURPLUS, SURPLUS].sort(),
    );
    expect(await clients.schedules.repairSchedules({})).toMatchObject({
      made: 0n,
      changed: 0n,
      removed: 0n,
      unchanged: 2n,
      foreign: 1n,
    });
    expect(await statusOf(missing)).toBe(OK);
    expect(await statusOf(different)).toBe(OK);
    for (const id of surplus) await expect(handle(id).describe()).rejects.toThrow(/not found/i);
    for (const scheduleId of ['reconcile-con_2222222222222222222222', 'reconcile-mine', `reconcile-${unowned}`])
      await temporal.client.schedule.getHandle(scheduleId).describe();
  });

  it('are repaired when the catalog starts', async () => {
    await stopService();
    await handle(ids.nightly as string).delete();
    await handle(ids.hourly as string).pause();
    await startService();
    await poll(() => statusOf(ids.nightly as string), POLL).toBe(OK);
    await poll(() => statusOf(ids.hourly as string), POLL).toBe(OK);
  });

  it('are brought up to date after connectors changed while Temporal was unavailable', async () => {
    await temporal.stop();
    await update(ids.hourly as string, { policy: { interval: { seconds: 7200n } } }, 'policy.interval');
    const id = await create('meanwhile', { enabled: true, interval: { seconds: 60n } });
    await temporal.start();
    await poll(() => statusOf(id).catch(() => undefined), POLL).toBe(OK);
    await poll(() => scheduleOf(ids.hourly as string), POLL).toMatchObject({ when: 'every 2h', status: OK });
  });
});
