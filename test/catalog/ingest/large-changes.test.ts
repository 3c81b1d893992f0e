import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { added, TestTable } from '../files.ts';
import { TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const COUNT = 6;

/** Changes with 3 MiB of statistics each. */
const large = (text: string) =>
  Array.from({ length: COUNT }, (_, index) => {
    const bound = Buffer.alloc(3 * 1024 * 1024, text);
    return added({ filePath: `s3://b/${index}`, columns: [{ columnId: 2, lowerBound: bound }] });
  });

/** Sends the changes, and does not finish the stream before the condition holds. */
async function sendUntil(table: TestTable, put: { replace?: boolean; text: string }, holds: () => Promise<boolean>) {
  const { replace, text } = put;
  async function* requests() {
    const all = { snapshotId: 1, replace, changes: large(text), chunk: 1, inHeader: true };
    yield* table.requests({ ...all, finish: false });
    while (!(await holds())) await setTimeout(10);
    for await (const request of table.requests({ ...all, expected: { data: COUNT } })) last = request;
    yield last;
  }
  let last: Uint8Array = new Uint8Array();
  return catalog.clients.fileChanges.commitSnapshot(requests());
}

it('large changes are stored while more arrive, not only when there are thousands of them', async () => {
  const table = await TestTable.create(catalog);
  const { db, close } = await openDatabase(catalog.file);
  const stored = async () => (await db.selectFrom('files').select('file_num').execute()).length;
  const sent = await sendUntil(table, { text: 'a' }, async () => (await stored()) >= COUNT - 2);
  expect(sent).toMatchObject({ complete: true, filesAdded: BigInt(COUNT) });
  const batches = async () => (await db.selectFrom('replacement_changes').select('batch').execute()).length;
  const replaced = await sendUntil(table, { text: 'b', replace: true }, async () => (await batches()) > 1);
  expect(replaced).toMatchObject({ complete: true, filesAdded: BigInt(COUNT) });
  await close();
  const lower = (await table.files(1)).map(({ columns }) => columns[0]?.lowerBound?.[0]);
  expect(lower).toEqual(Array(COUNT).fill('b'.charCodeAt(0)));
});
