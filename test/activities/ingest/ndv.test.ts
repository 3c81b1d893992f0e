import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { ingestTable } from '../../../src/activities/ingest/ingest-table.ts';
import { OutcomeList } from '../../../src/activities/outcomes/outcome-list.ts';
import { DestinationNamespaces } from '../../../src/activities/plan/destination-namespaces.ts';
import { scanTables } from '../../../src/activities/scan-tables.ts';
import { openDirectory } from '../../../src/connectors/directory/open-directory.ts';
import type { TableCursor } from '../../../src/contract/activities.ts';
import type { ReconcileScope } from '../../../src/contract/job.ts';
import { CodedError } from '../../../src/errors.ts';
import { IcebergTableReader } from '../../../src/formats/iceberg/table-reader.ts';
import { losslessJson, parseLosslessJson } from '../../../src/formats/json/lossless-json.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import type { ColumnStats } from '../../../src/generated/reconciler/v1/statistics.ts';
import { decodeCompactTheta, THETA_TYPE } from '../../../src/stats/ndv/compact-theta.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import { TestCatalog } from '../../catalog/harness.ts';
import { poll } from '../../jest/poll.ts';
import { activityDeps } from '../activity-deps.ts';
import { run as inActivity, jobRecord, STEP, throughJson } from '../run-activity.ts';

/** A table with its data files, written by Spark: test/generators/ndv_table.py. */
const MADE = join(import.meta.dirname, '../../fixtures/made/ndv');
const { snapshots: TRUTH } = JSON.parse(readFileSync(join(MADE, 'truth.json'), 'utf8')) as {
  snapshots: { snapshot_id: string; distinct: Record<string, number>; puffin_ndv: Record<string, number> }[];
};
const TABLE = { namespace: ['db'], name: 'sketched' };
const FILES = readdirSync(join(MADE, 'wh/db/sketched/data'));

/** Records which files were read. */
class WatchedStore extends FileStore {
  reads: string[] = [];
  fault: ((path: string) => void) | undefined;

  override async read(path: string, options: { maxBytes: number; start?: number; end?: number }) {
    if (/\/data\/|\.stats$/.test(path)) {
      if (path.includes('/data/')) this.reads.push(path.split('/').at(-1) as string);
      this.fault?.(path);
    }
    return super.read(path, options);
  }
}

let catalog: TestCatalog;
let warehouse: string;
let store: WatchedStore;
let log: string[];
let connectors = 0;

beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());
beforeEach(() => {
  warehouse = mkdtempSync(join(tmpdir(), 'ndv-'));
  cpSync(join(MADE, 'wh'), warehouse, { recursive: true });
  store = new WatchedStore();
  log = [];
});
afterEach(() => rmSync(warehouse, { recursive: true, force: true }));

