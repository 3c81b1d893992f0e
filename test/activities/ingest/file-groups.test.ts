import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ingestFileGroup } from '../../../src/activities/ingest-file-group.ts';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import type { ActivityDeps } from '../../../src/activities/runtime/deps.ts';
import { openDirectory } from '../../../src/connectors/directory/open-directory.ts';
import type { UpstreamCatalog } from '../../../src/connectors/spi.ts';
import type {
  FileGroup,
  FileGroupInput,
  GroupOutcome,
  TableHeartbeat,
  TableSplit,
} from '../../../src/contract/activities.ts';
import type { TableRef } from '../../../src/contract/upstream-names.ts';
import type { TableReader } from '../../../src/formats/table-reader.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { dumpCatalog } from '../../integration/contents/dump.ts';
import { activityDeps } from '../activity-deps.ts';
import { CountingStore } from '../counting-store.ts';
import { attempt, run, STEP } from '../run-activity.ts';

/** Every manifest with a change is a group of its own, in every snapshot with at least two of them. */
const EVERY = { above: 1, group: 1 };

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

let connected = 0;

async function connect(warehouse: string, splitSize = EVERY, store: ObjectStore = new FileStore()) {
  const name = `groups${connected++}`;
  const connector = connectorSpec({ destination: { catalogName: name } });
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector });
  const upstream = await openDirectory(store, join(import.meta.dirname, '../../fixtures', warehouse));
  return { name, connectorId, upstream, deps: { ...activityDeps(catalog, upstream), splitSize } };
}

/** Ingests a table as the workflow does, with its groups in another order. */
async function ingest(deps: ActivityDeps, connectorId: string, table: TableRef, split: boolean) {
  const sum = { snapshots: 0, files: 0, groups: 0, splits: 0 };
  for (;;) {
    const outcome = await run(() => ingestTable(deps, { ...STEP, connectorId, table, full: false, split }));
    sum.snapshots += outcome.counts.snapshotsIngested!;
    sum.files += outcome.counts.filesIngested!;
    if (!outcome.split) return sum;
    sum.splits += 1;
    const groups = await Promise.all([...outcome.split.groups].reverse().map((group) => put(outcome.split!, group)));
    for (const { counts } of groups) {
      sum.groups += 1;
      sum.files += counts.filesIngested!;
    }
  }
  function put({ groups: _, ...input }: TableSplit, group: { from: number; to: number }): Promise<GroupOutcome> {
    return run(() => ingestFileGroup(deps, { ...STEP, ...input, connectorId, table, group }));
  }
}

it.each(['iceberg/wh', 'made/iceberg/wh'])(
  'groups of single manifests make the same catalog of %s as whole snapshots do',
  async (warehouse) => {
    const [split, whole] = [await connect(warehouse), await connect(warehouse)];
    const folder = join(import.meta.dirname, '../../fixtures', warehouse);
    let [groups, splits] = [0, 0];
    for (const namespace of readdirSync(folder)) {
      if (namespace === 'bad') continue;
      for (const name of readdirSync(join(folder, namespace))) {
        const table = { namespace: [namespace], name };
        const opened = await whole.upstream.openTable(table).catch(() => undefined);
        if (!opened) continue;
        const one = await ingest(whole.deps, whole.connectorId, table, false);
        const other = await ingest(split.deps, split.connectorId, table, true);
        expect({ table, ...other, groups: 0, splits: 0 }).toEqual({ table, ...one });
        groups += other.groups;
        splits += other.splits;
      }
    }
    // Overwrites, deletes and compactions write several manifests per commit.
    expect(splits).toBeGreaterThan(10);
    expect(groups).toBeGreaterThan(2 * splits - 1);
    expect(await dumpCatalog(catalog.clients, split.name)).toEqual(await dumpCatalog(catalog.clients, whole.name));
  },
  240_000,
);

/** A snapshot that wrote nine manifests: one adds three files, eight remove older ones. */
const LINEAGE = { namespace: ['mk'], name: 'lineage' };

