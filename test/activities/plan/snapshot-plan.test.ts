import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ancestryOf } from '../../../src/activities/plan/select-snapshots.ts';
import { planSnapshots } from '../../../src/activities/plan/snapshot-plan.ts';
import { compareStoredSnapshots } from '../../../src/activities/plan/stored-snapshots.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { TestCatalog } from '../../catalog/harness.ts';

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
  for (const snapshotId of snapshots) {
    const snapshot = { tableId, snapshotId, committedAt: new Date(), operation: 'append' };
    await clients.snapshots.createSnapshot({ snapshot, metadataOnly: true });
  }
  // The upstream has expired all snapshots but the last, and has added another one.
  const left = snapshots.slice(-1);
  const upstream = [...left, BigInt(IN_CATALOG + 1)];
  const ancestry = ancestryOf(upstream.map((id) => ({ snapshotId: id, parentSnapshotId: id - 1n })));
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
  for (const snapshotId of [1n, 2n]) {
    const snapshot = { tableId, snapshotId, committedAt: new Date(), operation: 'append' };
    await clients.snapshots.createSnapshot({ snapshot, metadataOnly: true });
  }
  const ancestry = ancestryOf([{ snapshotId: 1n }, { snapshotId: 2n, parentSnapshotId: 1n }]);
  const table = { tableId, currentSnapshotId: 2n, refs: [] };
  const read = async (also: bigint[]) => {
    const stored = await compareStoredSnapshots({ catalog: clients }, table, ancestry, { also, captured: false });
    expect([...stored.known].sort()).toEqual([1n, 2n]);
    return [...stored.messages.keys()];
  };
  expect(await read([])).toEqual([]);
  expect(await read([1n])).toEqual([1n]);
});
