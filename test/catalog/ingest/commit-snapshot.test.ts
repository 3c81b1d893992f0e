import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FileFormat } from '../../../src/generated/reconciler/v1/statistics.ts';
import { added, encode, long, type Put, removed, TestTable } from '../files.ts';
import { failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const names = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `s3://b/${from + i}.parquet`);
const add = (paths: string[], seq = 1) => paths.map((filePath) => added({ filePath, seq }));

describe('CommitSnapshot', () => {
  it('makes a snapshot visible when it finishes', async () => {
    const table = await TestTable.create(catalog);
    await table.createSnapshot({ snapshotId: 1 });
    expect(await failure(table.paths(1))).toMatchObject({ code: 'NOT_FOUND' });
    const part = await table.send({ snapshotId: 1, changes: add(names(0, 10)), finish: false });
    expect(part).toMatchObject({ filesAdded: 10n, rowsWritten: 20n, complete: false });
    expect(await failure(table.paths(1))).toMatchObject({ code: 'NOT_FOUND' });
    const done = await table.send({ snapshotId: 1, changes: add(names(10, 15)), expected: { data: 15, deletes: 0 } });
    expect(done).toMatchObject({ filesAdded: 5n, complete: true });
    expect(await table.paths(1)).toEqual(names(0, 15).sort());
    expect(await table.stats(1)).toMatchObject({
      dataFileCount: 15n,
      rowCount: 150n,
      totalSizeBytes: 15_000n,
      liveRowCount: 150n,
    });
  });

  it('does not know the number of rows if nobody counted the records of a file', async () => {
    const table = await TestTable.create(catalog);
    const changes = [added({ filePath: 's3://b/0', recordCount: undefined }), added({ filePath: 's3://b/1' })];
    await table.put({ snapshotId: 1, changes });
    expect((await table.files(1)).map(({ recordCount }) => recordCount)).toEqual([undefined, 10n]);
    expect(await table.stats(1)).toMatchObject({ dataFileCount: 2n, rowCount: undefined });
  });

  it('stores a file once, however many snapshots hold it', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: add(names(0, 5)) });
    await table.put({ snapshotId: 2, base: 1, changes: add(names(5, 6), 2), expected: { data: 6 } });
    const last = await table.put({
      snapshotId: 3,
      base: 2,
      changes: [removed('s3://b/0.parquet')],
      expected: { data: 5 },
    });
    expect(last).toMatchObject({ filesRemoved: 1n, rowsWritten: 2n });
    expect(await table.paths(1)).toHaveLength(5);
    expect(await table.paths(2)).toHaveLength(6);
    expect(await table.paths(3)).toEqual(names(1, 6));
    const [file] = (await table.files(3)).filter(({ filePath }) => filePath.endsWith('/5.parquet'));
    expect(file).toMatchObject({ sequenceNumber: 2n, fileSequenceNumber: 2n, addedSnapshotId: 2n });
  });

  it('does nothing when it is sent again', async () => {
    const table = await TestTable.create(catalog);
    const put = { snapshotId: 1, changes: add(names(0, 2000)), chunk: 500 };
    expect(await table.put(put)).toMatchObject({ rowsWritten: 4001n });
    expect(await table.put(put)).toMatchObject({ rowsWritten: 0n, complete: true });
    expect(await failure(table.send({ ...put, key: 'another' }))).toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('continues a broken stream from its start or from where it stopped', async () => {
    const table = await TestTable.create(catalog);
    await table.createSnapshot({ snapshotId: 1 });
    const abort = new AbortController();
    const requests = table.requests({ snapshotId: 1, changes: add(names(0, 5000)), chunk: 100, finish: false });
    async function* cutOff() {
      for await (const request of requests) yield request;
      await sleep(200);
      abort.abort();
      await sleep(10_000, undefined, { ref: false });
    }
    await expect(catalog.clients.fileChanges.commitSnapshot(cutOff(), { signal: abort.signal })).rejects.toThrow(
      /abort/i,
    );
    const again = await table.send({ snapshotId: 1, changes: add(names(0, 6000)), expected: { data: 6000 } });
    expect(again.complete).toBe(true);
    // Changes that arrived before the break are not written again.
    expect(Number(again.rowsWritten)).toBeLessThan(12_001);
    expect(await table.paths(1)).toHaveLength(6000);
  });

  it('starts clean with another key', async () => {
    const table = await TestTable.create(catalog);
    await table.createSnapshot({ snapshotId: 1 });
    await table.send({ snapshotId: 1, key: 'one', changes: add(names(0, 100)), finish: false });
    await table.send({ snapshotId: 1, key: 'two', changes: add(names(50, 60)), expected: { data: 10 } });
    expect(await table.paths(1)).toEqual(names(50, 60));
  });

  it('refuses a finish with other counts, shows nothing, and starts clean afterwards', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: add(names(0, 3)) });
    const wrong = await failure(
      table.put({ snapshotId: 2, base: 1, changes: add(names(3, 5)), expected: { data: 4, deletes: 1 } }),
    );
    expect(wrong.code).toBe('FAILED_PRECONDITION');
    expect(wrong.message).toContain('5 data files live, expected 4');
    expect(wrong.message).toContain('0 delete files live, expected 1');
    expect(await failure(table.paths(2))).toMatchObject({ code: 'NOT_FOUND' });
    await table.send({ snapshotId: 2, changes: add(names(3, 4)), expected: { data: 4, deletes: 0 } });
    expect(await table.paths(2)).toEqual(names(0, 4));
    expect(await table.paths(1)).toEqual(names(0, 3));
  });

  it('accepts another base for a staged snapshot, and discards its earlier changes', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: add(names(0, 3)) });
    await table.createSnapshot({ snapshotId: 2, base: 1 });
    await table.send({ snapshotId: 2, changes: [removed('s3://b/0.parquet'), ...add(names(7, 9))], finish: false });
    await table.put({ snapshotId: 2, base: null, changes: add(names(1, 4)), expected: { data: 3 } });
    expect(await table.paths(2)).toEqual(names(1, 4));
    expect(await table.paths(1)).toEqual(names(0, 3));
    await table.put({ snapshotId: 3, base: 1, changes: add(names(4, 5)), expected: { data: 4 } });
    expect(await table.paths(3)).toEqual([...names(0, 3), ...names(4, 5)]);
  });

  it('requires a complete base', async () => {
    const table = await TestTable.create(catalog);
    await table.createSnapshot({ snapshotId: 1 });
    const notYet = await failure(table.createSnapshot({ snapshotId: 2, base: 1 }));
    expect(notYet).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('1, which is not complete'),
    });
    const never = await failure(table.createSnapshot({ snapshotId: 2, base: 9 }));
    expect(never).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('9, which does not exist'),
    });
    expect(await failure(table.createSnapshot({ snapshotId: 2, base: 2 }))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('keeps a file that is removed and added in one snapshot, in either order', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: add(names(0, 3)) });
    await table.put({
      snapshotId: 2,
      base: 1,
      changes: [removed('s3://b/0.parquet'), ...add(names(0, 1), 2)],
      expected: { data: 3 },
    });
    await table.put({
      snapshotId: 3,
      base: 2,
      changes: [...add(names(1, 2), 3), removed('s3://b/1.parquet')],
      expected: { data: 3 },
    });
    expect(await table.paths(3)).toEqual(names(0, 3));
    expect((await table.files(3)).map((file) => file.sequenceNumber).sort()).toEqual([1n, 2n, 3n]);
  });

  it('counts a file twice that was added while it was live, as the engines do', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: add(names(0, 2)) });
    await table.put({ snapshotId: 2, base: 1, changes: add(names(0, 1), 2), expected: { data: 3 } });
    expect(await table.paths(2)).toEqual(['s3://b/0.parquet', 's3://b/0.parquet', 's3://b/1.parquet']);
    await table.put({ snapshotId: 3, base: 2, changes: [removed('s3://b/0.parquet')], expected: { data: 1 } });
    expect(await table.paths(3)).toEqual(['s3://b/1.parquet']);
  });

  it('keeps several deletion vectors in one Puffin file apart', async () => {
    const table = await TestTable.create(catalog);
    const vector = (offset: number) => ({
      ...added({
        filePath: 's3://b/dv.puffin',
        fileFormat: FileFormat.FILE_FORMAT_PUFFIN,
        contentOffset: BigInt(offset),
        contentSizeInBytes: 40n,
        referencedDataFile: `s3://b/${offset}.parquet`,
        recordCount: 2n,
        fileSizeInBytes: 9999n,
        seq: 2,
      }),
    });
    const content = 'FILE_CONTENT_POSITION_DELETES' as never;
    const vectors = [0, 1, 2]
      .map(vector)
      .map((change) => ({ ...change, file: { ...change.file, fileContent: content } }));
    await table.put({ snapshotId: 1, changes: [...add(names(0, 3)), ...vectors], expected: { data: 3, deletes: 3 } });
    await table.put({
      snapshotId: 2,
      base: 1,
      changes: [removed('s3://b/dv.puffin', 1n)],
      expected: { data: 3, deletes: 2 },
    });
    expect(await table.stats(1)).toMatchObject({ deletionVectorCount: 3n, totalSizeBytes: 3120n, liveRowCount: 24n });
    expect(await table.stats(2)).toMatchObject({
      deletionVectorCount: 2n,
      deletionVectorRecordCount: 4n,
      liveRowCount: 26n,
    });
  });

  describe('in groups', () => {
    async function staged() {
      const table = await TestTable.create(catalog);
      await table.put({ snapshotId: 1, changes: add(names(0, 4)) });
      await table.createSnapshot({ snapshotId: 2, base: 1 });
      const put = (group: string | undefined, changes: Put['changes'], more: Partial<Put> = {}) =>
        table.send({ snapshotId: 2, changes, finish: false, group, ...more });
      return { table, put };
    }

    it('accepts them concurrently, in any order and repeatedly, and returns which are stored', async () => {
      const { table, put } = await staged();
      const [first, second] = [add(names(10, 2500), 2), [removed('s3://b/0.parquet'), ...add(names(2500, 2600), 2)]];
      const inOrder = <T extends { stagedGroups: string[] }>(answer: T) => ({
        ...answer,
        stagedGroups: answer.stagedGroups.sort(),
      });
      await Promise.all([put('b', second, { chunk: 7 }), put('a', first)]);
      const again = inOrder(await put('a', first));
      expect(again).toMatchObject({ complete: false, rowsWritten: 0n, stagedGroups: ['a', 'b'] });
      expect(inOrder(await put(undefined, []))).toMatchObject({ complete: false, stagedGroups: ['a', 'b'] });
      expect(await failure(table.files(2))).toMatchObject({ code: 'NOT_FOUND' });
      const finish = { snapshotId: 2, groups: ['a', 'b'], expected: { data: 3 + 2590 } };
      expect(await table.send(finish)).toMatchObject({ complete: true, stagedGroups: [] });
      expect(await table.paths(2)).toEqual([...names(1, 4), ...names(10, 2600)].sort());
      expect(await put('a', first)).toMatchObject({ complete: true, rowsWritten: 0n });
    });

    it('refuses to finish without one of them even if the counts are right, and keeps the others', async () => {
      const { table, put } = await staged();
      await put('even', [removed('s3://b/0.parquet'), ...add(names(10, 11), 2)]);
      await put(undefined, add(names(11, 12), 2));
      const finish = { snapshotId: 2, groups: ['even', 'odd', 'last'], expected: { data: 5 } };
      expect(await failure(table.send(finish))).toEqual(
        refusal(
          'FAILED_PRECONDITION',
          'has 1 of 3 groups of changes: nothing became visible; send the group odd and 1',
        ),
      );
      expect(await put(undefined, [])).toMatchObject({ stagedGroups: ['even'] });
      await put('odd', add(names(11, 12), 2));
      await put('last', []);
      expect(await table.send(finish)).toMatchObject({ complete: true });
      expect(await table.paths(2)).toEqual([...names(1, 4), ...names(10, 12)].sort());
    });

    it('discards them with the staged changes after wrong counts, another key or another base', async () => {
      const { table, put } = await staged();
      await put('a', add(names(10, 11), 2));
      expect(await failure(table.send({ snapshotId: 2, groups: ['a'], expected: { data: 9 } }))).toMatchObject({
        code: 'FAILED_PRECONDITION',
      });
      expect(await put(undefined, [])).toMatchObject({ stagedGroups: [] });
      await put('a', add(names(10, 11), 2));
      expect(await put(undefined, [], { key: 'another' })).toMatchObject({ stagedGroups: [] });
      await put('a', add(names(10, 11), 2), { key: 'another' });
      await table.createSnapshot({ snapshotId: 2, base: null });
      expect(await put(undefined, [], { key: 'another' })).toMatchObject({ stagedGroups: [] });
    });

    it('keeps them over a restart of the service', async () => {
      const { table, put } = await staged();
      await put('a', add(names(10, 11), 2));
      await catalog.restart();
      expect(await put(undefined, [])).toMatchObject({ stagedGroups: ['a'] });
      expect(await table.send({ snapshotId: 2, groups: ['a'], expected: { data: 5 } })).toMatchObject({
        complete: true,
      });
    });

    it('refuses invalid names, more than a thousand groups, and groups of a replacing stream', async () => {
      const { table, put } = await staged();
      expect(await failure(put('x'.repeat(65), []))).toEqual(refusal('INVALID_ARGUMENT', 'group_finish.group'));
      const many = names(0, 1001);
      expect(await failure(table.send({ snapshotId: 2, groups: many }))).toEqual(refusal('INVALID_ARGUMENT', '1001'));
      const replacing = { snapshotId: 1, replace: true, changes: [] };
      expect(await failure(table.send({ ...replacing, groups: ['a'] }))).toEqual(
        refusal('INVALID_ARGUMENT', 'without replace'),
      );
      expect(await failure(table.send({ ...replacing, group: 'a', finish: false }))).toEqual(
        refusal('INVALID_ARGUMENT', 'without replace'),
      );
    });
  });

  describe('refuses', () => {
    let table: TestTable;
    beforeAll(async () => {
      table = await TestTable.create(catalog);
      await table.createSnapshot({ snapshotId: 1 });
    });
    const header = () => ({
      $case: 'header' as const,
      value: { tableId: table.tableId, snapshotId: 1n, idempotencyKey: 'k' },
    });
    const send = async (...requests: Uint8Array[]) => {
      async function* stream() {
        yield* requests;
      }
      return failure(catalog.clients.fileChanges.commitSnapshot(stream()));
    };

    it('changes without a header, and two headers', async () => {
      expect(await send(encode({ $case: 'finish', value: {} }))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('header'),
      });
      expect(await send(encode(header()), encode(header()))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('was sent twice'),
      });
    });

    it('an unknown table or snapshot, and a header without a key', async () => {
      expect(await send(encode({ $case: 'header', value: { ...header().value, tableId: 'tbl_x' } }))).toMatchObject({
        code: 'NOT_FOUND',
        message: 'table tbl_x does not exist',
      });
      expect(await send(encode({ $case: 'header', value: { ...header().value, snapshotId: 5n } }))).toMatchObject({
        code: 'NOT_FOUND',
      });
      expect(await send(encode({ $case: 'header', value: { ...header().value, idempotencyKey: '' } }))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('header.idempotency_key'),
      });
      expect(await send(encode({ $case: 'header', value: { ...header().value, whole: true } }))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('header.whole'),
      });
    });

    it.each([
      ['no path', { filePath: '' }, 'changes.changes[0].file.file_path: is required'],
      ['a path of 10,000 bytes', { filePath: 'x'.repeat(10_000) }, 'at most 8192'],
      ['NUL in a path', { filePath: 'a\0b' }, 'NUL'],
      ['no content', { filePath: 'a', fileContent: 'FILE_CONTENT_UNSPECIFIED' as never }, 'file_content'],
      ['an unknown format', { filePath: 'a', fileFormat: FileFormat.FILE_FORMAT_UNSPECIFIED }, 'file_format'],
      ['a negative count', { filePath: 'a', recordCount: -2n }, 'record_count: is not within 0'],
      ['a count beyond 2^53', { filePath: 'a', recordCount: 2n ** 60n }, 'record_count: is not within 0'],
      ['a negative size', { filePath: 'a', fileSizeInBytes: -5n }, 'file_size_in_bytes'],
      ['a negative spec', { filePath: 'a', specId: -1 }, 'spec_id'],
      ['a deletion vector as a data file', { filePath: 'a', contentOffset: 4n }, 'content_offset'],
      [
        'a negative column count',
        { filePath: 'a', columns: [{ columnId: 1, valueCount: -1n }] },
        'columns: hold a count below 0',
      ],
    ])('%s', async (_, file, message) => {
      const error = await send(encode(header()), encode({ $case: 'changes', value: { changes: [added(file)] } }));
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(message) });
    });

    it('sums beyond 64 bits', async () => {
      const big = await TestTable.create(catalog);
      const most = BigInt(Number.MAX_SAFE_INTEGER);
      const changes = names(0, 1100).map((filePath) => added({ filePath, recordCount: most }));
      expect(await failure(big.put({ snapshotId: 1, changes }))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('64 bits'),
      });
      await big.put({ snapshotId: 2, changes: changes.slice(0, 1000) });
      expect(await big.stats(2)).toMatchObject({ rowCount: most * 1000n });
    });

    it('bad bytes anywhere in a request, without storing any of them', async () => {
      const good = encode({
        $case: 'changes',
        value: {
          changes: [
            added({
              filePath: 's3://b/bad.parquet',
              columns: [{ columnId: 1, valueCount: 300n, lowerBound: long(5) }],
            }),
          ],
        },
      });
      let refused = 0;
      const scratch = await TestTable.create(catalog);
      for (let at = 0; at < good.length; at += 1) {
        for (const [variant, value] of [0xff, (good[at] as number) ^ 0x07, 0x0b].entries()) {
          const bad = Uint8Array.from(good);
          bad[at] = value;
          const snapshotId = 10 * at + variant + 1;
          await scratch.createSnapshot({ snapshotId });
          const ends = scratch.requests({ snapshotId });
          async function* stream() {
            yield (await ends[Symbol.asyncIterator]().next()).value;
            yield bad;
            yield encode({ $case: 'finish', value: {} });
          }
          const result = await catalog.clients.fileChanges.commitSnapshot(stream()).catch((error) => error);
          if (result instanceof Error) {
            refused += 1;
            expect(result.message).toContain('INVALID_ARGUMENT');
            continue;
          }
          // A request that was accepted can be read.
          expect((await scratch.files(snapshotId)).length).toBeLessThan(2);
          await scratch.columns(snapshotId);
          await catalog.clients.plans.getPlan({ tableId: scratch.tableId, snapshotId: BigInt(snapshotId) });
        }
      }
      expect(refused).toBeGreaterThan(20);
      for (let length = 1; length < good.length; length += 1) {
        expect(await send(encode(header()), good.subarray(0, length))).toMatchObject({ code: 'INVALID_ARGUMENT' });
      }
    });

    it('a message beyond the size limit', async () => {
      const huge = { filePath: 'a', columns: [{ columnId: 1, lowerBound: Buffer.alloc(9 * 1024 * 1024) }] };
      expect(
        await send(encode(header()), encode({ $case: 'changes', value: { changes: [added(huge)] } })),
      ).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    });
  });
});