/** Creates a connector with these properties. @returns a function that ingests its table once */
async function connect(properties: Record<string, string>, columns: string[] = []) {
  const connector = await catalog.clients.connectors.createConnector({
    connector: {
      displayName: `ndv${connectors++}`,
      kind: 'CONNECTOR_KIND_ICEBERG' as never,
      uri: `file://${warehouse}`,
      properties,
      source: { columns },
    },
  });
  const upstream = await openDirectory(store, warehouse);
  const logger = pino({ level: 'warn' }, { write: (line: string) => void log.push(line) });
  const ingest = async (full: boolean, scope?: ReconcileScope) => {
    store.reads = [];
    await ingestTable({
      deps: { catalog: catalog.clients, logger },
      connector,
      upstream,
      table: TABLE,
      full,
      scope,
      heartbeat: { beat() {}, signal: new AbortController().signal },
      namespaces: new DestinationNamespaces({ catalog: catalog.clients }, connector),
      outcomes: new OutcomeList({ catalog: catalog.clients, logger }),
    });
    const { connectorId } = connector;
    const { bindings } = await catalog.clients.bindings.listBindings({
      connectorId,
      kind: ObjectKind.OBJECT_KIND_TABLE,
    });
    return bindings[0]!.objectId;
  };
  /** Whether an incremental run considers the table changed. */
  const isChanged = async () => {
    const deps = activityDeps(catalog, upstream, logger);
    const { connectorId } = connector;
    const input = { ...STEP, connectorId, full: false, record: jobRecord(connectorId) };
    const page = await inActivity(() => scanTables(deps, input));
    return page.changed.some(({ name }) => name === TABLE.name);
  };
  /** A slice that is over when it begins, or never. Its pages have one file each. */
  const slice = async (cursor?: TableCursor, { full = false, isOver = true } = {}) => {
    store.reads = [];
    const { ingestion } = catalog.clients;
    const tokens: string[] = [];
    const listFilesToSketch: typeof ingestion.listFilesToSketch = (request, options) => {
      tokens.push(request.pageToken ?? '');
      return ingestion.listFilesToSketch({ ...request, pageSize: 1 }, options);
    };
    const clients = { ...catalog.clients, ingestion: { ...ingestion, listFilesToSketch } };
    const outcome = await ingestTable({
      ...{ deps: { catalog: clients, logger }, connector, upstream, table: TABLE, full },
      heartbeat: { beat() {}, signal: new AbortController().signal, isOver: () => isOver },
      namespaces: new DestinationNamespaces({ catalog: catalog.clients }, connector),
      outcomes: new OutcomeList({ catalog: catalog.clients, logger }),
      resume: cursor && { counts: {}, cursor },
    });
    return { ...throughJson(outcome), tokens, files: new Set(store.reads) };
  };
  /** Slices until only files are left to be sketched. @returns the last one */
  const slicesToFiles = async (full = false) => {
    for (let cursor: TableCursor | undefined; ; ) {
      const outcome = await slice(cursor, { full });
      ({ cursor } = outcome);
      if (cursor?.sketches) return { ...outcome, cursor };
      expect(cursor).toBeDefined();
    }
  };
  return Object.assign((full = false, scope?: ReconcileScope) => ingest(full, scope), {
    isChanged,
    slice,
    slicesToFiles,
    displayName: connector.displayName,
    connector,
  });
}

/** By column id. */
async function columns(tableId: string, snapshot: number): Promise<Map<string, ColumnStats>> {
  const snapshotId = BigInt(TRUTH[snapshot]!.snapshot_id);
  const { columns } = await catalog.clients.statistics.listColumnStats({ tableId, snapshotId });
  return new Map(columns.map((column) => [String(column.columnId), column]));
}

function hashes({ hashes }: { hashes: Uint32Array }): bigint[] {
  return Array.from(
    { length: hashes.length / 2 },
    (_, i) => (BigInt(hashes[i * 2 + 1]!) << 32n) | BigInt(hashes[i * 2]!),
  );
}

/** The table's earlier state, without its newest snapshots. */
function rewind(snapshots: number): () => void {
  const folder = join(warehouse, 'db/sketched/metadata');
  const file = join(folder, readdirSync(folder).find((name) => name.endsWith('.metadata.json'))!);
  const text = readFileSync(file, 'utf8');
  const metadata = parseLosslessJson(text) as { snapshots: { 'snapshot-id': string }[] } & Record<string, unknown>;
  metadata.snapshots = metadata.snapshots.slice(0, snapshots);
  const current = metadata.snapshots.at(-1)!['snapshot-id'];
  metadata['current-snapshot-id'] = current;
  metadata.refs = { main: { 'snapshot-id': current, type: 'branch' } };
  metadata.statistics = [];
  writeFileSync(file, losslessJson(metadata));
  return () => writeFileSync(file, `${text} `);
}

