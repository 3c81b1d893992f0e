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

/** A dry run's record, with what it may tell. */
async function dryRun() {
  const { connectors, jobs, reconciliation } = catalog.clients;
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec() });
  const jobId = `dry-run-${++count}`;
  const job = { jobId, connectorId, connectorName: 'lake', state: JobState.JS_RUNNING, dryRun: true };
  await reconciliation.recordJob({ job });
  return {
    jobId,
    tell: (name: string, destination: string, more: object = {}) =>
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
  it('is told once by kind and name, and listed in pages', async () => {
    const { tell, list } = await dryRun();
    for (const name of ['b.t', 'a.t', 'c.t', 'a.t']) await tell(name, `main.${name}`, { reason: `of ${name}` });
    await tell('a.t', 'main.a.t', { ...VIEW, ...DROP });
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
    const { tell, list } = await dryRun();
    await tell('eu.t', 'main.all."t 1"');
    const taken = await failure(tell('us.t', 'main.all."t 1"'));
    expect(taken).toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringContaining(`table 'all."t 1"' belongs to 'eu.t' of connector 'lake'`),
    });
    expect(await failure(tell('eu.t', 'main.all."t 1"', VIEW))).toMatchObject({ code: 'ALREADY_EXISTS' });
    // What goes wants no name, and another attempt tells the same again.
    await tell('us.t', 'main.all."t 1"', DROP);
    await tell('eu.t', 'main.all."t 1"');
    expect((await list()).changes.map(({ name }) => name)).toEqual(['eu.t', 'us.t']);
    const other = await dryRun();
    await other.tell('us.t', 'main.all."t 1"');
  });

  it('is refused of a job that is not there, and a thousand at most at once', async () => {
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

it('a dry run makes sure of catalog, namespace and table, and keeps none of them', async () => {
  const { connectors, reconciliation, bindings, directory } = catalog.clients;
  const { connectorId } = await connectors.createConnector({
    connector: connectorSpec({ destination: { catalogName: 'not_made' } }),
  });
  const asked = { connectorId, namespacePath: ['n'], validateOnly: true };
  expect(await reconciliation.ensureDestination(asked)).toMatchObject({ catalogMade: true, namespaceMade: true });
  const name = { $case: 'text', value: 'not_made' } as const;
  expect(await failure(directory.resolve({ name }))).toMatchObject({ code: 'NOT_FOUND' });

  const { namespaceId } = await reconciliation.ensureDestination({ ...asked, validateOnly: false });
  const table = { connectorId, namespaceId, name: 't', location: 'file:///t', format: 'TABLE_FORMAT_ICEBERG' as const };
  const upstream = { namespacePath: ['n'], name: 't' };
  const made = await bindings.ensureTable({ ...table, upstream, validateOnly: true } as never);
  expect(made).toMatchObject({ made: true, changed: true, hasSnapshots: false });
  expect((await bindings.countBindings({ connectorId, kind: ObjectKind.OBJECT_KIND_TABLE })).count).toBe(0n);
  expect(await bindings.ensureTable({ ...table, upstream } as never)).toMatchObject({ made: true });
  expect(await bindings.ensureTable({ ...table, upstream } as never)).toMatchObject({
    made: false,
    changed: false,
  });
});
