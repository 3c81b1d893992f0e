import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { ingestTable } from '../../src/activities/ingest-table.ts';
import { scanTables } from '../../src/activities/scan-tables.ts';
import { openDirectory } from '../../src/connectors/directory/open-directory.ts';
import type { JobClaim, ScanPage } from '../../src/contract/activities.ts';
import type { ReconcileRequest, SnapshotSelection } from '../../src/contract/job.ts';
import { ObjectKind } from '../../src/generated/reconciler/internal/v1/bindings.ts';
import { FileStore } from '../../src/storage/file-store.ts';
import { activityDeps } from '../activities/activity-deps.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../catalog/harness.ts';
import { newProgress } from '../synthetic/new-progress.ts';
import { differences, type Selected } from './contents/compare-truth.ts';
import { readTruth, type Truth } from './contents/truth.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures');
const MADE = join(FIXTURES, 'made/iceberg');

// Every test compares whole tables with the engines' reports several times.
jest.setTimeout(240_000);

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

/** A warehouse with its own connector, and the content of its tables according to the engines. */
class Lake {
  readonly #deps: ReturnType<typeof activityDeps>;
  readonly connectorId: string;
  truth: Map<string, Truth>;

  private constructor(deps: ReturnType<typeof activityDeps>, connectorId: string, truth: Map<string, Truth>) {
    this.#deps = deps;
    this.connectorId = connectorId;
    this.truth = truth;
  }

