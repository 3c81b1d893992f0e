import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { anyone } from '../../../src/catalog/auth/authorize-middleware.ts';
import { type RunningCatalog, startCatalog } from '../../../src/catalog/server/server.ts';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { type CatalogClients, connectCatalog } from '../../../src/catalog-client/connect.ts';
import { ConnectorKind } from '../../../src/generated/reconciler/v1/connectors.ts';
import { ScheduleStatus } from '../../../src/generated/reconciler/v1/schedules.ts';
import { connectTemporal } from '../../../src/temporal/connect.ts';
import { temporalJobControl } from '../../../src/temporal/job-control.ts';
import { poll } from '../../jest/poll.ts';
import { TemporalServer } from '../stack/temporal-server.ts';

const POLL = { timeout: 60_000, interval: 100 };
const { SCHEDULE_STATUS_OK: OK, SCHEDULE_STATUS_FOREIGN: FOREIGN } = ScheduleStatus;

let temporal: TemporalServer;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reconciler-test-'));
  temporal = await TemporalServer.start();
});
afterAll(async () => {
  await temporal[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** A catalog service on a database of the folder, without a worker. */
class Service implements AsyncDisposable {
  readonly log: string[];
  readonly clients: CatalogClients;
  readonly #catalog: RunningCatalog;

  private constructor(catalog: RunningCatalog, log: string[]) {
    this.#catalog = catalog;
    this.log = log;
    this.clients = connectCatalog(catalog.address);
  }

  static async start(file: string): Promise<Service> {
    process.env.TEMPORAL_ADDRESS = temporal.address;
    const jobs = temporalJobControl(connectTemporal);
    const log: string[] = [];
    const logger = pino({ level: 'info' }, { write: (line) => void log.push(line) });
    const databaseFile = join(folder, file);
    const catalog = await startCatalog({
      authenticate: anyone,
      address: '127.0.0.1:0',
      databaseFile,
      jobs: async () => jobs,
      logger,
    });
    const service = new Service(catalog, log);
    // The repair at its start.
    await poll(() => log.join(''), POLL).toContain('schedules agree with the connectors');
    return service;
  }

  async create(displayName: string): Promise<string> {
    const kind = ConnectorKind.CONNECTOR_KIND_ICEBERG;
    const policy = { enabled: true, interval: { seconds: 3600n } };
    const connector = { displayName, kind, uri: 'file:///warehouse', policy };
    const { connectorId } = await this.clients.connectors.createConnector({ connector });
    await poll(async () => (await this.statuses())[connectorId], POLL).toBe(OK);
    return connectorId;
  }

  async statuses(): Promise<Record<string, ScheduleStatus>> {
    const found: Record<string, ScheduleStatus> = {};
    let pageToken = '';
    do {
      const page = await this.clients.schedules.listSchedules({ pageToken });
      for (const { connectorId, status } of page.schedules) found[connectorId] = status;
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.clients.close();
    await this.#catalog.stop();
  }
}

const inTemporal = async () => {
  const found: Record<string, unknown> = {};
  for await (const { scheduleId } of temporal.client.schedule.list()) {
    const { raw } = await temporal.client.schedule.getHandle(scheduleId).describe();
    found[scheduleId] = raw.conflictToken;
  }
  return found;
};

it('the schedules of a catalog survive the start, repairs and deletions of another one on the same Temporal', async () => {
  const ids: string[] = [];
  {
    await using right = await Service.start('right.db');
    for (const name of ['a', 'b', 'c']) ids.push(await right.create(name));
  }
  await poll(async () => Object.keys(await inTemporal()).length, POLL).toBe(3);
  const before = await inTemporal();
  {
    await using empty = await Service.start('empty.db');
    const others = Object.fromEntries(ids.map((id) => [id, FOREIGN]));
    expect(await empty.statuses()).toEqual(others);
    await poll(() => empty.log.join(''), POLL).toMatch(
      /this catalog has no connector, but .* is this the right database\?/,
    );
    expect(await empty.clients.schedules.repairSchedules({})).toMatchObject({ removed: 0n, changed: 0n, foreign: 3n });
    const own = await empty.create('a');
    await empty.clients.connectors.deleteConnector({ connectorId: own });
    await poll(async () => Object.keys(await inTemporal()), POLL).not.toContain(`reconcile-${own}`);
    expect(await empty.statuses()).toEqual(others);
  }
  expect(await inTemporal()).toEqual(before);
  await using right = await Service.start('right.db');
  expect(await right.statuses()).toEqual(Object.fromEntries(ids.map((id) => [id, OK])));
  expect(await inTemporal()).toEqual(before);
  expect(right.log.join('')).not.toContain('another catalog');
});

it('a copy with an identity of its own changes no schedule of the original', async () => {
  cpSync(join(folder, 'right.db'), join(folder, 'copy.db'));
  const copied = new Sqlite(join(folder, 'copy.db'));
  copied.exec("update service set catalog_id = 'svc_copy'");
  copied.close();
  const before = await inTemporal();
  await using copy = await Service.start('copy.db');
  const { connectors } = await copy.clients.connectors.listConnectors({});
  expect(connectors.map(({ displayName }) => displayName)).toEqual(['a', 'b', 'c']);
  expect(new Set(Object.values(await copy.statuses()))).toEqual(new Set([FOREIGN]));
  const [{ connectorId = '' } = {}, removed] = connectors;
  const change = { connectorId, policy: { interval: { seconds: 60n } } };
  await copy.clients.connectors.updateConnector({ connector: change, updateMask: ['policy.interval'] });
  await poll(() => copy.log.join(''), POLL).toContain('connector a has no schedule of its own');
  await copy.clients.connectors.deleteConnector({ connectorId: removed?.connectorId });
  expect(await copy.clients.schedules.repairSchedules({})).toMatchObject({ changed: 0n, removed: 0n, foreign: 3n });
  expect(await inTemporal()).toEqual(before);
  // A connector that is created again has an id of its own, and so a schedule.
  await copy.create('again');
});
