import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { dropGone } from '../../../src/activities/drop-gone.ts';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { MissingAction } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { tableMetadata } from '../../formats/iceberg/write-table.ts';
import { run, STEP } from '../run-activity.ts';
import { FolderTables, METADATA } from './folder-tables.ts';

/** Views in folders, which are listed like tables: only their metadata tells. */

let tables: FolderTables;
beforeAll(async () => {
  tables = await FolderTables.start();
});
afterAll(() => tables[Symbol.asyncDispose]());

let warehouse: string;
beforeEach(() => {
  warehouse = tables.warehouse();
  mkdirSync(join(warehouse, METADATA), { recursive: true });
});

const VIEW = { 'view-uuid': 'u', 'format-version': 1, location: '/db/t', versions: [], 'version-log': [] };
const put = (version: number, metadata: object) =>
  writeFileSync(join(warehouse, METADATA, `0000${version}-a.metadata.json`), JSON.stringify(metadata));
const putTable = (version: number) => put(version, tableMetadata({ location: join(warehouse, 'db/t') }));

const policy = (action: MissingAction, dropSeconds = 0n) => ({
  policy: { missing: { action, dropAfter: { seconds: dropSeconds, nanos: 0 } } },
});
const { MISSING_ACTION_MARK: MARK, MISSING_ACTION_KEEP: KEEP, MISSING_ACTION_DROP: DROP } = MissingAction;
const UNCHANGED = { changed: false, counts: {} };
const MARKED = { changed: false, counts: { tablesMissing: 1 } };

/** A connector whose table has become a view since it was ingested. */
async function replaced(spec: object) {
  putTable(1);
  const connected = await tables.connect(warehouse, spec);
  expect(await connected.ingest()).toMatchObject({ changed: true });
  put(2, VIEW);
  const getTable = async (tableId: string) => tables.catalog.clients.tables.getTable({ tableId });
  return { ...connected, getTable, tableId: await connected.tableId() };
}

it('a view is passed over', async () => {
  put(1, VIEW);
  const { ingest, bound } = await tables.connect(warehouse);
  expect(await ingest()).toEqual(UNCHANGED);
  expect(await bound()).toEqual([]);
});

it.each([
  ['the connector', { source: { namespacePath: ['db'], table: 't' } }, {}],
  ['the job', {}, { scope: { table: 't' } }],
])('a view is refused if %s names it', async (_, spec, input) => {
  put(1, VIEW);
  const { deps, connectorId } = await tables.connect(warehouse, spec);
  const request = { ...STEP, connectorId, table: { namespace: ['db'], name: 't' }, full: false, split: false };
  await expect(run(() => ingestTable(deps, { ...request, ...input }))).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: `db.t is not a table: ${warehouse}/${METADATA}/00001-a.metadata.json is the metadata of a view, not of a table. Views in folders are not ingested. Name a table.`,
  });
});

it('a table that became a view is marked missing once, and no longer if it is a table again', async () => {
  const { ingest, getTable, tableId } = await replaced(policy(MARK));
  expect(await ingest()).toEqual(MARKED);
  expect((await getTable(tableId)).upstream?.missingSince).toBeInstanceOf(Date);
  expect(await ingest()).toEqual(UNCHANGED);
  putTable(3);
  await ingest();
  expect((await getTable(tableId)).upstream?.missingSince).toBeUndefined();
});

it('a table that became a view stays if what is gone is kept', async () => {
  const { ingest, getTable, tableId } = await replaced(policy(KEEP));
  expect(await ingest()).toEqual(UNCHANGED);
  expect((await getTable(tableId)).upstream?.missingSince).toBeUndefined();
});

it('a table that became a view is dropped when it has been missing for long enough', async () => {
  const { ingest, getTable, tableId, deps, connectorId } = await replaced(policy(DROP));
  expect(await ingest()).toEqual(MARKED);
  const drop = () => run(() => dropGone(deps, { ...STEP, connectorId, refused: false, views: false }));
  // It is not dropped if it may be back, even if it cannot be read.
  put(3, { 'format-version': 99 });
  expect((await drop()).counts.tablesDropped).toBeUndefined();
  rmSync(join(warehouse, METADATA, '00003-a.metadata.json'));
  expect((await drop()).counts.tablesDropped).toBe(1);
  await expect(getTable(tableId)).rejects.toThrow('NOT_FOUND');
});

it('a dry run lists a table that became a view', async () => {
  const { deps, connectorId, getTable, tableId } = await replaced(policy(MARK));
  const { jobs, reconciliation } = tables.catalog.clients;
  const jobId = new MockActivityEnvironment().context.info.workflowExecution?.workflowId ?? '';
  await reconciliation.recordJob({
    job: { jobId, connectorId, connectorName: 'lake', state: JobState.JS_RUNNING, dryRun: true },
  });
  const table = { namespace: ['db'], name: 't' };
  const input = { ...STEP, connectorId, table, full: false, split: false, dryRun: true };
  expect(await run(() => ingestTable(deps, input))).toEqual(MARKED);
  const { changes } = await jobs.listJobChanges({ jobId });
  expect(changes).toMatchObject([{ name: 'db.t', reason: 'it is a view now' }]);
  expect((await getTable(tableId)).upstream?.missingSince).toBeUndefined();
});
