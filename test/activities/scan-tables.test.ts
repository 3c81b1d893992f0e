import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ingestTables } from '../../src/activities/ingest-tables.ts';
import type { ActivityDeps } from '../../src/activities/runtime/deps.ts';
import { scanTables } from '../../src/activities/scan-tables.ts';
import type { PageRequest } from '../../src/connectors/spi.ts';
import type { ScanInput, ScanPage } from '../../src/contract/activities.ts';
import { addToChecksum, NO_NAMES } from '../../src/contract/name-checksum.ts';
import type { NamespacePath, TableRef } from '../../src/contract/upstream-names.ts';
import { CodedError } from '../../src/errors.ts';
import { ObjectKind } from '../../src/generated/reconciler/internal/v1/bindings.ts';
import { MissingAction } from '../../src/generated/reconciler/v1/connectors.ts';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { upstreamNameHash } from '../../src/upstream-name-hash.ts';
import { connectorSpec, TestCatalog } from '../catalog/harness.ts';
import { fakeOnly } from '../jest/fake-timers.ts';
import { SyntheticConnector } from '../synthetic/synthetic-connector.ts';
import { changedIn, namespaceOf, tableName, writeUpstream } from '../synthetic/synthetic-upstream.ts';
import { activityDeps } from './activity-deps.ts';
import { MemoryUpstream } from './memory-upstream.ts';
import { attempt, jobRecord, run, STEP, throughJson } from './run-activity.ts';

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

it('counts objects of other kinds as filtered', async () => {
  const { upstream, scan } = await withTables(5);
  const list = upstream.listTables.bind(upstream);
  upstream.listTables = async (namespace, page) => ({ ...(await list(namespace, page)), otherKinds: 3 });
  expect(await run(() => scan())).toMatchObject({ counts: { tablesScanned: 5, tablesFiltered: 6 } });
});

/** Lists its tables with a token per hundred, and records the tokens. */
class PagedUpstream extends MemoryUpstream {
  readonly tokens: (string | undefined)[] = [];
  onList: (token: string | undefined) => void = () => {};

  override async listTables(namespace: NamespacePath, page: PageRequest) {
    if (namespace.length === 0) return { items: [] };
    this.tokens.push(page.token);
    this.onList(page.token);
    return super.listTables(namespace, page);
  }
}

/** A connector of an upstream with this many tables in one namespace. */
async function withTables(
  count: number,
  { prefix = 't', ...fields }: { prefix?: string; [field: string]: unknown } = {},
) {
  const upstream = new PagedUpstream();
  upstream.namespaces.push(['n']);
  for (let i = 0; i < count; i++) upstream.tables.push({ namespace: ['n'], name: `${prefix}${i}` });
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec(fields) });
  const scan = (more: Partial<ScanInput> = {}) =>
    scanTables(activityDeps(catalog, upstream), {
      ...{ ...STEP, connectorId, full: false, record: jobRecord(connectorId) },
      ...more,
    });
  const { namespaceId } = await catalog.namespace();
  /** Binds tables as if they had been ingested in the state that the upstream has. */
  const bind = async (tables: readonly TableRef[]) => {
    for (const { name, namespace } of tables) {
      const upstreamName = { namespacePath: [...namespace], name };
      const { table } = await catalog.clients.bindings.ensureTable({
        ...{ connectorId, upstream: upstreamName, namespaceId, name, format: TableFormat.TABLE_FORMAT_ICEBERG },
      });
      const { tableId } = table!;
      const state = {
        tableId,
        upstream: { connectorId, ...{ namespacePath: ['n'], tableName: name, fingerprint: 'f' } },
      };
      await catalog.clients.ingestion.updateTable({ table: state, updateMask: ['upstream'] });
    }
  };
  const objects = { connectorId, kind: ObjectKind.OBJECT_KIND_TABLE };
  return { upstream, connectorId, scan, bind, objects };
}

/** Pages until the last one, with cursors and checksums as the workflow passes them. */
async function pagesOf(scan: (more: Partial<ScanInput>) => Promise<ScanPage>, more: Partial<ScanInput> = {}) {
  const pages: ScanPage[] = [];
  let listed = NO_NAMES;
  do {
    const { cursor } = pages.at(-1) ?? {};
    pages.push(throughJson(await run(() => scan({ ...more, cursor, listed }))));
    listed = addToChecksum(listed, pages.at(-1)!.listed);
    expect(pages.length).toBeLessThan(100);
  } while (pages.at(-1)!.cursor);
  return pages;
}

const sizes = (pages: ScanPage[]) => pages.map(({ counts }) => counts.tablesScanned);

