import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { backlog } from '../../../../src/activities/ingest/ahead/backlog.ts';
import { ReadAhead } from '../../../../src/activities/ingest/ahead/read-ahead.ts';
import { CodedError } from '../../../../src/errors.ts';
import type { FileChange, FileChangeBatch, FileChangesOptions } from '../../../../src/formats/table-reader.ts';
import { waitFor } from '../../../jest/wait-for.ts';

/** Snapshots of any number of batches, each of one change of 100 KiB, after which a reader can continue. */
class Reader {
  batches = 100;
  /** How long each takes. */
  delayMs = 0;
  /** The snapshot and the number of the batch that cannot be read. */
  broken?: [bigint, number];
  /** Each snapshot that is read, in the order in which this began, with the number of its batches that were read. */
  readonly reads: { snapshotId: bigint; base?: bigint; from?: number; count: number; isClosed: boolean }[] = [];

  async *fileChanges(snapshotId: bigint, { base, from = 0 }: FileChangesOptions = {}): AsyncGenerator<FileChangeBatch> {
    const others = this.reads.filter(({ isClosed }) => !isClosed);
    if (others.length > 0) throw new Error(`snapshot ${others[0]?.snapshotId} is still being read`);
    const read = { snapshotId, base, ...(from > 0 && { from }), count: 0, isClosed: false };
    this.reads.push(read);
    try {
      for (let position = from + 1; position <= this.batches; position++) {
        if (this.broken?.[0] === snapshotId && this.broken[1] === position) throw new CodedError('UNAVAILABLE', 'cut');
        if (this.delayMs > 0) await sleep(this.delayMs);
        read.count += 1;
        yield { changes: [change(snapshotId, position)], position };
      }
    } finally {
      read.isClosed = true;
    }
  }
}

const change = (snapshotId: bigint, position: number): FileChange => ({
  kind: 'removed',
  path: `${snapshotId}-${position}-${'x'.repeat(100 * 1024)}`,
});

const next = (snapshotId: bigint, base: bigint) => async () => ({ snapshotId, base });
const settled = (reader: Reader, count: number) => waitFor(() => expect(reader.reads.at(-1)?.count).toBe(count));
/** Long enough for more to be read, if that were to happen. */
const pause = () => sleep(200);

/** Everything that a snapshot's changes are sent as, and the positions at which a stream may end. */
async function sent(ahead: ReadAhead, snapshotId: bigint, options: { base?: bigint; from?: number }) {
  const changes = await ahead.take(snapshotId, options);
  const bytes: Uint8Array[] = [];
  const positions: (number | undefined)[] = [];
  for (let batch = await changes.next(); batch; batch = await changes.next()) {
    bytes.push(...batch.messages);
    positions.push(batch.position);
  }
  const rest = changes.flush();
  await changes.close();
  return { bytes: Buffer.concat(rest ? [...bytes, rest] : bytes), positions };
}

it('reads six messages of the next snapshot before its changes are asked for, and sends the same', async () => {
  const reader = new Reader();
  const plain = await sent(new ReadAhead(reader, {}), 2n, { base: 1n });
  await using ahead = new ReadAhead(reader, {});
  ahead.begin(next(2n, 1n));
  // A message is full with the 11th batch of 100 KiB.
  await settled(reader, 66);
  await pause();
  expect(reader.reads[1]).toEqual({ snapshotId: 2n, base: 1n, count: 66, isClosed: false });
  const { bytes, positions } = await sent(ahead, 2n, { base: 1n });
  expect(bytes.equals(plain.bytes)).toBe(true);
  expect(plain.positions).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  // What was read ahead is one part: a stream that ended within it would have more changes than its position states.
  expect(positions).toEqual(plain.positions.map((position) => (position && position < 66 ? undefined : position)));
  expect(reader.reads).toHaveLength(2);
});