  static async open(folder: string, truth: Map<string, Truth>, fields: object = {}): Promise<Lake> {
    const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec(fields) });
    const deps = activityDeps(catalog, await openDirectory(new FileStore(), folder));
    return new Lake(deps, connectorId, truth);
  }

  /** Runs a job's activities as the workflow does. */
  async run(request: Pick<ReconcileRequest, 'snapshots' | 'mode' | 'full'> = {}) {
    const { connectorId } = this;
    // Without a claim, nothing is compared with it.
    const claim = { connectorId } as JobClaim;
    const input = { ...claim, step: '1', sliceSeconds: 60, ...request, full: request.full ?? false };
    const sum = { scanned: 0, unchanged: 0, filtered: 0, opened: 0, changed: 0, snapshots: 0, files: 0 };
    let cursor: ScanPage['cursor'];
    do {
      const record = {
        ...{ jobId: 'job', runId: '', connectorId, connectorName: '', message: '', failures: [] },
        progress: { ...newProgress(), state: 'JS_RUNNING' as const },
      };
      const page = await env(() => scanTables(this.#deps, { ...input, cursor, record }));
      sum.scanned += page.counts.tablesScanned ?? 0;
      sum.unchanged += page.counts.tablesUnchanged ?? 0;
      sum.filtered += page.counts.tablesFiltered ?? 0;
      for (const table of page.changed) {
        if (!this.truth.has([...table.namespace, table.name].join('.'))) continue;
        const { changed, counts } = await env(() => ingestTable(this.#deps, { ...input, table, split: false }));
        sum.opened += 1;
        sum.changed += changed ? 1 : 0;
        sum.snapshots += counts.snapshotsIngested ?? 0;
        sum.files += counts.filesIngested ?? 0;
      }
      cursor = page.cursor;
    } while (cursor);
    return sum;
  }

  async tableId(fullName: string): Promise<string> {
    const path = fullName.split('.');
    const name = { namespacePath: path.slice(0, -1), name: path.at(-1) as string };
    const { connectorId } = this;
    const request = { connectorId, kind: ObjectKind.OBJECT_KIND_TABLE, names: [name] };
    const { bindings } = await catalog.clients.bindings.lookupBindings(request);
    return bindings[0]?.objectId as string;
  }

  /** Differences from the truth, by table. */
  async differences(selected: (truth: Truth) => Selected = () => ({})): Promise<Record<string, string[]>> {
    const found: Record<string, string[]> = {};
    for (const [name, truth] of this.truth) {
      const different = await differences(catalog.clients, await this.tableId(name), truth, selected(truth));
      if (different.length > 0) found[name] = different.slice(0, 5);
    }
    return found;
  }
}

const env = <T>(work: () => Promise<T>): Promise<T> => new MockActivityEnvironment().run(work) as Promise<T>;

/** Returns the truth of the intact tables in these namespaces. */
function truthOf(folder: string, ...namespaces: string[]): Map<string, Truth> {
  return new Map([...readTruth(folder)].filter(([name]) => namespaces.includes(name.split('.')[0] as string)));
}
const shared = () => Lake.open(join(FIXTURES, 'iceberg/wh'), truthOf(join(FIXTURES, 'iceberg/truth'), 'fx'), FX);
const FX = { source: { namespacePath: ['fx'] } };

/** Returns the newest `count` snapshots of each branch, computed only from the truth. */
function newest(truth: Truth, count: number, branches?: string[]): Set<string> {
  const parents = new Map(truth.snapshots.map((s) => [String(s.snapshot_id), s.parent_id && String(s.parent_id)]));
  const heads = Object.entries(truth.refs).filter(([name, { type }]) => type === 'branch' && has(branches, name));
  const ids = heads.map(([, ref]) => String(ref.snapshot_id));
  if (truth.current_snapshot_id !== null && has(branches, 'main')) ids.push(String(truth.current_snapshot_id));
  const taken = new Set<string>();
  for (const head of ids) {
    for (let [id, n] = [head as string | null | undefined, 0]; id && parents.has(id) && n < count; n += 1) {
      taken.add(id);
      id = parents.get(id);
    }
  }
  return taken;
}
const has = (names: string[] | undefined, name: string) => names === undefined || names.includes(name);

const latest = (count: number, branches?: string[]): SnapshotSelection => ({
  kind: 'LATEST_N',
  latest: count,
  ...(branches && { branches }),
});
const selecting = (count: number, branches?: string[]) => (truth: Truth) => {
  const ids = newest(truth, count, branches);
  return { taken: (id: string) => ids.has(id) };
};
const ALL: SnapshotSelection = { kind: 'ALL' };

describe('a snapshot selection', () => {
  it.each([
    ['iceberg', ['fx']],
    ['made/iceberg', ['mk', 'inc']],
  ])('takes the current snapshots of %s as engines report them, and all when widened', async (set, namespaces) => {
    const truth = truthOf(join(FIXTURES, set, 'truth'), ...namespaces);
    // The names of the truth files do not show the namespace levels of this table.
    truth.delete('mk.deep.er.leaf');
    const lake = await Lake.open(join(FIXTURES, set, 'wh'), truth);
    const first = await lake.run({ snapshots: { kind: 'CURRENT' } });
    expect(first.opened).toBe(truth.size);
    expect(await lake.differences(selecting(1))).toEqual({});
    // The same selection finds nothing new and opens no table.
    expect(await lake.run({ snapshots: { kind: 'CURRENT' } })).toMatchObject({ opened: 0, changed: 0 });

    const wider = await lake.run();
    const snapshots = [...truth.values()].reduce((sum, table) => sum + table.snapshots.length, 0);
    expect(first.snapshots + wider.snapshots).toBe(snapshots);
    expect(await lake.differences()).toEqual({});
    expect(await lake.run()).toMatchObject({ opened: 0 });
    // All snapshots of this state are in the catalog, so no other selection finds more.
    expect(await lake.run({ snapshots: { kind: 'CURRENT' } })).toMatchObject({ opened: 0 });
    expect(await lake.run({ full: true })).toMatchObject({ opened: truth.size, changed: 0, snapshots: 0, files: 0 });
    expect(await lake.differences()).toEqual({});
  });

  it('takes the newest snapshots of named branches, step by step', async () => {
    const lake = await shared();
    const main = ['main'];
    const counts: number[] = [];
    for (const count of [1, 2, 4]) {
      counts.push((await lake.run({ snapshots: latest(count, main) })).snapshots);
      expect(await lake.differences(selecting(count, main))).toEqual({});
    }
    expect(Math.min(...counts)).toBeGreaterThan(5);
    // A smaller selection removes nothing.
    expect(await lake.run({ snapshots: latest(1, main) })).toMatchObject({ changed: 0, snapshots: 0 });
    expect(await lake.differences(selecting(4, main))).toEqual({});
    expect(await lake.run({ snapshots: latest(1, main), full: true })).toMatchObject({ changed: 0 });
    await lake.run({ snapshots: { kind: 'ALL', branches: ['main', 'audit'] } });
    expect(await lake.differences(selecting(1000, ['main', 'audit']))).toEqual({});
    await lake.run({ snapshots: latest(2) });
    await lake.run();
    expect(await lake.differences()).toEqual({});
  });

  it('takes the snapshots with the given ids, and requests for another current snapshot fail with the reason', async () => {
    const lake = await shared();
    const ids = [...lake.truth.values()].flatMap((truth) =>
      truth.snapshots.slice(1, 3).map((s) => String(s.snapshot_id)),
    );
    await lake.run({ snapshots: { kind: 'EXPLICIT', snapshotIds: ids } });
    expect(await lake.differences(() => ({ taken: (id) => ids.includes(id) }))).toEqual({});

    const tableId = await lake.tableId('fx.many_snapshots');
    const truth = lake.truth.get('fx.many_snapshots') as Truth;
    const { plans, statistics, snapshots } = catalog.clients;
    const currentSnapshotId = BigInt(truth.current_snapshot_id as number);
    const notIngested = refusal('FAILED_PRECONDITION', `snapshot ${currentSnapshotId}, the current one of table`);
    expect(await failure(plans.getPlan({ tableId }))).toEqual(notIngested);
    expect(await failure(statistics.getTableStats({ tableId }))).toEqual(notIngested);
    expect((await failure(snapshots.getSnapshot({ tableId, snapshotId: currentSnapshotId }))).code).toBe('NOT_FOUND');
    // The snapshot that was current at that time was not ingested.
    const asOf = new Date(Number(truth.snapshots[1]?.timestamp_ms));
    expect(await failure(plans.getPlan({ tableId, asOf }))).toEqual(refusal('FAILED_PRECONDITION', 'is not known'));

    await lake.run();
    expect(await lake.differences()).toEqual({});
    expect((await plans.getPlan({ tableId, asOf })).snapshotId).toBe(BigInt(truth.snapshots[1]?.snapshot_id as string));
  });

  it('of the connector applies to runs that specify none', async () => {
    const lake = await Lake.open(join(FIXTURES, 'iceberg/wh'), truthOf(join(FIXTURES, 'iceberg/truth'), 'fx'), {
      source: { namespacePath: ['fx'], snapshots: { kind: 'SNAPSHOT_SELECTION_KIND_LATEST_N', latest: 2 } },
    });
    await lake.run();
    expect(await lake.differences(selecting(2))).toEqual({});
    const { opened } = await lake.run({ snapshots: latest(3) });
    expect(opened).toBe(lake.truth.size);
    // Both selections find all their snapshots of the same state in the catalog.
    expect(await lake.run()).toMatchObject({ opened: 0 });
    expect(await lake.run({ snapshots: latest(3) })).toMatchObject({ opened: 0 });
    expect(await lake.differences(selecting(3))).toEqual({});
  });

  it('follows tables that change, and takes the snapshots in between when it is widened', async () => {
    const warehouse = mkdtempSync(join(tmpdir(), 'reconciler-selection-'));
    try {
      cpSync(join(MADE, 'before'), warehouse, { recursive: true });
      const before = truthOf(join(MADE, 'before-truth'), 'inc');
      const lake = await Lake.open(warehouse, before);
      await lake.run({ snapshots: { kind: 'CURRENT' } });
      expect(await lake.differences(selecting(1))).toEqual({});

      for (const table of readdirSync(join(warehouse, 'inc')).filter((name) => name !== 'unchanged')) {
        rmSync(join(warehouse, 'inc', table), { recursive: true });
        const to = join(warehouse, 'inc', table);
        cpSync(join(MADE, 'wh/inc', table), to, { recursive: true, preserveTimestamps: true });
      }
      lake.truth = truthOf(join(MADE, 'truth'), 'inc');
      await lake.run({ snapshots: { kind: 'CURRENT' } });
      const selectedTwice = (truth: Truth, name: string) => {
        const earlier = before.get(name);
        const ids = new Set([...newest(truth, 1), ...(earlier ? newest(earlier, 1) : [])]);
        return { taken: (id: string) => ids.has(id) };
      };
      for (const [name, truth] of lake.truth) {
        const tableId = await lake.tableId(name);
        expect({ name, ...(await differences(catalog.clients, tableId, truth, selectedTwice(truth, name))) }).toEqual({
          name,
        });
      }
      // Snapshots outside of the selection are not marked as expired.
      const { snapshots } = await catalog.clients.snapshots.listSnapshots({
        tableId: await lake.tableId('inc.appended'),
        showExpired: true,
      });
      expect(snapshots.some(({ expiredAt }) => expiredAt)).toBe(false);
      await lake.run();
      expect(await lake.differences()).toEqual({});
    } finally {
      rmSync(warehouse, { recursive: true });
    }
  });
});

describe('a capture mode', () => {
  it('ingests metadata without files, and the files later', async () => {
    const lake = await shared();
    const { plans } = catalog.clients;
    expect(await lake.run({ mode: 'METADATA_ONLY' })).toMatchObject({ opened: lake.truth.size, files: 0 });
    expect(await lake.differences(() => ({ captured: () => false }))).toEqual({});
    const tableId = await lake.tableId('fx.orders');
    const noFiles = refusal('FAILED_PRECONDITION', 'only its metadata was ingested');
    expect(await failure(plans.getPlan({ tableId }))).toEqual(noFiles);
    expect(await lake.run({ mode: 'METADATA_ONLY' })).toMatchObject({ opened: 0 });
    expect(await lake.run({ mode: 'METADATA_ONLY', full: true })).toMatchObject({ changed: 0, snapshots: 0, files: 0 });

    // Capture only the files of the branches' heads.
    const current: SnapshotSelection = { kind: 'CURRENT' };
    await lake.run({ mode: 'CAPTURE_ONLY', snapshots: current });
    const heads = (truth: Truth) => ({ captured: (id: string) => newest(truth, 1).has(id) });
    expect(await lake.differences(heads)).toEqual({});
    expect(await lake.run({ mode: 'CAPTURE_ONLY', snapshots: current })).toMatchObject({ opened: 0 });
    expect(await lake.run({ mode: 'METADATA_ONLY' })).toMatchObject({ opened: 0 });
    expect(await lake.run({ mode: 'METADATA_ONLY', full: true })).toMatchObject({ changed: 0, snapshots: 0 });
    expect(await lake.differences(heads)).toEqual({});

    const rest = await lake.run({ mode: 'CAPTURE_ONLY' });
    expect(rest.files).toBeGreaterThan(50);
    expect(await lake.differences()).toEqual({});
    // A job that takes everything finds nothing new.
    expect(await lake.run()).toMatchObject({ opened: 0 });
    expect(await lake.run({ full: true })).toMatchObject({ changed: 0, snapshots: 0, files: 0 });
    expect(await lake.run({ mode: 'CAPTURE_ONLY', full: true })).toMatchObject({ changed: 0, snapshots: 0, files: 0 });
    expect(await lake.differences()).toEqual({});
  });

  it('of metadata and files captures the files that a metadata-only run left out, and is based only on captured snapshots', async () => {
    const lake = await shared();
    await lake.run({ mode: 'METADATA_ONLY', snapshots: latest(3) });
    expect(await lake.differences((truth) => ({ ...selecting(3)(truth), captured: () => false }))).toEqual({});
    await lake.run({ snapshots: { kind: 'CURRENT' } });
    const some = (truth: Truth) => ({ ...selecting(3)(truth), captured: (id: string) => newest(truth, 1).has(id) });
    expect(await lake.differences(some)).toEqual({});
    await lake.run({ snapshots: ALL });
    expect(await lake.differences()).toEqual({});
  });

  it('of files alone creates no table and no snapshot, and does not change the table', async () => {
    const lake = await shared();
    const nothing = { scanned: 0, opened: 0, filtered: lake.truth.size };
    expect(await lake.run({ mode: 'CAPTURE_ONLY' })).toMatchObject(nothing);
    await lake.run({ mode: 'METADATA_ONLY', snapshots: latest(1) });
    const tableId = await lake.tableId('fx.many_snapshots');
    const { upstream: before, ...table } = await catalog.clients.tables.getTable({ tableId });
    await lake.run({ mode: 'CAPTURE_ONLY', snapshots: ALL });
    expect(await lake.differences(selecting(1))).toEqual({});
    const { upstream, ...after } = await catalog.clients.tables.getTable({ tableId });
    expect(upstream?.fingerprint).toBe(before?.fingerprint);
    expect({ ...after, etag: '', updatedAt: undefined }).toEqual({ ...table, etag: '', updatedAt: undefined });
    // Other snapshots were not ingested, so a job that takes all of them finds new ones.
    expect((await lake.run({ snapshots: ALL })).snapshots).toBeGreaterThan(0);
    expect(await lake.differences()).toEqual({});
  });
});
