import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { JobChangeKind, JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { connectorSpec, failure, refusal, TestCatalog } from './harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const format = TableFormat.TABLE_FORMAT_ICEBERG;

/** Unicode's bidirectional controls, C1 control characters, and separators of lines. */
const CHARACTERS: [string, string][] = [
  ...['\u202a', '\u202b', '\u202c', '\u202d', '\u202e', '\u2066', '\u2067', '\u2068', '\u2069', '\u200e', '\u200f'],
  ...['\u061c', '\u0080', '\u0085', '\u009b', '\u009f', '\u2028', '\u2029'],
].map((character) => {
  const code = character.charCodeAt(0).toString(16);
  return [code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code}`, character];
});

describe.each(CHARACTERS)('names with %s', (escaped, character) => {
  const name = `sales${character}elbat`;

  it('are refused where people choose them', async () => {
    const { catalogs, connectors, namespaces, tables, views } = catalog.clients;
    const { catalogId, namespaceId } = await catalog.namespace();
    const connector = (destination: object) =>
      connectors.createConnector({ connector: connectorSpec({ destination }) });
    const source = { namespacePath: ['a'], table: 't' };
    const calls: [string, Promise<unknown>][] = [
      ['catalog.display_name', catalogs.createCatalog({ catalog: { displayName: name } })],
      ['connector.display_name', connectors.createConnector({ connector: connectorSpec({ displayName: name }) })],
      ['connector.destination.catalog_name', connector({ catalogName: name })],
      ['connector.destination.namespace_path[0]', connector({ namespacePath: [name] })],
      [
        'connector.destination.table_name',
        connectors.createConnector({ connector: connectorSpec({ source, destination: { tableName: name } }) }),
      ],
      ['namespace.path[1]', namespaces.createNamespace({ namespace: { catalogId, path: ['a', name] } })],
      ['table.name', tables.createTable({ table: { namespaceId, name, format } })],
      ['view.name', views.createView({ view: { namespaceId, name } })],
    ];
    for (const [field, call] of calls) {
      const found = await failure(call);
      expect(found).toMatchObject(refusal('INVALID_ARGUMENT', `${field}: contains characters that are not seen`));
      // The message itself shows the name as it is.
      expect(found.message).toContain(`'sales${escaped}elbat'`);
      expect(found.message).not.toContain(character);
    }
  });

  it('are kept if an upstream has them', async () => {
    const { bindings, connectors, reconciliation, tables } = catalog.clients;
    const source = { namespacePath: [name], table: name };
    const { connectorId } = await connectors.createConnector({ connector: connectorSpec({ source }) });
    const destination = { catalogName: `c${Math.random()}` };
    const request = { connectorId, namespacePath: [name], destination };
    const { namespaceId, namespacePath } = await reconciliation.ensureDestination(request);
    expect(namespacePath).toEqual([name]);
    const upstream = { namespacePath: [name], name };
    const { tableId } = await bindings
      .ensureTable({ connectorId, namespaceId, upstream, name, format })
      .then(({ table }) => table as { tableId: string });
    expect(await tables.getTable({ tableId })).toMatchObject({ name, upstream: { tableName: name } });
    await bindings.ensureView({ connectorId, upstream, view: { namespaceId, name: `v${name}` } });
  });

  it('are escaped in what jobs report, except where the name itself is needed', async () => {
    const { connectors, jobs, reconciliation } = catalog.clients;
    const { connectorId } = await connectors.createConnector({ connector: connectorSpec() });
    const jobId = `job-${escaped.slice(1)}`;
    const message = `table '${name}' is corrupt\n\tand more`;
    const job = { jobId, connectorId, state: JobState.JS_FAILED, message, phase: name };
    await reconciliation.recordJob({ job, failures: [{ table: name, code: 'DATA_LOSS', message }] });
    const kind = JobChangeKind.JOB_CHANGE_KIND_TABLE;
    await reconciliation.recordJobChanges({ jobId, changes: [{ kind, name, reason: message }] });
    const shown = `table 'sales${escaped}elbat' is corrupt\n\tand more`;
    expect(await connectors.getReconcileJob({ jobId })).toMatchObject({
      message: shown,
      phase: `sales${escaped}elbat`,
    });
    const { failures } = await jobs.listJobFailures({ jobId });
    expect(failures).toMatchObject([{ table: name, message: shown }]);
    const { changes } = await jobs.listJobChanges({ jobId });
    expect(changes).toMatchObject([{ name, reason: shown }]);
  });
});

it('names in every script are accepted', async () => {
  for (const displayName of ['Bücher', '売上', 'مبيعات', 'מכירות', 'a\u200db', 'naïve café', '👩‍👩‍👧']) {
    expect(await catalog.clients.catalogs.createCatalog({ catalog: { displayName } })).toMatchObject({ displayName });
  }
});

it('times beyond the years 1 to 9999 are refused', async () => {
  const { connectors, plans, snapshots } = catalog.clients;
  const message = 'is not between the years 0001 and 9999';
  for (const time of [new Date(Date.UTC(275760, 0)), new Date(-62_135_596_800_001), new Date(Date.UTC(10_000, 0))]) {
    const connector = connectorSpec({ policy: { notBefore: time } });
    for (const call of [
      connectors.createConnector({ connector }),
      snapshots.createSnapshot({ snapshot: { tableId: 'tbl_1', snapshotId: 1n, committedAt: time } }),
      plans.getPlan({ tableId: 'tbl_1', asOf: time }),
    ]) {
      expect(await failure(call)).toMatchObject(refusal('INVALID_ARGUMENT', message));
    }
  }
});