it('reads no further once the changes are taken', async () => {
  const reader = new Reader();
  reader.delayMs = 20;
  await using ahead = new ReadAhead(reader, {});
  ahead.begin(next(2n, 1n));
  await waitFor(() => expect(reader.reads[0]?.count).toBeGreaterThan(0), { interval: 5 });
  const changes = await ahead.take(2n, { base: 1n });
  await changes.next();
  const { count } = reader.reads[0]!;
  expect(count).toBeLessThan(66);
  await pause();
  expect(reader.reads[0]!.count).toBe(count);
  await changes.close();
});

it.each<[string, bigint, { base?: bigint; from?: number }]>([
  ['of another snapshot', 3n, { base: 1n }],
  ['against another base', 2n, { base: 0n }],
  ['against nothing', 2n, {}],
  ['from a position', 2n, { base: 1n, from: 7 }],
])('closes what was begun before it reads changes %s', async (_, snapshotId, options) => {
  const reader = new Reader();
  await using ahead = new ReadAhead(reader, {});
  ahead.begin(next(2n, 1n));
  await settled(reader, 66);
  const { positions } = await sent(ahead, snapshotId, options);
  expect(positions).toHaveLength(100 - (options.from ?? 0));
  expect(reader.reads).toMatchObject([{ snapshotId: 2n }, { snapshotId, ...options }]);
});

it('closes what was begun if something else is begun or kept, or nothing more is read', async () => {
  const reader = new Reader();
  const ahead = new ReadAhead(reader, {});
  ahead.begin(next(2n, 1n));
  ahead.begin(next(3n, 2n));
  await settled(reader, 66);
  await ahead.keepOnly(3n, 2n);
  expect(reader.reads.map(({ isClosed }) => isClosed)).toEqual([true, false]);
  await ahead.keepOnly(3n, 1n);
  expect(reader.reads.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  ahead.begin(next(4n, 3n));
  await ahead[Symbol.asyncDispose]();
  ahead.begin(next(5n, 4n));
  await pause();
  expect(reader.reads.map(({ snapshotId, isClosed }) => [snapshotId, isClosed])).toEqual([
    [2n, true],
    [3n, true],
    [4n, true],
  ]);
});

it('throws an error when the changes are asked for, and not before', async () => {
  const reader = new Reader();
  reader.broken = [2n, 3];
  await using ahead = new ReadAhead(reader, {});
  ahead.begin(next(2n, 1n));
  await settled(reader, 2);
  await pause();
  await ahead.keepOnly(2n, 1n);
  const changes = await ahead.take(2n, { base: 1n });
  await expect(changes.next()).rejects.toThrow('cut');
  await changes.close();
});

it('reads nothing ahead if it is not known what comes next', async () => {
  const reader = new Reader();
  await using ahead = new ReadAhead(reader, {});
  ahead.begin(async () => undefined);
  ahead.begin(async () => Promise.reject(new CodedError('UNAVAILABLE', 'no history')));
  expect((await sent(ahead, 2n, { base: 1n })).positions).toHaveLength(100);
  expect(reader.reads).toHaveLength(1);
});

it('shares one bound with all ingests of a worker, of which each gets some', async () => {
  const readers = Array.from({ length: 30 }, () => new Reader());
  const all = readers.map((reader) => new ReadAhead(reader, {}));
  for (const ahead of all) ahead.begin(next(2n, 1n));
  for (const reader of readers) await waitFor(() => expect(reader.reads[0]?.count).toBeGreaterThanOrEqual(22));
  await pause();
  const messages = readers.map((reader) => Math.floor(reader.reads[0]!.count / 11));
  // 32 MiB are full with the second message of each of them, at the latest.
  expect(Math.max(...messages)).toBeLessThanOrEqual(3);
  expect(backlog.bytes).toBeLessThan(70 * 2 ** 20);
  for (const ahead of all) await ahead[Symbol.asyncDispose]();
  expect(backlog.bytes).toBe(0);
});
