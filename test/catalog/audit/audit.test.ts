import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Metadata } from 'nice-grpc';
import type { Authenticate } from '../../../src/catalog/auth/authorize-middleware.ts';
import type { Principal, Role } from '../../../src/catalog/identity/principal.ts';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { CLAIM_METADATA, formatClaim } from '../../../src/contract/claim.ts';
import { CodedError } from '../../../src/errors.ts';
import { ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { waitFor } from '../../jest/wait-for.ts';
import { SCHEMA } from '../files.ts';
import { connectorSpec, failure, TestCatalog } from '../harness.ts';
import { DAY, MachineClock } from '../machine-clock.ts';

const principal = (subject: string, tenants: string[], ...roles: Role[]): Principal => ({
  subject,
  issuer: 'tests',
  tenants,
  roles,
});
const PRINCIPALS: Record<string, Principal> = {
  ada: principal('ada', ['default'], 'admin'),
  olga: principal('olga', ['default'], 'operator'),
  rita: principal('rita', ['default'], 'reader'),
  wim: principal('wim', ['default'], 'worker'),
  pia: principal('pia', ['*'], 'platform'),
};
const authenticate: Authenticate = async ({ metadata }) => {
  const found = PRINCIPALS[metadata.get('who') ?? ''];
  if (!found) throw new CodedError('UNAUTHENTICATED', 'who is calling?');
  return found;
};
const as = (who: string) => ({ metadata: Metadata({ who }) });

let catalog: TestCatalog;
beforeEach(async () => {
  catalog = await TestCatalog.start({ authenticate });
});
afterEach(async () => {
  await catalog[Symbol.asyncDispose]();
});

const events = async (filter: object = {}, who = 'ada') =>
  (await catalog.clients.audit.listAuditEvents(filter, as(who))).events;
/** The newest event, as soon as there are `count`. */
async function newest(count: number, who = 'ada', filter: object = {}) {
  return waitFor(
    async () => {
      const found = await events(filter, who);
      expect(found.length).toBeGreaterThanOrEqual(count);
      return found[0];
    },
    { timeout: 3_000 },
  );
}
const createConnector = (fields: object = {}, who = 'ada') =>
  catalog.clients.connectors.createConnector({ connector: connectorSpec(fields) }, as(who));

describe('a change', () => {
  it('is recorded with who made it, what it concerns and what it changed', async () => {
    const { connectorId } = await createConnector({ displayName: 'lake' });
    const { connectors } = catalog.clients;
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await connectors.updateConnector(
      {
        connector: { connectorId, state: ConnectorState.CONNECTOR_STATE_PAUSED },
        updateMask: ['state'],
      },
      { metadata: Metadata({ who: 'olga', traceparent }) },
    );
    const [update, create, ...others] = await events();
    expect(others).toEqual([]);
    expect(create).toMatchObject({
      subject: 'ada',
      issuer: 'tests',
      tenantId: 'default',
      method: 'reconciler.v1.Connectors/CreateConnector',
      resource: 'lake',
      allowed: true,
      code: 'OK',
      peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    });
    expect(update).toMatchObject({
      subject: 'olga',
      resource: connectorId,
      fields: ['state'],
      traceId: '0af7651916cd43dd8448eb211c80319c',
    });
    expect(await events({ subject: 'olga' })).toEqual([update]);
    expect(await events({ resource: 'lake' })).toEqual([create]);
    expect(await events({ until: create?.at })).toEqual([]);
    const page = await catalog.clients.audit.listAuditEvents({ pageSize: 1 }, as('ada'));
    expect(page.events).toEqual([update]);
    expect(await events({ pageSize: 1, pageToken: page.nextPageToken })).toEqual([create]);
  });

  it('is not made if it cannot be recorded', async () => {
    const { db, close } = await openDatabase(catalog.file);
    await db.schema.alterTable('audit_events').renameTo('audit_events_away').execute();
    expect(await failure(createConnector())).toMatchObject({ code: 'INTERNAL' });
    await db.schema.alterTable('audit_events_away').renameTo('audit_events').execute();
    await close();
    expect((await catalog.clients.connectors.listConnectors({}, as('ada'))).connectors).toEqual([]);
  });

  it('that is only validated is not recorded as made', async () => {
    await catalog.clients.connectors.createConnector({ connector: connectorSpec(), validateOnly: true }, as('ada'));
    await createConnector({ displayName: 'made' });
    const made = await newest(1);
    expect(made).toMatchObject({ resource: 'made' });
  });

  it('that fails is recorded with its code', async () => {
    const { connectorId } = await createConnector({ displayName: 'lake' });
    const stale = catalog.clients.connectors.deleteConnector({ connectorId, etag: 'stale' }, as('ada'));
    expect(await failure(stale)).toMatchObject({ code: 'ABORTED' });
    expect(await newest(2)).toMatchObject({ resource: connectorId, allowed: true, code: 'ABORTED' });
  });

  it('that only Temporal makes is recorded', async () => {
    const { connectorId } = await createConnector({ displayName: 'lake' });
    const { jobId } = await catalog.clients.connectors.triggerReconcile({ connectorId }, as('olga'));
    await catalog.clients.jobs.cancelReconcileJob({ jobId }, as('olga'));
    expect(await newest(3)).toMatchObject({
      subject: 'olga',
      method: 'reconciler.v1.ReconcileJobs/CancelReconcileJob',
      resource: jobId,
    });
  });

  it('of a job is one event, at its end', async () => {
    const { connectorId } = await createConnector({ displayName: 'lake' });
    const { reconciliation } = catalog.clients;
    const job = { jobId: 'nightly' };
    await reconciliation.claimConnector({ connectorId, job, runId: 'run' }, as('wim'));
    const claimed = {
      metadata: Metadata({ who: 'wim', [CLAIM_METADATA]: formatClaim({ connectorId, epoch: 1, runId: 'run' }) }),
    };
    await reconciliation.recordJob({ job: { ...job, state: JobState.JS_RUNNING } }, claimed);
    const { catalogs, namespaces, tables } = catalog.clients;
    const { catalogId } = await catalogs.createCatalog({ catalog: { displayName: 'main' } }, as('ada'));
    const { namespaceId } = await namespaces.createNamespace({ namespace: { catalogId, path: ['fx'] } }, as('ada'));
    const table = { namespaceId, name: 't', format: TableFormat.TABLE_FORMAT_ICEBERG, schema: SCHEMA };
    const { tableId } = await tables.createTable({ table }, as('ada'));
    await tables.putTableSchema({ tableId, schema: { ...SCHEMA, schemaId: 1 } }, claimed);
    await reconciliation.endJob({ job: { ...job, state: JobState.JS_SUCCEEDED }, connectorId }, claimed);
    const ofWorker = await events({ subject: 'wim' });
    expect(ofWorker).toMatchObject([{ method: 'reconciler.internal.v1.Reconciliation/EndJob', resource: 'nightly' }]);
  });
});

it('a change of an admin is recorded, also if the call carries the claim of a job', async () => {
  const { connectorId } = await createConnector({ displayName: 'lake' });
  const { catalogs, namespaces, tables, reconciliation } = catalog.clients;
  await reconciliation.claimConnector({ connectorId, job: { jobId: 'nightly' }, runId: 'run' }, as('wim'));
  const { catalogId } = await catalogs.createCatalog({ catalog: { displayName: 'main' } }, as('ada'));
  const { namespaceId } = await namespaces.createNamespace({ namespace: { catalogId, path: ['fx'] } }, as('ada'));
  const table = { namespaceId, name: 't', format: TableFormat.TABLE_FORMAT_ICEBERG, schema: SCHEMA };
  const { tableId } = await tables.createTable({ table }, as('ada'));
  const claimed = { who: 'ada', [CLAIM_METADATA]: formatClaim({ connectorId, epoch: 1, runId: 'run' }) };
  await tables.putTableSchema({ tableId, schema: { ...SCHEMA, schemaId: 1 } }, { metadata: Metadata(claimed) });
  expect(await newest(5)).toMatchObject({ subject: 'ada', method: 'reconciler.v1.Tables/PutTableSchema' });
});

describe('a refusal', () => {
  it('is recorded if the role does not suffice', async () => {
    expect(await failure(createConnector({ displayName: 'mine' }, 'rita'))).toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    expect(await newest(1)).toMatchObject({
      subject: 'rita',
      method: 'reconciler.v1.Connectors/CreateConnector',
      resource: 'mine',
      allowed: false,
      code: 'PERMISSION_DENIED',
    });
  });

  it('is recorded if nobody knows who called, for the platform role only', async () => {
    expect(await failure(createConnector({}, 'nobody'))).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await newest(1, 'pia', { platform: true })).toMatchObject({
      tenantId: '',
      subject: '',
      allowed: false,
      code: 'UNAUTHENTICATED',
    });
    expect(await events()).toEqual([]);
    expect(await failure(events({}, 'pia'))).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(await failure(events({ platform: true }))).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(await failure(events({}, 'olga'))).toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  it('has no more of the request than is of use, since anybody can cause one', async () => {
    const request = { catalog: { catalogId: 'c'.repeat(5000) }, updateMask: Array(200).fill('f'.repeat(5000)) };
    await failure(catalog.clients.catalogs.updateCatalog(request, as('nobody')));
    const { resource, fields } = (await newest(1, 'pia', { platform: true })) as { resource: string; fields: string[] };
    expect([resource.length, fields.length, fields[0]?.length]).toEqual([1024, 100, 100]);
  });

  it('is only counted if there are more than a hundred in a second', async () => {
    const { connectorId } = await createConnector({ displayName: 'lake' });
    const { jobId } = await catalog.clients.connectors.triggerReconcile({ connectorId }, as('olga'));
    const calls = Array.from({ length: 500 }, () => failure(createConnector({}, 'rita')));
    await Promise.all(calls);
    // Whoever is refused must not keep a change from being recorded, not even one that only Temporal makes.
    await catalog.clients.jobs.cancelReconcileJob({ jobId }, as('olga'));
    await waitFor(() => expect(catalog.log.join()).toContain('some calls that changed nothing are not recorded'), {
      timeout: 3_000,
    });
    await sleep(1_100);
    expect(await events({ subject: 'olga' })).toHaveLength(2);
    const stored = (await events({ pageSize: 1000 })).length;
    expect(stored).toBeGreaterThanOrEqual(100);
    expect(stored).toBeLessThan(400);
  });
});

it('reads are recorded only if that is wanted', async () => {
  await catalog.clients.connectors.listConnectors({}, as('rita'));
  await createConnector();
  expect(await events()).toHaveLength(1);
  await using verbose = await TestCatalog.start({ authenticate, audit: 'all' });
  await verbose.clients.connectors.listConnectors({}, as('rita'));
  await waitFor(
    async () => {
      const { events: found } = await verbose.clients.audit.listAuditEvents({ subject: 'rita' }, as('ada'));
      expect(found).toMatchObject([{ method: 'reconciler.v1.Connectors/ListConnectors', allowed: true, code: 'OK' }]);
    },
    { timeout: 3_000 },
  );
});

it('events are removed after their time, and not before', async () => {
  const machine = new MachineClock();
  await using kept = await TestCatalog.start({ authenticate, retention: { auditMs: 400 * DAY } });
  try {
    await kept.clients.connectors.createConnector({ connector: connectorSpec() }, as('ada'));
    const count = async () => (await kept.clients.audit.listAuditEvents({}, as('ada'))).events.length;
    machine.pass(399 * DAY);
    await kept.restart();
    expect(await count()).toBe(1);
    machine.pass(2 * DAY);
    await kept.restart();
    await waitFor(async () => expect(await count()).toBe(0), { timeout: 3_000 });
  } finally {
    machine.restore();
  }
});
