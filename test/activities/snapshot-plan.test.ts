import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { planSnapshots } from '../../src/activities/ingest/snapshot-plan.ts';
import type { SnapshotDescriptor, TableReader } from '../../src/formats/table-reader.ts';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { TestCatalog } from '../catalog/harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const IN_CATALOG = 1_200;

it('holds what the upstream has, however many snapshots the catalog keeps', async () => {
  const { clients } = catalog;
  const { namespaceId } = await catalog.namespace();
  const format = TableFormat.TABLE_FORMAT_ICEBERG;
  const { tableId } = await clients.tables.createTable({ table: { namespaceId, name: 'kept', format } });
  const snapshots = Array.from({ length: IN_CATALOG }, (_, i) => BigInt(i + 1));
  for (const snapshotId of snapshots) {
    const snapshot = { tableId, snapshotId, committedAt: new Date(), operation: 'append' };
    await clients.snapshots.createSnapshot({ snapshot, metadataOnly: true });
  }
  // The upstream has expired all but the last, and made another one.
  const left = snapshots.slice(-1);
  const upstream = [...left, BigInt(IN_CATALOG + 1)];
  const reader = {
    async *snapshots() {
      for (const snapshotId of upstream) yield { snapshotId, parentSnapshotId: snapshotId - 1n } as SnapshotDescriptor;
    },
  } as Partial<TableReader> as TableReader;
  const plan = (marks: boolean) => {
    const capture = { snapshots: { kind: 'ALL' }, mode: 'METADATA_ONLY' } as const;
    return planSnapshots({ catalog: clients }, tableId, reader, capture, { refs: [] }, false, marks);
  };

  const marking = await plan(true);
  expect([...marking.known.keys()]).toEqual(left);
  expect(marking.expired).toEqual(snapshots.slice(0, -1));
  expect([...marking.todo]).toEqual(upstream.slice(1));

  const keeping = await plan(false);
  expect([...keeping.known.keys()]).toEqual(left);
  expect(keeping.expired).toEqual([]);
  expect([...keeping.todo]).toEqual(upstream.slice(1));
}, 60_000);
