import { describe, expect, it } from '@jest/globals';
import { readFileActions, readSmallActions } from '../../../src/formats/delta/log/commit.ts';
import { readLines } from '../../../src/formats/delta/log/json-lines.ts';
import { all } from './live-files.ts';

const reader = (bytes: Buffer) => (start: number, end: number) => Promise.resolve(bytes.subarray(start, end));
const linesOf = async (bytes: Buffer, range = {}) =>
  (await all(readLines(reader(bytes), range))).flatMap(({ lines }) => lines);

describe('lines of a commit', () => {
  // Longer than what is read at once, with lines that are, too.
  const lines = Array.from(
    { length: 300 },
    (_, index) => `${index} ${'ü'.repeat((index % 7) * 9_000)}${index === 99 ? 'x'.repeat(6_000_000) : ''}`,
  );
  const bytes = Buffer.from(lines.join('\n'));

  it('are read whatever their length', async () => {
    expect(bytes.length).toBeGreaterThan(10_000_000);
    expect(await linesOf(bytes)).toEqual(lines);
    expect(await linesOf(Buffer.from(`${lines.join('\n')}\n`))).toEqual(lines);
    expect(await linesOf(Buffer.alloc(0))).toEqual([]);
    expect(await linesOf(Buffer.from('a\n\nb'))).toEqual(['a', '', 'b']);
  });

  it('belong to the range in which they begin', async () => {
    const cuts = [0, 1, 2, 3, 1_000_003, 4_194_304, 5_242_880, 7_000_001, bytes.length - 1, bytes.length];
    const parts = await Promise.all(cuts.slice(1).map((to, index) => linesOf(bytes, { from: cuts[index], to })));
    expect(parts.flat()).toEqual(lines);
    const small = Buffer.from('ab\ncd\n\nef\ng');
    for (let cut = 0; cut <= small.length; cut++) {
      const both = [await linesOf(small, { to: cut }), await linesOf(small, { from: cut })];
      expect([cut, both.flat()]).toEqual([cut, ['ab', 'cd', '', 'ef', 'g']]);
    }
  });

  it('can be continued after each part', async () => {
    for (const { end } of await all(readLines(reader(bytes)))) {
      const before = await linesOf(bytes, { to: end });
      expect([...before, ...(await linesOf(bytes, { from: end }))]).toEqual(lines);
    }
  });

  it('have a limit', async () => {
    await expect(linesOf(Buffer.alloc(40 * 1024 * 1024, 'x'))).rejects.toThrow('a line has more than 32.0 MiB');
  });
});

describe('actions of a commit', () => {
  const commit = (...actions: (object | string)[]) =>
    reader(
      Buffer.from(actions.map((action) => (typeof action === 'string' ? action : JSON.stringify(action))).join('\n')),
    );

  it('that are unknown are ignored, and unknown fields, too', async () => {
    const read = commit(
      { commitInfo: { operation: 'WRITE', operationMetrics: { numFiles: 1 }, unknown: { a: 1 } } },
      { txn: { appId: 'a', version: 1 } },
      { cdc: { path: '_change_data/x', size: 1 } },
      { somethingNew: { path: 'x' } },
      { add: { path: 'a', partitionValues: { p: null }, size: 3, tags: { x: 'y' }, futureField: [1] }, metaData: null },
      { remove: { path: 'b', deletionTimestamp: 1 } },
      '  ',
    );
    expect((await all(readFileActions(read))).flatMap(({ actions }) => actions)).toEqual([
      { kind: 'add', path: 'a', partitionValues: { p: null }, size: 3 },
      { kind: 'remove', path: 'b' },
    ]);
    expect(await readSmallActions(read)).toEqual({
      info: { operation: 'WRITE', summary: { 'operationMetrics.numFiles': '1' } },
      files: { adds: 1, removes: 1, addsRows: false },
      domains: [],
      sidecars: [],
    });
  });

  it('that are broken are named by their line', async () => {
    const files = (...actions: (object | string)[]) => all(readFileActions(commit({ txn: {} }, ...actions)));
    await expect(files('{"add":')).rejects.toThrow('line 2: a line is not JSON');
    await expect(files('[1]')).rejects.toThrow('line 2: a line is not a JSON object');
    await expect(files({ add: { size: 1 } })).rejects.toThrow('line 2: add.path should be a string but is missing');
    await expect(files({ add: { path: 'a', size: -1 } })).rejects.toThrow(
      'add.size should be an integer from 0 on and below 2^53 but is -1',
    );
    await expect(files({ add: { path: 'a', size: 1, partitionValues: { p: 1 } } })).rejects.toThrow(
      'add.partitionValues',
    );
    await expect(files('{"add":{"path":"a","size":9007199254740993}}')).rejects.toThrow(
      'add.size should be an integer from 0 on and below 2^53',
    );
    const vector = { storageType: 'z', pathOrInlineDv: '', sizeInBytes: 1, cardinality: 1 };
    await expect(files({ remove: { path: 'a', deletionVector: vector } })).rejects.toThrow('storage type "z"');
    await expect(readSmallActions(commit({ txn: {} }, '{"add":{"path":"half'))).rejects.toThrow(
      'line 2: it ends in the middle',
    );
    await expect(readSmallActions(commit({ metaData: { id: 1 } }))).rejects.toThrow(
      'line 1: metaData.id should be a string',
    );
  });

  it('have provenance of any kind, which is shortened', async () => {
    const info = async (commitInfo: unknown) => (await readSmallActions(commit({ commitInfo }))).info;
    expect(
      await info({
        operation: 'MERGE',
        operationParameters: { a: 1, b: [1, 'x'], c: { d: null }, e: null, f: true },
        isBlindAppend: false,
        readVersion: 4,
        inCommitTimestamp: 1_700_000_000_123,
        isolationLevel: 'Serializable',
      }),
    ).toEqual({
      operation: 'MERGE',
      inCommitTimestamp: 1_700_000_000_123,
      summary: {
        'operationParameters.a': '1',
        'operationParameters.b': '[1,"x"]',
        'operationParameters.c': '{"d":null}',
        'operationParameters.f': 'true',
        isBlindAppend: 'false',
        isolationLevel: 'Serializable',
        readVersion: '4',
      },
    });
    const exact = commit('{"commitInfo":{"operation":7,"operationMetrics":{"rows":9223372036854775807}}}');
    expect((await readSmallActions(exact)).info).toEqual({
      operation: '',
      summary: { 'operationMetrics.rows': '9223372036854775807' },
    });
    const long = await info({
      operation: 'WRITE',
      operationParameters: Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`p${i}`, 'x'.repeat(2000)])),
    });
    const size = Object.entries(long?.summary ?? {}).reduce((sum, [key, text]) => sum + key.length + text.length, 0);
    expect(size).toBeLessThanOrEqual(4000);
    expect(long?.summary['operationParameters.p0']).toHaveLength(1000);
    const huge = await info({
      inCommitTimestamp: 5,
      operation: 'WRITE',
      operationParameters: { predicate: 'x'.repeat(3_000_000) },
    });
    expect(huge).toEqual({ operation: 'WRITE', summary: {}, inCommitTimestamp: 5 });
    // Not JSON, of which only the beginning is read.
    const damaged = commit(`{"commitInfo":{"operation":"WR\\ITE","userMetadata":"${'x'.repeat(3_000_000)}"}}`);
    expect((await readSmallActions(damaged)).info).toEqual({ operation: '', summary: {} });
    expect(await info(null)).toEqual({ operation: '', summary: {} });
  });
});