describe('distinct values', () => {
  it('come from Puffin files, only for the snapshots that these name', async () => {
    const tableId = await (await connect({}))();
    for (const [index, { puffin_ndv: truth }] of TRUTH.entries()) {
      for (const [id, { ndv }] of await columns(tableId, index)) {
        const reported = ndv && Number(ndv.exact ?? ndv.estimate);
        expect([id, reported]).toEqual([id, truth[id]]);
        if (!ndv) continue;
        expect(ndv.exact === undefined).toBe(reported! > 4096);
        expect(ndv.sketches[0]?.type).toBe(THETA_TYPE);
        expect(decodeCompactTheta(ndv.sketches[0]!.data)!.hashes.length).toBeGreaterThan(0);
      }
    }
    expect(store.reads).toEqual([]);
  });

  it('leave no Puffin file open if the catalog does not answer', async () => {
    const ingest = await connect({ 'stats.ndv.enabled': 'true' });
    const { statistics } = catalog.clients;
    const { putColumnStats } = statistics;
    const { columnSketches } = IcebergTableReader.prototype;
    const files = { opened: 0, closed: 0 };
    IcebergTableReader.prototype.columnSketches = async function* (...args) {
      files.opened++;
      try {
        yield* columnSketches.apply(this, args);
      } finally {
        files.closed++;
      }
    };
    // As a call does that is cancelled before it begins.
    const failing = { putColumnStats: async () => Promise.reject(new Error('away')) };
    Object.assign(statistics, failing);
    try {
      await expect(ingest()).rejects.toThrow('away');
    } finally {
      Object.assign(statistics, { putColumnStats });
      IcebergTableReader.prototype.columnSketches = columnSketches;
    }
    expect(files.opened).toBeGreaterThan(0);
    expect(files.closed).toBe(files.opened);
  });

  it('are estimated from data files for every snapshot if a connector asks for it', async () => {
    const run = await connect({ 'stats.ndv.enabled': 'true' });
    const tableId = await run();
    expect([...new Set(store.reads)].sort()).toEqual(FILES);
    for (const index of [0, 3]) {
      for (const [id, truth] of Object.entries(TRUTH[index]!.distinct)) {
        const { ndv } = (await columns(tableId, index)).get(id)!;
        if (ndv?.exact !== undefined) expect([id, Number(ndv.exact)]).toEqual([id, truth]);
        else expect(Math.abs(ndv!.estimate! - truth) / truth).toBeLessThanOrEqual(3 * ndv!.relativeError!);
        expect(ndv!.exact !== undefined).toBe(truth <= 512);
      }
    }
    // The second snapshot, which Spark's procedure has sketched, contains the values of the first, and so their hashes.
    const [first, second] = [await columns(tableId, 0), await columns(tableId, 1)];
    for (const [id, { ndv }] of first) {
      const [ours, theirs] = [ndv!, second.get(id)!.ndv!].map(
        (column) => decodeCompactTheta(column.sketches[0]!.data)!,
      );
      const known = new Set(hashes(theirs!));
      const below = hashes(ours!).filter((hash) => hash < BigInt(theirs!.thetaHigh) << 32n);
      expect(below.length).toBeGreaterThan(1);
      expect([id, below.filter((hash) => !known.has(hash))]).toEqual([id, []]);
    }
    const [ours, theirs] = [first.get('3')!.ndv!, second.get('3')!.ndv!];
    expect(ours.sketches[0]!.data.equals(theirs.sketches[0]!.data)).toBe(true);
  });

  it('read each file once in its lifetime', async () => {
    const wholeTable = rewind(2);
    const run = await connect({ 'stats.ndv.enabled': 'true' });
    await run();
    expect(new Set(store.reads).size).toBe(2);
    const before = new Set(store.reads);
    await run();
    expect(store.reads).toEqual([]);
    wholeTable();
    const tableId = await run();
    expect(new Set(store.reads)).toEqual(new Set(FILES.filter((file) => !before.has(file))));
    expect(Number((await columns(tableId, 3)).get('4')!.ndv!.exact)).toBe(TRUTH[3]!.distinct['4']);
    await run(true);
    expect(store.reads).toEqual([]);
  });

  it.each([
    [{ 'stats.ndv.max_files': '2' }, 2],
    [{ 'stats.ndv.max_files': '1' }, 1],
    [{ 'stats.ndv.sample_fraction': '0.000001' }, 0],
  ])('are estimated from a bounded sample: %o', async (properties, files) => {
    const tableId = await (await connect({ 'stats.ndv.enabled': 'true', ...properties }))();
    expect(new Set(store.reads).size).toBe(files);
    const { ndv } = (await columns(tableId, 3)).get('3')!;
    if (files === 0) return expect(ndv).toBeUndefined();
    expect(ndv!.exact).toBeUndefined();
    expect(ndv!.estimate! / TRUTH[3]!.distinct['3']!).toBeGreaterThan(0.5);
    expect(ndv!.estimate! / TRUTH[3]!.distinct['3']!).toBeLessThan(Math.sqrt(17) * 1.1);
  });

  it('leave out a file that cannot be read, with a warning, until a full run', async () => {
    const broken = join(warehouse, 'db/sketched/data', FILES[0]!);
    const bytes = readFileSync(broken);
    writeFileSync(broken, bytes.subarray(0, -100));
    const run = await connect({ 'stats.ndv.enabled': 'true' });
    const tableId = await run();
    expect(log.join()).toMatch(/data files cannot be read.*"failures":1|"failures":1.*data files cannot be read/);
    const { ndv } = (await columns(tableId, 3)).get('3')!;
    expect(ndv).toMatchObject({ exact: undefined, estimate: 300 });
    await run();
    expect(store.reads).toEqual([]);
    writeFileSync(broken, bytes);
    await run(true);
    expect(new Set(store.reads)).toEqual(new Set([FILES[0]]));
    expect((await columns(tableId, 3)).get('3')!.ndv!.exact).toBe(300n);
  });

  it('are left out if data files may not be read, until a full run or a change', async () => {
    store.fault = (path) => {
      throw new CodedError('PERMISSION_DENIED', `cannot read ${path}`);
    };
    const run = await connect({ 'stats.ndv.enabled': 'true' });
    const tableId = await run();
    expect(log.join()).toContain('data files may not be read');
    expect((await columns(tableId, 3)).get('3')!.ndv).toBeUndefined();
    store.fault = undefined;
    expect(await run.isChanged()).toBe(false);
    await run(true);
    expect((await columns(tableId, 3)).get('3')!.ndv!.exact).toBe(300n);
  });

  it.each(['UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'UNAUTHENTICATED'] as const)(
    'are ingested by the next run if storage was %s: until then the table can be read, and counts as changed',
    async (code) => {
      store.fault = (path) => {
        throw new CodedError(code, `cannot read ${path}`);
      };
      const run = await connect({ 'stats.ndv.enabled': 'true' });
      await expect(run()).rejects.toMatchObject({ code });
      const text = `${run.displayName}.db.sketched`;
      const { tableId: named } = await catalog.clients.directory.resolve({
        name: { $case: 'text', value: text },
        object: true,
      });
      const { currentSnapshotId } = await catalog.clients.tables.getTable({ tableId: named });
      expect(currentSnapshotId).toBe(BigInt(TRUTH.at(-1)!.snapshot_id));
      expect(await run.isChanged()).toBe(true);
      store.fault = undefined;
      const tableId = await run();
      expect((await columns(tableId, 3)).get('3')!.ndv!.exact).toBe(300n);
      expect(await run.isChanged()).toBe(false);
    },
  );

  it.each(['data files', 'Puffin files'])('from %s cover all columns, whatever the scope of a run', async (from) => {
    const run = await connect(from === 'Puffin files' ? {} : { 'stats.ndv.enabled': 'true' });
    const tableId = await run(false, { columns: ['#3'] });
    const found = await columns(tableId, from === 'Puffin files' ? 1 : 3);
    expect([...found.values()].filter(({ ndv }) => ndv !== undefined).length).toBeGreaterThan(1);
  });

  it('follow the columns of the connector', async () => {
    const run = await connect({ 'stats.ndv.enabled': 'true' }, ['#3']);
    const ids = async (tableId: string, snapshot: number) =>
      [...(await columns(tableId, snapshot))].flatMap(([id, { ndv }]) => (ndv === undefined ? [] : [id]));
    const tableId = await run();
    expect([await ids(tableId, 1), await ids(tableId, 3)]).toEqual([['3'], ['3']]);
    run.connector.source!.columns = ['#3', '#4'];
    await run(true);
    expect([await ids(tableId, 1), await ids(tableId, 3)]).toEqual([
      ['3', '4'],
      ['3', '4'],
    ]);
    await run(true);
    expect(store.reads).toEqual([]);
  });

  it('are left out if a Puffin file is broken, with a warning, and retried if storage is unavailable', async () => {
    const folder = join(warehouse, 'db/sketched/metadata');
    const stats = join(folder, readdirSync(folder).find((name) => name.endsWith('.stats'))!);
    const run = await connect({});
    store.fault = (path) => {
      if (path.endsWith('.stats')) throw new CodedError('UNAVAILABLE', `cannot read ${path}`);
    };
    await expect(run()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await run.isChanged()).toBe(true);
    store.fault = undefined;
    const bytes = readFileSync(stats);
    writeFileSync(stats, bytes.subarray(0, -20));
    await run();
    expect(log.join()).toContain('does not end like a Puffin file');
    writeFileSync(stats, bytes);
    const tableId = await run(true);
    expect((await columns(tableId, 1)).get('3')!.ndv).toBeDefined();
  });

  it('are left out if the catalog refuses the contents of a statistics file: the table is ingested, with a warning', async () => {
    const { columnSketches } = IcebergTableReader.prototype;
    try {
      IcebergTableReader.prototype.columnSketches = async function* () {
        yield { columnId: -1, exact: 1, sketch: { type: THETA_TYPE, data: new Uint8Array(8) } };
      };
      await (await connect({}))();
    } finally {
      IcebergTableReader.prototype.columnSketches = columnSketches;
    }
    expect(log.join()).toContain('column.column_id');
  });

  it.each([false, true])(
    'stop after a page of files when the slice is over, and continue there: full %s',
    async (full) => {
      const run = await connect({ 'stats.ndv.enabled': 'true' });
      // A full rescan reads only files that could not be read before.
      if (full) {
        store.fault = (path) => {
          if (path.includes('/data/')) throw new CodedError('DATA_LOSS', `cannot read ${path}`);
        };
        await run();
        store.fault = undefined;
      }
      const read = new Set<string>();
      let { cursor, files } = await run.slicesToFiles(full);
      for (let slices = 1; ; slices++) {
        expect(files.size).toBeLessThanOrEqual(1);
        for (const file of files) expect(read).not.toContain(file);
        for (const file of files) read.add(file);
        if (slices === 1) expect(await run.isChanged()).toBe(true);
        if (cursor === undefined) break;
        const next = await run.slice(cursor, { full });
        expect(next.tokens[0]).toBe(cursor.sketches);
        ({ cursor, files } = { cursor: next.cursor as typeof cursor, files: next.files });
      }
      expect([...read].sort()).toEqual(FILES);
      expect(await run.isChanged()).toBe(false);
      expect(Number((await columns(await run(), 3)).get('4')!.ndv!.exact)).toBe(TRUTH[3]!.distinct['4']);
    },
  );

  it('begin with the first page again if the table has changed since the last slice', async () => {
    const wholeTable = rewind(2);
    const run = await connect({ 'stats.ndv.enabled': 'true' });
    const { cursor } = await run.slicesToFiles();
    wholeTable();
    // New files may come before the cursor.
    expect((await run.slice(cursor, { isOver: false })).tokens[0]).toBe('');
    expect(Number((await columns(await run(), 3)).get('4')!.ndv!.exact)).toBe(TRUTH[3]!.distinct['4']);
    expect(store.reads).toEqual([]);
  });

  it('begin with the first page again if the connector has changed since the last slice', async () => {
    const run = await connect({ 'stats.ndv.enabled': 'true', 'stats.ndv.max_files': '3' });
    let { cursor }: { cursor?: TableCursor } = await run.slicesToFiles();
    delete run.connector.properties['stats.ndv.max_files'];
    while (cursor) ({ cursor } = await run.slice(cursor));
    expect(Number((await columns(await run(), 3)).get('4')!.ndv!.exact)).toBe(TRUTH[3]!.distinct['4']);
    expect(await run.isChanged()).toBe(false);
  });

  it('are deleted with the table', async () => {
    const tableId = await (await connect({ 'stats.ndv.enabled': 'true' }))();
    await columns(tableId, 3);
    const { Sqlite } = await import('../../../src/catalog/store/database/sqlite.ts');
    const sketches = () => {
      const db = new Sqlite(catalog.file, { readonly: true });
      const count = db
        .prepare(
          `select (select count(*) from file_sketches where file_num in (select file_num from files f join table_contents c
             on c.table_num = f.table_num where c.table_id = ?)) +
           (select count(*) from derived_ndv where table_num in (select table_num from table_contents where table_id = ?)) as n,
           (select count(*) from file_sketches where file_num not in (select file_num from files)) as orphans`,
        )
        .get(tableId, tableId);
      db.close();
      return count;
    };
    expect(sketches()).toEqual({ n: FILES.length + 10, orphans: 0 });
    await catalog.clients.tables.deleteTable({ tableId });
    await poll(sketches).toEqual({ n: 0, orphans: 0 });
  });
});