/** The table up to its first snapshot that is split. */
async function firstSplit(splitSize = { above: 9, group: 3 }) {
  const connected = await connect('made/iceberg/wh', splitSize);
  const { deps, connectorId } = connected;
  const table = () => run(() => ingestTable(deps, { ...STEP, connectorId, table: LINEAGE, full: false, split: true }));
  const { split } = await table();
  const { groups, ...input } = split!;
  expect(groups.length).toBeGreaterThan(2);
  const begin = (group: FileGroup, more: Partial<FileGroupInput> = {}) =>
    ingestFileGroup(deps, { ...STEP, ...input, connectorId, table: LINEAGE, ...more, group });
  const put = (group: FileGroup, more: Partial<FileGroupInput> = {}, heartbeatDetails?: TableHeartbeat) =>
    run(() => begin(group, more), { heartbeatDetails });
  return { ...connected, table, split: split!, groups, begin, put };
}

it('shows a snapshot only when all of its groups are in, and requests only the missing ones again', async () => {
  const { table, split, groups, put, name } = await firstSplit();
  const visible = async () =>
    (await catalog.clients.snapshots.listSnapshots({ tableId: split.tableId })).snapshots.map((s) =>
      String(s.snapshotId),
    );
  const [missing, ...others] = groups;
  for (const group of others) await put(group);
  expect(await visible()).not.toContain(split.snapshotId);
  // Sending a group twice has no effect.
  await put(others[0]!);
  const again = await table();
  expect(again.split).toEqual({ ...split, groups: [missing] });
  await put(missing!);
  expect((await table()).split?.snapshotId).not.toBe(split.snapshotId);
  expect(await visible()).toContain(split.snapshotId);
  expect(Object.keys(await dumpCatalog(catalog.clients, name))).toEqual(['mk/lineage']);
});

it('reads nothing of a snapshot that is split before its groups', async () => {
  const store = new CountingStore(new FileStore());
  const { deps, connectorId } = await connect('made/iceberg/wh', { above: 9, group: 3 }, store);
  const table = { ...STEP, connectorId, table: LINEAGE, full: false };
  const manifests = () => [...store.bytesRead.keys()].filter((path) => /-m\d+\.avro$/.test(path)).length;
  const { split } = await run(() => ingestTable(deps, { ...table, split: true }));
  const before = manifests();
  for (const group of split!.groups) {
    const { groups: _, ...input } = split!;
    await run(() => ingestFileGroup(deps, { ...STEP, ...input, connectorId, table: LINEAGE, group }));
  }
  // It has written nine manifests.
  expect(manifests() - before).toBe(9);
});

it('resumes within a group at the position of the previous attempt', async () => {
  const { groups, put } = await firstSplit();
  const group = { from: groups[0]!.from, to: groups.at(-1)!.to };
  const all = await put(group);
  const heartbeat = { counts: { filesIngested: 4 }, cursor: { position: group.from + 1 }, filesBefore: 3 };
  const rest = await put(group, {}, heartbeat);
  expect(rest.counts.bytesRead).toBeLessThan(all.counts.bytesRead!);
  expect(rest.counts.filesIngested).toBe(all.counts.filesIngested);
});

it('ingests a group in slices that are over when they begin, and counts its files once', async () => {
  const size = { above: 9, group: 5 };
  const [whole, sliced] = [await firstSplit(size), await firstSplit(size)];
  // The group with the most manifests.
  const [group, ...others] = sliced.groups.sort((a, b) => b.to - b.from - (a.to - a.from)) as [FileGroup, FileGroup];
  for (const other of others) await Promise.all([whole.put(other), sliced.put(other)]);
  const undisturbed = await whole.put(group);
  expect(undisturbed).not.toHaveProperty('at');
  await whole.table();
  const positions: number[] = [];
  let files = 0;
  let at: number | undefined;
  do {
    const outcome: GroupOutcome = await sliced.put({ ...group, at }, { sliceSeconds: 0 });
    files += outcome.counts.filesIngested!;
    ({ at } = outcome);
    if (at !== undefined) positions.push(at);
    expect(positions.length).toBeLessThan(10);
  } while (at !== undefined);
  expect(positions.length).toBeGreaterThan(2);
  expect(positions).toEqual(positions.map((_, i) => group.from + 1 + i));
  expect(positions.at(-1)).toBe(group.to);
  expect(files).toBe(undisturbed.counts.filesIngested);
  await sliced.table();
  expect(await dumpCatalog(catalog.clients, sliced.name)).toEqual(await dumpCatalog(catalog.clients, whole.name));
});

