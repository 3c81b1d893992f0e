import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { JobChangeAction, JobChangeKind, JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

let count = 0;

/** Records a dry run, with calls to record and list its changes. */
async function dryRun() {
  const { connectors, jobs, reconciliation } = catalog.clients;
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec() });
  const jobId = `dry-run-${++count}`;
  const job = { jobId, connectorId, connectorName: 'lake', state: JobState.JS_RUNNING, dryRun: true };
  await reconciliation.recordJob({ job });
  return {
    jobId,
    record: (name: string, destination: string, more: object = {}) =>
      reconciliation.recordJobChanges({ jobId, changes: [{ ...TABLE, name, destination, ...more }] }),
    list: async (pageSize = 1000, pageToken = '') => jobs.listJobChanges({ jobId, pageSize, pageToken }),
  };
}

const TABLE = {
  kind: JobChangeKind.JOB_CHANGE_KIND_TABLE,
  action: JobChangeAction.JOB_CHANGE_ACTION_CREATE,
  reason: 'not in the catalog yet',
};
const VIEW = { kind: JobChangeKind.JOB_CHANGE_KIND_VIEW };
const DROP = { action: JobChangeAction.JOB_CHANGE_ACTION_DROP };

describe('what a dry run would do', () => {
  it('is recorded once per kind and name, and listed in pages', async () => {
    const { record, list } = await dryRun();
    for (const name of ['b.t', 'a.t', 'c.t', 'a.t']) await record(name, `main.${name}`, { reason: `of ${name}` });
    await record('a.t', 'main.a.t', { ...VIEW, ...DROP });
    const first = await list(2);
    expect(first.changes.map(({ name, reason }) => [name, reason])).toEqual([
      ['a.t', 'of a.t'],
      ['b.t', 'of b.t'],
    ]);
    const { changes, nextPageToken } = await list(2, first.nextPageToken);
    expect(changes.map(({ kind, name }) => [kind, name])).toEqual([
      [TABLE.kind, 'c.t'],
      [VIEW.kind, 'a.t'],
    ]);
    expect(nextPageToken).toBe('');
  });

  it('gives each name in the destination to one table or view', async () => {
    const { record, list } = await dryRun();
    await record('eu.t', 'main.all."t 1"');
    const taken = await failure(record('us.t', 'main.all."t 1"'));
    expect(taken).toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringContaining(`table 'all."t 1"' belongs to 'eu.t' of connector 'lake'`),
    });
    expect(await failure(record('eu.t', 'main.all."t 1"', VIEW))).toMatchObject({ code: 'ALREADY_EXISTS' });
    // A dropped table needs no name, and a retried call may record the same change again.
    await record('us.t', 'main.all."t 1"', DROP);
    await record('eu.t', 'main.all."t 1"');
    expect((await list()).changes.map(({ name }) => name)).toEqual(['eu.t', 'us.t']);
    const other = await dryRun();
    await other.record('us.t', 'main.all."t 1"');
  });

  it('is refused for an unknown job and for more than 1,000 changes per call', async () => {
    const { reconciliation } = catalog.clients;
    const { jobId } = await dryRun();
    expect(await failure(reconciliation.recordJobChanges({ jobId: 'none', changes: [] }))).toMatchObject({
      code: 'NOT_FOUND',
    });
    const changes = Array.from({ length: 1001 }, (_, i) => ({ ...TABLE, name: `a.t${i}`, destination: `m.a.t${i}` }));
    expect(await failure(reconciliation.recordJobChanges({ jobId, changes }))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'changes'),
    );
  });
});

it('a dry run ensures a catalog, namespace and table, and stores none of them', async () => {
  const { connectors, reconciliation, bindings, directory } = catalog.clients;
  const { connectorId } = await connectors.createConnector({
    connector: connectorSpec({ destination: { catalogName: 'not_made' } }),
  });
  const request = { connectorId, namespacePath: ['n'], validateOnly: true };
  expect(await reconciliation.ensureDestination(request)).toMatchObject({ catalogMade: true, namespaceMade: true });
  const name = { $case: 'text', value: 'not_made' } as const;
  expect(await failure(directory.resolve({ name }))).toMatchObject({ code: 'NOT_FOUND' });

  const { namespaceId } = await reconciliation.ensureDestination({ ...request, validateOnly: false });
  const table = { connectorId, namespaceId, name: 't', location: 'file:///t', format: 'TABLE_FORMAT_ICEBERG' as const };
  const upstream = { namespacePath: ['n'], name: 't' };
  const created = await bindings.ensureTable({ ...table, upstream, validateOnly: true } as never);
  expect(created).toMatchObject({ made: true, changed: true, hasSnapshots: false });
  expect((await bindings.countBindings({ connectorId, kind: ObjectKind.OBJECT_KIND_TABLE })).count).toBe(0n);
  expect(await bindings.ensureTable({ ...table, upstream } as never)).toMatchObject({ made: true });
  expect(await bindings.ensureTable({ ...table, upstream } as never)).toMatchObject({
    made: false,
    changed: false,
  });
});
