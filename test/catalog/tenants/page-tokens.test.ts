import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { added, SCHEMA } from '../files.ts';
import { idFieldsOf } from './id-fields.ts';
import { INTERNAL, TestTenant, VIEW } from './tenant.ts';
import { METHODS, SharedCatalog } from './two-tenants.ts';

let catalog: SharedCatalog;
let acme: TestTenant;
let umbrella: TestTenant;
beforeAll(async () => {
  catalog = await SharedCatalog.start();
  acme = await TestTenant.create(catalog, 'acme');
  umbrella = await TestTenant.create(catalog, 'umbrella');
});
afterAll(() => catalog.stop());

const format = TableFormat.TABLE_FORMAT_ICEBERG;

type Make = (t: TestTenant) => Promise<object>;

const twice = async (make: () => Promise<unknown>): Promise<void> => {
  await make();
  await make();
};

/** A job with two of what a list of it has. */
const ofJob = async (t: TestTenant, rpc: string, more: object): Promise<object> => {
  const { jobId, connectorId, displayName, claim } = await t.aClaimedConnector(t.jobId());
  const job = { jobId, connectorId, connectorName: displayName, state: JobState.JS_RUNNING };
  await t.worker(`Reconciliation/${rpc}`, { jobId, job, ...more }, claim);
  return { jobId };
};

/** Tables with two snapshots, of which the last has two files with two columns. */
const aTable = async (t: TestTenant): Promise<string> => {
  const { tableId } = await t.aTable();
  for (const snapshotId of [1n, 2n]) {
    const changes = [1, 2].map((n) =>
      added({ filePath: `${t.nonce}/${snapshotId}/${n}`, columns: [{ columnId: 1, nullCount: 0n }] as never }),
    );
    await t.worker('Ingestion/CommitSnapshot', [
      {
        request: {
          $case: 'header',
          value: { tableId, snapshotId, idempotencyKey: 'key', snapshot: t.snapshot(tableId, snapshotId) },
        },
      },
      { request: { $case: 'changes', value: { changes } } },
      { request: { $case: 'finish', value: {} } },
    ]);
  }
  const table = { tableId, currentSnapshotId: 2n };
  await t.admin('Tables/UpdateTable', { table, updateMask: ['current_snapshot_id'] });
  return tableId;
};

/** Makes more than one item of what each RPC lists, and returns the request. */
const LISTS: Record<string, Make> = {
  ListAuditEvents: async (t) => {
    await twice(() => t.aCatalog());
    return {};
  },
  ListBindings: async (t) => {
    const { connectorId, namespaceId, claim } = await t.aBusyConnector();
    const upstream = { namespacePath: ['up'], name: 'view2' };
    await t.worker('Bindings/EnsureView', { connectorId, upstream, view: { namespaceId, name: 'view2' } }, claim);
    return { connectorId, kind: VIEW };
  },
  ListCatalogs: async (t) => {
    await twice(() => t.aCatalog());
    return {};
  },
  ListConnectors: async (t) => {
    await twice(() => t.aConnector());
    return {};
  },
  ListFilesToSketch: async (t) => ({ tableId: await aTable(t), sampleFraction: 1, maxFiles: 10n }),
  ListNamespaces: async (t) => {
    const { catalogId } = await t.aNamespace();
    await t.admin('Namespaces/CreateNamespace', { namespace: { catalogId, path: ['other'] } });
    return { catalogId };
  },
  GetPlan: async (t) => ({ tableId: await aTable(t) }),
  ListReconcileJobs: async (t) => {
    await twice(() => t.aClaimedConnector(t.jobId()));
    return {};
  },
  ListJobFailures: (t) => ofJob(t, 'RecordJob', { failures: ['a', 'b'].map((table) => ({ ...t.failure(), table })) }),
  ListJobChanges: (t) =>
    ofJob(t, 'RecordJobChanges', {
      changes: ['a', 'b'].map((name) => ({ ...t.change(), name, destination: `main.fx.${name}` })),
    }),
  ListJobOutcomes: (t) =>
    ofJob(t, 'RecordJobOutcomes', { step: 'a', outcomes: ['a', 'b'].map((name) => ({ ...t.outcome(), name })) }),
  // What is only looked at needs no claim.
  DropExpiredSnapshots: async (t) => {
    const { connectorId, tableId, claim } = await t.aBusyConnector();
    for (const snapshotId of [2n, 3n]) {
      await t.admin('Snapshots/CreateSnapshot', { snapshot: t.snapshot(tableId, snapshotId), metadataOnly: true });
    }
    await t.worker('Ingestion/ExpireSnapshots', { tableId, snapshotIds: [2n, 3n] }, claim);
    return { connectorId, validateOnly: true };
  },
  ListSchedules: async (t) => {
    await twice(() => t.aConnector({ policy: { enabled: true, interval: { seconds: 3600n } } }));
    return {};
  },
  ListSnapshots: async (t) => ({ tableId: await aTable(t) }),
  ListColumnStats: async (t) => ({ tableId: await aTable(t) }),
  ListFileColumnStats: async (t) => ({ tableId: await aTable(t) }),
  ListTables: async (t) => {
    const { namespaceId } = await t.aTable();
    await t.admin('Tables/CreateTable', { table: { namespaceId, name: 'other', format, schema: SCHEMA } });
    return { namespaceId };
  },
  ListTokens: async (t) => {
    await twice(() => t.aToken());
    return {};
  },
  ListViews: async (t) => {
    const { namespaceId } = await t.aNamespace();
    for (const name of ['a', 'b']) await t.admin('Views/CreateView', { view: { namespaceId, name } });
    return { namespaceId };
  },
};

const nameOf = (path: string) => path.split('/').at(-1) as string;
/** Those of tenants themselves concern no tenant. */
const PAGED = [...METHODS.keys()].filter(
  (path) => idFieldsOf(path).includes('pageToken') && nameOf(path) !== 'ListTenants',
);

it('every RPC with page tokens is tested here', () => {
  expect(PAGED.map(nameOf).sort()).toEqual(Object.keys(LISTS).sort());
});

it.each(PAGED)('%s: a page token of the other tenant is none', async (path) => {
  const make = LISTS[nameOf(path)] as Make;
  const [own, others] = [await make(acme), await make(umbrella)];
  const role = path.startsWith(INTERNAL) ? 'worker' : 'admin';
  const first = await catalog.need(path, `${role}@umbrella`, { ...others, pageSize: 1 });
  const { nextPageToken: pageToken } = first;
  expect(pageToken).not.toBe('');
  const next = { pageSize: 1, pageToken };
  expect(await catalog.call(path, `${role}@umbrella`, { ...others, ...next })).toMatchObject({ code: 'OK' });
  // With the tenant's own request, and with that of the other tenant as well.
  for (const request of [own, others]) {
    const { code, text } = await catalog.call(path, `${role}@acme`, { ...request, ...next });
    // Some look first whether what the request names exists.
    const isUnknown = request === others && code === 'NOT_FOUND';
    const refused = ['INVALID_ARGUMENT', expect.stringMatching(/^page_token: is not a token that /)];
    expect([code, text]).toEqual(isUnknown ? [code, expect.stringMatching(/ does not exist$/)] : refused);
  }
});
