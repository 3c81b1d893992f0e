import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ingestTables } from '../../src/activities/ingest-tables.ts';
import type { ActivityDeps } from '../../src/activities/runtime/deps.ts';
import { scanTables } from '../../src/activities/scan-tables.ts';
import type { ScanPage } from '../../src/contract/activities.ts';
import { addToChecksum, NO_NAMES } from '../../src/contract/name-checksum.ts';
import { CodedError } from '../../src/errors.ts';
import { ObjectKind } from '../../src/generated/reconciler/internal/v1/bindings.ts';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { connectorSpec, TestCatalog } from '../catalog/harness.ts';
import { SyntheticConnector } from '../synthetic/synthetic-connector.ts';
import { changedIn, namespaceOf, tableName, writeUpstream } from '../synthetic/synthetic-upstream.ts';
import { activityDeps } from './activity-deps.ts';
import { MemoryUpstream } from './memory-upstream.ts';
import { jobRecord, run, STEP } from './run-activity.ts';

const TABLES = 1200;
const folder = mkdtempSync(join(tmpdir(), 'scan-'));
const file = join(folder, 'upstream.json');
let catalog: TestCatalog;
let deps: ActivityDeps;
let connectorId: string;

beforeAll(async () => {
  catalog = await TestCatalog.start();
  const uri = writeUpstream(file, { tables: TABLES, namespaces: 7 });
  deps = activityDeps(catalog, new SyntheticConnector(uri, CodedError));
  ({ connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec({ uri }) }));
});
afterAll(async () => {
  await catalog[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

it('makes small pages if many tables have changed, and large ones if few have', async () => {
  const first = await scanAll();
  expect(first.map(({ changed }) => changed.length)).toEqual([400, 400, 400]);
  for (const { changed: tables } of first) await ingest(tables);

  const unchanged = await scanAll();
  expect(unchanged.map(({ counts }) => counts.tablesScanned)).toEqual([TABLES]);
  expect(unchanged.flatMap(({ changed }) => changed)).toEqual([]);
  // What was listed is what is bound now, also in the scan that found it all changed.
  const { count, checksum } = await catalog.clients.bindings.countBindings({
    connectorId,
    kind: ObjectKind.OBJECT_KIND_TABLE,
  });
  expect(count).toBe(BigInt(TABLES));
  for (const pages of [first, unchanged]) {
    expect(addToChecksum(NO_NAMES, ...pages.map(({ listed }) => listed))).toBe(String(checksum));
  }

  const half = { tables: TABLES, namespaces: 7, round: 1, changedShare: 0.5 };
  writeUpstream(file, half);
  const pages = await scanAll();
  const names = (page: ScanPage[]) => page.flatMap(({ changed }) => changed.map(({ name }) => name)).sort();
  expect(names(pages)).toEqual(changedIn(1, half).map(tableName));
  for (const { changed, cursor } of pages) {
    expect(changed.length).toBeLessThan(500);
    if (cursor) expect(changed.length).toBeGreaterThanOrEqual(400);
  }
}, 180_000);

it('reports all namespaces of a page that may not be listed', async () => {
  const refusing = { tables: TABLES, namespaces: 7, refused: [1, 4] };
  writeUpstream(file, refusing);
  const pages = await scanAll();
  expect(pages.flatMap(({ refused = [] }) => refused.map(({ table, code }) => [table, code]))).toEqual([
    ['namespace n0001', 'PERMISSION_DENIED'],
    ['namespace n0004', 'PERMISSION_DENIED'],
  ]);
  const listed = Array.from({ length: TABLES }, (_, i) => i).filter(
    (table) => !refusing.refused.includes(namespaceOf(table, refusing)),
  );
  expect(pages.reduce((sum, { counts }) => sum + counts.tablesScanned!, 0)).toBe(listed.length);
});

async function scanAll(): Promise<ScanPage[]> {
  const record = jobRecord(connectorId);
  const pages: ScanPage[] = [];
  do {
    const { cursor } = pages.at(-1) ?? {};
    pages.push(await run(() => scanTables(deps, { ...STEP, connectorId, full: false, cursor, record })));
  } while (pages.at(-1)!.cursor);
  return pages;
}

async function ingest(tables: ScanPage['changed']): Promise<void> {
  const outcome = await run(() => ingestTables(deps, { ...STEP, connectorId, tables, full: false, split: false }));
  expect(outcome).toMatchObject({ counts: { tablesChanged: tables.length }, done: tables.length, again: [] });
}

it('captures files of a table whose metadata was not ingested completely', async () => {
  const upstream = new MemoryUpstream();
  upstream.namespaces.push(['n']);
  upstream.tables.push({ namespace: ['n'], name: 'half' });
  const { connectors, bindings, snapshots } = catalog.clients;
  const { connectorId: halfId } = await connectors.createConnector({ connector: connectorSpec() });
  const { namespaceId } = await catalog.namespace();
  const { table } = await bindings.ensureTable({
    ...{ connectorId: halfId, upstream: { namespacePath: ['n'], name: 'half' }, namespaceId, name: 'half' },
    format: TableFormat.TABLE_FORMAT_ICEBERG,
  });
  // A job of mode METADATA_ONLY broke off here.
  const snapshot = { tableId: table?.tableId, snapshotId: 1n, committedAt: new Date(), operation: 'append' };
  await snapshots.createSnapshot({ snapshot, metadataOnly: true });
  const input = { ...STEP, connectorId: halfId, full: false, mode: 'CAPTURE_ONLY' as const, record: jobRecord(halfId) };
  const page = await run(() => scanTables(activityDeps(catalog, upstream), input));
  expect(page).toMatchObject({ counts: { tablesScanned: 1, tablesUnchanged: 0 }, changed: upstream.tables });
});