describe('a page ends', () => {
  afterEach(() => void jest.useRealTimers());

  it('five seconds after its first changed table was found, so that the tables are ingested meanwhile', async () => {
    const { upstream, scan, bind } = await withTables(700, { destination: { namespacePath: ['fx'] } });
    fakeOnly(['performance']);
    upstream.onList = () => void jest.advanceTimersByTime(3_000);
    expect(sizes(await pagesOf(scan))).toEqual([300, 300, 100]);
    // However long it takes to find one.
    await bind(upstream.tables.slice(0, 350));
    const pages = await pagesOf(scan);
    expect(pages.map(({ changed }) => changed.length)).toEqual([250, 100]);
    expect(sizes(pages)).toEqual([600, 100]);
  });

  it('when the names of its changed tables have many bytes', async () => {
    const { scan } = await withTables(250, { prefix: 'x'.repeat(800) });
    expect(sizes(await pagesOf(scan))).toEqual([100, 100, 50]);
  });

  it('when its slice is over, whether tables have changed or not', async () => {
    const { upstream, scan, bind } = await withTables(250, { destination: { namespacePath: ['fx'] } });
    const [whole] = await pagesOf(scan);
    const changed = await pagesOf(scan, { sliceSeconds: 0 });
    expect(sizes(changed)).toEqual([100, 100, 50]);
    expect(changed.flatMap((page) => page.changed)).toEqual(whole!.changed);
    expect(addToChecksum(NO_NAMES, ...changed.map(({ listed }) => listed))).toBe(whole!.listed);
    await bind(upstream.tables);
    const unchanged = await pagesOf(scan, { sliceSeconds: 0 });
    expect(sizes(unchanged)).toEqual([100, 100, 50]);
    expect(unchanged.flatMap((page) => page.changed)).toEqual([]);
  });
});

it('the next attempt continues from the heartbeat, and lists nothing twice', async () => {
  const { upstream, scan } = await withTables(350);
  const whole = await run(() => scan({ listed: NO_NAMES }));
  upstream.onList = (token) => {
    if (token === '200') throw new CodedError('UNAVAILABLE', 'cut');
  };
  const { outcome, last } = await attempt(scan);
  expect(outcome).toMatchObject({ reason: { code: 'UNAVAILABLE' } });
  expect(last).toMatchObject({ counts: { tablesScanned: 200 } });
  upstream.onList = () => {};
  upstream.tokens.length = 0;
  const again = await run(() => scan({ listed: NO_NAMES }), { heartbeatDetails: last });
  expect(again).toEqual(whole);
  expect(upstream.tokens).toEqual(['200', '300']);
});

describe('nothing is gone', () => {
  let connection: Awaited<ReturnType<typeof withTables>>;
  const table = (name: string) => ({ namespace: ['n'], name });
  beforeEach(async () => {
    connection = await withTables(3);
    await connection.bind(connection.upstream.tables);
  });
  const nothingGone = async (more: Partial<ScanInput> = {}) =>
    (await run(() => connection.scan({ listed: NO_NAMES, ...more }))).nothingGone;

  it('if exactly what is bound was listed, in any order', async () => {
    expect(await nothingGone()).toBe(true);
    connection.upstream.tables.reverse();
    expect(await nothingGone()).toBe(true);
  });

  it('only if all pages together listed it, and after the last of them', async () => {
    connection = await withTables(150);
    await connection.bind(connection.upstream.tables.slice(0, 100));
    const first = await pagesOf(connection.scan, { sliceSeconds: 0 });
    expect(first.map((page) => page.nothingGone)).toEqual([undefined, undefined]);
    await connection.bind(connection.upstream.tables.slice(100));
    const pages = await pagesOf(connection.scan, { sliceSeconds: 0 });
    expect(pages.map((page) => page.nothingGone)).toEqual([undefined, true]);
    const { cursor } = pages[0]!;
    expect(await nothingGone({ cursor })).toBeUndefined();
  });

  it.each<[string, (tables: TableRef[]) => void]>([
    ['a new table, which may fail to come in', (tables) => tables.push(table('new'))],
    ['a table less', (tables) => tables.pop()],
    ['another name of a table', (tables) => tables.splice(1, 1, table('renamed'))],
    ['no table', (tables) => tables.splice(0)],
  ])('is not certain if the upstream has %s', async (_, change) => {
    change(connection.upstream.tables);
    expect(await nothingGone()).toBeUndefined();
  });

  it('is not certain after a rename whose new name is bound, or if two pages have the same name', async () => {
    const { upstream, bind } = connection;
    await bind([table('renamed')]);
    upstream.tables.splice(1, 1, table('renamed'));
    expect(await nothingGone()).toBeUndefined();
    connection = await withTables(3);
    await connection.bind(connection.upstream.tables);
    // A listing that shifted: as many names as there are tables.
    const first = addToChecksum(NO_NAMES, upstreamNameHash(['n'], 't0'));
    connection.upstream.tables.splice(2);
    expect(await nothingGone({ listed: first })).toBeUndefined();
  });

  it('if what the upstream lacks is marked already', async () => {
    const { upstream, objects } = connection;
    const names = [{ namespacePath: ['n'], name: 't1' }];
    const { bindings } = await catalog.clients.bindings.lookupBindings({ ...objects, names });
    upstream.tables.splice(1, 1);
    expect(await nothingGone()).toBeUndefined();
    await catalog.clients.bindings.markMissing({ ...objects, objectIds: [bindings[0]!.objectId] });
    expect(await nothingGone()).toBe(true);
  });

  it('is not looked for by a run that is narrowed', async () => {
    expect(await nothingGone({ listed: undefined })).toBeUndefined();
  });

  it.each<[string, Record<string, unknown>, Partial<ScanInput>]>([
    ['keeps what is gone', { policy: { missing: { action: MissingAction.MISSING_ACTION_KEEP } } }, {}],
    ['takes a single table', { source: { namespacePath: ['n'], table: 't0' } }, {}],
    ['captures files only', {}, { mode: 'CAPTURE_ONLY' }],
  ])('does not matter if a job %s', async (_, fields, more) => {
    connection = await withTables(3, fields);
    await connection.bind(connection.upstream.tables);
    connection.upstream.tables.splice(1, 1);
    expect(await nothingGone(more)).toBe(true);
    expect(await nothingGone({ ...more, listed: undefined })).toBeUndefined();
  });
});
