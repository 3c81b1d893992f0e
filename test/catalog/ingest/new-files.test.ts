import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { added, removed, TestTable } from '../files.ts';
import { TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

interface Stored {
  path: string;
  rows: number;
  size: number;
  seq: number;
  addedBy: string | null;
  entry: number;
}

/** The additions of a table's only snapshot, in the order in which they were stored. */
function stored(tableId: string): Stored[] {
  const db = new Sqlite(catalog.file, { readonly: true });
  const rows = db
    .prepare(
      `select f.body, m.record_count as rows, m.size_bytes as size, m.sequence_number as seq, m.added_snapshot_id as addedBy,
         m.entry_number as entry, m.file_sequence_number as fileSeq, m.removed_ord, m.kind
       from tables t join files f on f.table_num = t.table_num join memberships m on m.file_num = f.file_num
       where t.table_id = ? order by f.file_num`,
    )
    .all(tableId) as (Omit<Stored, 'path'> & Record<'fileSeq' | 'removed_ord' | 'kind', number> & { body: Buffer })[];
  db.close();
  return rows.map(({ body, fileSeq, removed_ord, kind, ...row }) => {
    expect([fileSeq, removed_ord, kind]).toEqual([row.seq, 2_000_000_000, 1]);
    // The path is the first field of the message: tag, length, text.
    return { path: body.toString('utf8', 2, 2 + (body[1] as number)), ...row };
  });
}

// Mostly like the file before it, as in real snapshots, so that runs of several lengths occur.
const file = fc.record({
  rows: fc.nat({ max: 2 ** 40 }),
  size: fc.nat({ max: 2 ** 50 }),
  seq: fc.constantFrom(7, 7, 7, 7, 8),
  addedBy: fc.constantFrom(1, 1, 1, 1, 99),
  gap: fc.constantFrom(1, 1, 1, 1, 3),
});

it('stores of each new file what the snapshot says of it, in whichever order numbers and removals come', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(file, { minLength: 1, maxLength: 30 }),
      fc.nat({ max: 2 ** 45 }),
      fc.constantFrom(0, 1),
      fc.uniqueArray(fc.nat({ max: 30 }), { maxLength: 3 }),
      async (files, firstEntry, counted, removals) => {
        const table = await TestTable.create(catalog);
        let entry = firstEntry;
        const expected: Stored[] = files.map(({ rows, size, seq, addedBy, gap }, at) => {
          entry += gap * counted;
          return { path: `p${at}`, rows, size, seq, addedBy: addedBy === 1 ? null : String(addedBy), entry };
        });
        const changes = expected.flatMap(({ path, rows, size, seq, addedBy, entry: number }, at) => [
          ...(removals.includes(at) ? [removed(`gone${at}`)] : []),
          added({
            filePath: path,
            recordCount: BigInt(rows),
            fileSizeInBytes: BigInt(size),
            seq,
            addedBy: BigInt(addedBy ?? 1),
            entry: number,
          }),
        ]);
        const put = { snapshotId: 1, changes, expected: { data: files.length } };
        const { rowsWritten } = await table.put(put);
        expect(stored(table.tableId)).toEqual(expected);
        expect(rowsWritten).toBe(BigInt(2 * files.length + 1));
      },
    ),
    { numRuns: 60 },
  );
});

it('finds a file again whose first row was deleted, when a repeated stream sent other statistics of it', async () => {
  const table = await TestTable.create(catalog);
  const file = (recordCount: bigint) => added({ filePath: 'p', recordCount, entry: 1, addedBy: 1n });
  await table.createSnapshot({ snapshotId: 1 });
  const put = { snapshotId: 1, key: 'k' };
  await table.send({ ...put, changes: [file(10n)], finish: false });
  // In the transaction that deletes the row, and in a later one.
  await table.send({ ...put, changes: [file(11n), file(11n)], finish: false });
  await table.send({ ...put, changes: [file(11n)], expected: { data: 1 } });
  expect(stored(table.tableId)).toEqual([{ path: 'p', rows: 11, size: 1000, seq: 1, addedBy: null, entry: 1 }]);
});
