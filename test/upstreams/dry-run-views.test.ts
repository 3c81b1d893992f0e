import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { MissingAction } from '../../src/generated/reconciler/v1/connectors.ts';
import { changeText, dryThenReal } from '../integration/contents/dry-run-pairs.ts';
import { RunningStack } from '../integration/stack/running-stack.ts';
import { CleanUp } from './clean-up.ts';
import { RestViews } from './rest/rest-views.ts';
import { startIcebergRest } from './servers/iceberg-rest.ts';

const cleanUp = new CleanUp();
let rest: RestViews;
let stack: RunningStack;
let connectorId: string;

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'reconciler-dry-views-'));
  cleanUp.defer(() => rmSync(folder, { recursive: true }));
  const { url: uri } = cleanUp.use(await startIcebergRest({ warehouse: `file://${folder}` }));
  rest = new RestViews(uri);
  await rest.namespace('sales');
  await rest.table('sales', 'orders');
  await rest.table('sales', 'to_be_view');
  for (const name of ['kept', 'to_be_table', 'to_drop', 'to_change'])
    await rest.view('sales', name, { spark: 'SELECT 1' });
  stack = cleanUp.use(await RunningStack.start());
  connectorId = await stack.connect('lake', '', {
    uri,
    policy: { missing: { action: MissingAction.MISSING_ACTION_MARK, maxShare: 0.3 } },
  });
});
afterAll(() => cleanUp[Symbol.asyncDispose]());

it('lists new views with the tables', async () => {
  const { job, changes } = await dryThenReal(stack, connectorId);
  expect(job).toMatchObject({ counters: { viewsChanged: 4n, tablesChanged: 2n, errors: 0n } });
  expect(job.message).toBe('Dry run: 2 tables and 4 views would change');
  expect(changes.map(changeText)).toContain('VIEW CREATE sales.kept: not in the catalog yet');
});

it('lists views that change, are dropped, or swap names with tables, as the run then does', async () => {
  await rest.replaceView('sales', 'to_change', { spark: 'SELECT 2' });
  await rest.dropView('sales', 'to_drop');
  await rest.dropView('sales', 'to_be_table');
  await rest.table('sales', 'to_be_table');
  await rest.dropTable('sales', 'to_be_view');
  await rest.view('sales', 'to_be_view', { spark: 'SELECT 3' });
  // One of four views is missing. If another view became a table too, more views would be missing than a run may drop.
  const { job, changes } = await dryThenReal(stack, connectorId);
  expect(job).toMatchObject({
    counters: { errors: 0n, viewsChanged: 2n, viewsMissing: 1n, tablesChanged: 1n, tablesMissing: 0n },
  });
  expect(changes.map(changeText)).toEqual([
    'TABLE CREATE sales.to_be_table: not in the catalog yet: no snapshot',
    'TABLE DROP sales.to_be_view: upstream has a view by its name instead',
    'VIEW DROP sales.to_be_table: upstream has a table by its name instead',
    'VIEW CREATE sales.to_be_view: not in the catalog yet',
    'VIEW UPDATE sales.to_change: its definition changed',
    'VIEW MARK_MISSING sales.to_drop: its namespace no longer lists it',
  ]);
});

it('lists a view that moves with the destination', async () => {
  const destination = { catalogName: 'lake', namespacePath: ['moved'] };
  await stack.catalog.connectors.updateConnector({
    connector: { connectorId, destination },
    updateMask: ['destination'],
  });
  const { job, changes } = await dryThenReal(stack, connectorId);
  expect(changes.map(changeText)).toContain('VIEW UPDATE sales.kept: moves from sales.kept');
  expect(job).toMatchObject({ counters: { viewsChanged: 3n, tablesChanged: 2n, errors: 0n } });
});
