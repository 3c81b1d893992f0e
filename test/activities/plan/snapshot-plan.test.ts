import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ancestryOf } from '../../../src/activities/plan/select-snapshots.ts';
import { planSnapshots } from '../../../src/activities/plan/snapshot-plan.ts';
import { compareStoredSnapshots } from '../../../src/activities/plan/stored-snapshots.ts';
import type { SnapshotSelection } from '../../../src/contract/job.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { TestCatalog } from '../../catalog/harness.ts';
import { historyOf, messageOf } from './history-upstream.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const IN_CATALOG = 1_200;

it('holds only what the upstream has, however many snapshots the catalog keeps', async () => {
  const { clients } = catalog;
  const { namespaceId } = await catalog.namespace();
  const format = TableFormat.TABLE_FORMAT_ICEBERG;
  const table = await clients.tables.createTable({ table: { namespaceId, name: 'kept', format } });
  const { tableId } = table;
  const snapshots = Array.from({ length: IN_CATALOG }, (_, i) => BigInt(i + 1));
  for (const entry of historyOf(snapshots.map((id) => ({ snapshotId: id, parentSnapshotId: id - 1n })))) {
    const snapshot = { tableId, ...messageOf(entry) };
    await clients.snapshots.createSnapshot({ snapshot, metadataOnly: true });
  }
  // The upstream has expired all snapshots but the last, and has added another one.
  const left = snapshots.slice(-1);
  const upstream = [...left, BigInt(IN_CATALOG + 1)];
  const ancestry = ancestryOf(historyOf(upstream.map((id) => ({ snapshotId: id, parentSnapshotId: id - 1n }))));
  const plan = async (marks: boolean) => {
    const stored = await compareStoredSnapshots({ catalog: clients }, table, ancestry, { captured: false });
    const capture = { snapshots: { kind: 'ALL' }, mode: 'METADATA_ONLY' } as const;
    return planSnapshots(ancestry, stored, { refs: [] }, { capture, full: false, marks });
  };

  const marking = await plan(true);
  expect([...marking.messages.keys()]).toEqual(left);
  expect([...marking.known]).toEqual(left);
  expect(marking.expired).toEqual(snapshots.slice(0, -1));
  expect([...marking.todo]).toEqual(upstream.slice(1));

  const keeping = await plan(false);
  expect([...keeping.known]).toEqual(left);
  expect(keeping.expired).toEqual([]);
  expect([...keeping.todo]).toEqual(upstream.slice(1));
}, 60_000);

it('reads the snapshots that are asked for even if the digest confirms them', async () => {
  const { clients } = catalog;
  const { namespaceId } = await catalog.namespace();
  const format = TableFormat.TABLE_FORMAT_ICEBERG;
  const { tableId } = await clients.tables.createTable({ table: { namespaceId, name: 'sketched', format } });
  const history = historyOf([{ snapshotId: 1n }, { snapshotId: 2n, parentSnapshotId: 1n }]);
  for (const entry of history) {
    await clients.snapshots.createSnapshot({ snapshot: { tableId, ...messageOf(entry) }, metadataOnly: true });
  }
  const ancestry = ancestryOf(history);
  const table = { tableId, currentSnapshotId: 2n, refs: [] };
  const read = async (also: bigint[]) => {
    const stored = await compareStoredSnapshots({ catalog: clients }, table, ancestry, { also, captured: false });
    expect([...stored.known].sort()).toEqual([1n, 2n]);
    return [...stored.messages.keys()];
  };
  expect(await read([])).toEqual([]);
  expect(await read([1n])).toEqual([1n]);
});

it.each([
  ['manifest list', { manifestList: 'file:/lake/metadata/other.avro' }],
  ['time', { committedAtMs: 7 }],
  ['sequence number', { sequenceNumber: 77 }],
  ['parent', { parentSnapshotId: 1n }],
])(
  'brings a snapshot in anew if its id stands for one with another %s, and keeps what did not change',
  async (_, other) => {
    const { clients } = catalog;
    const { namespaceId } = await catalog.namespace();
    const format = TableFormat.TABLE_FORMAT_ICEBERG;
    const { tableId } = await clients.tables.createTable({ table: { namespaceId, name: 'again', format } });
    const history = historyOf(
      [1n, 2n, 3n, 4n].map((id) => ({ snapshotId: id, ...(id > 1n && { parentSnapshotId: id - 1n }) })),
    );
    for (const entry of history) {
      await clients.snapshots.createSnapshot({ snapshot: { tableId, ...messageOf(entry) }, metadataOnly: true });
    }
    const ancestry = ancestryOf(history.map((entry) => (entry.snapshotId === 3n ? { ...entry, ...other } : entry)));
    const table = { tableId, currentSnapshotId: 4n, refs: [] };
    const stored = await compareStoredSnapshots({ catalog: clients }, table, ancestry, { captured: false });
    const plan = (snapshots: SnapshotSelection) =>
      planSnapshots(ancestry, stored, table, {
        capture: { snapshots, mode: 'METADATA_ONLY' },
        full: false,
        marks: true,
      });
    expect(plan({ kind: 'ALL' })).toMatchObject({ known: new Set([1n, 2n, 4n]), todo: new Set([3n]), expired: [] });
    // If it is not selected, the upstream does not have what is stored any more.
    expect(plan({ kind: 'LATEST_N', latest: 1 })).toMatchObject({ todo: new Set(), expired: [3n] });
  },
);