it('does not count a group as ingested that has stopped within itself', async () => {
  const { groups, put, begin, split, table } = await firstSplit();
  const last = groups.at(-1)!;
  for (const group of groups.slice(0, -1)) await put(group);
  expect(await put(last, { sliceSeconds: 0 })).toHaveProperty('at', last.from + 1);
  expect((await table()).split).toEqual({ ...split, groups: [last] });
  // Nor is its activity completed, if a person has paused it.
  const paused = attempt(() => begin(last, { sliceSeconds: 0 }), {}, { isActivityPaused: async () => true });
  expect(await paused).toMatchObject({
    outcome: { reason: { type: 'ActivityPause' } },
    last: { cursor: { position: last.from + 1 } },
  });
});

it('aborts if the snapshot is gone or other columns are selected, so that the table is planned again', async () => {
  const { groups, put, split } = await firstSplit();
  const gone = await put(groups[0]!, { snapshotId: '1', key: `${split.tableId}/1` }).catch((error) => error);
  expect(gone).toMatchObject({ type: 'ABORTED', nonRetryable: true, message: expect.stringContaining('is gone') });
  const others = await put(groups[0]!, { key: `${split.key}/other` }).catch((error) => error);
  expect(others).toMatchObject({ type: 'ABORTED', nonRetryable: true, message: expect.stringContaining('columns') });
  // The base of the changes has expired meanwhile.
  const rootless = await put(groups[0]!, { base: '1' }).catch((error) => error);
  expect(rootless).toMatchObject({ type: 'ABORTED', nonRetryable: true, message: expect.stringContaining('is gone') });
});

it('ingests a snapshot as a whole if its groups do not add up to the counts of the upstream', async () => {
  const { deps, connectorId, table, split, groups, put, name } = await firstSplit();
  const wrong: ActivityDeps = {
    ...deps,
    openConnector: async (...args) => losingChanges(await deps.openConnector(...args)),
  };
  const { groups: _, ...input } = split;
  // One group is finished without its changes.
  await run(() => ingestFileGroup(wrong, { ...STEP, ...input, connectorId, table: LINEAGE, group: groups[0]! }));
  for (const group of groups.slice(1)) await put(group);
  const outcome = await table();
  expect(outcome.split?.snapshotId).not.toBe(split.snapshotId);
  while ((await ingest(deps, connectorId, LINEAGE, false)).snapshots > 0);

  const whole = await connect('made/iceberg/wh');
  await ingest(whole.deps, whole.connectorId, LINEAGE, false);
  const rebased = JSON.stringify(await dumpFiles(name));
  expect(rebased).toBe(JSON.stringify(await dumpFiles(whole.name)));
});

/** The paths of each snapshot: a snapshot that was ingested as a whole has another base, and so a different dump. */
async function dumpFiles(catalogName: string): Promise<unknown> {
  const { clients } = catalog;
  const name = { $case: 'text' as const, value: `${catalogName}.mk.lineage` };
  const { tableId } = await clients.directory.resolve({ name, object: true });
  const { snapshots } = await clients.snapshots.listSnapshots({ tableId });
  const files: string[][] = [];
  for (const { snapshotId } of snapshots) {
    const page = await clients.statistics.listFileColumnStats({ tableId, snapshotId, pageSize: 1000 });
    files.push([String(snapshotId), ...page.files.map((file) => file.filePath).sort()]);
  }
  return files;
}

/** The same upstream, whose readers lose all file changes. */
function losingChanges(upstream: UpstreamCatalog): UpstreamCatalog {
  async function* nothing() {}
  const withoutChanges = (reader: TableReader): TableReader => ({
    descriptor: reader.descriptor,
    bytesRead: 0,
    history: () => reader.history(),
    snapshots: (ids) => reader.snapshots(ids),
    fileChanges: nothing,
    liveFileCounts: (snapshotId) => reader.liveFileCounts(snapshotId),
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  });
  return {
    usage: upstream.usage,
    listNamespaces: (parent, page) => upstream.listNamespaces(parent, page),
    listTables: (namespace, page) => upstream.listTables(namespace, page),
    fingerprint: (table, known) => upstream.fingerprint(table, known),
    openTable: async (table) => withoutChanges(await upstream.openTable(table)),
    [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose](),
  };
}
