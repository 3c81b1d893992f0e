import { describe, expect, it } from '@jest/globals';
import { CodedError } from '../../../src/errors.ts';
import { MemoryTable } from './memory-table.ts';

/** Damages one file of a log in many ways. Each time reading must end soon, with a result or an error that names the file, and with little memory. */

const MAX_DURATION_MS = 5_000;
const MAX_MEMORY_BYTES = 300 * 1024 * 1024;

/** Reads everything of a table; returns the number of changes, or the error. */
async function readAll(table: MemoryTable): Promise<number | CodedError> {
  try {
    await using reader = await table.open();
    let changes = 0;
    for await (const { snapshotId, parentSnapshotId } of reader.snapshots()) {
      await reader.liveFileCounts(snapshotId);
      await reader.changeRanges?.(snapshotId, { size: 10, maxRanges: 4 });
      for await (const batch of reader.fileChanges(snapshotId)) changes += batch.changes.length;
      if (snapshotId === reader.versions.first) continue;
      for await (const batch of reader.fileChanges(snapshotId, { base: parentSnapshotId }))
        changes += batch.changes.length;
    }
    return changes;
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
}

/** A generator of pseudo-random numbers below `n` (mulberry32). */
function randomFrom(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

function* damaged(bytes: Buffer, seed: number): Generator<Buffer> {
  const random = randomFrom(seed);
  yield Buffer.alloc(0);
  for (let part = 1; part < 8; part++) yield bytes.subarray(0, Math.floor((bytes.length * part) / 8));
  yield bytes.subarray(0, bytes.length - 1);
  yield Buffer.from(Array.from({ length: 500 }, () => random(256)));
  for (let round = 0; round < 20; round++) {
    const changed = Buffer.from(bytes);
    for (let index = 0; index < 1 + round / 3; index++) changed[random(bytes.length)] = random(256);
    yield changed;
  }
  // Footers are at the end.
  for (let round = 0; round < 20; round++) {
    const changed = Buffer.from(bytes);
    for (let index = 0; index < 3; index++)
      changed[bytes.length - 1 - random(Math.min(bytes.length, 3000))] = random(256);
    yield changed;
  }
}

const SIDECAR =
  '_sidecars/00000000000000000002.checkpoint.0000000001.0000000002.bd1885fd-6ec0-4370-b0f5-43b5162fd4de.parquet';
const FILES: [table: string, file: string][] = [
  ['cleaned', '00000000000000000009.json'],
  ['cleaned', '00000000000000000008.json'],
  ['cleaned', '00000000000000000009.checkpoint.parquet'],
  ['cleaned', '00000000000000000009.crc'],
  ['cleaned', '_last_checkpoint'],
  ['small_pages', '00000000000000000003.checkpoint.0000000002.0000000002.parquet'],
  ['v2-checkpoint-json', '00000000000000000002.checkpoint.6374b053-df23-479b-b2cf-c9c550132b49.json'],
  ['v2-checkpoint-json', SIDECAR],
];

describe('a damaged log', () => {
  for (const [index, [name, file]] of FILES.entries()) {
    it(`with other bytes in ${name}/${file}`, async () => {
      const whole = await readAll(MemoryTable.of(name));
      expect(whole).toEqual(expect.any(Number));
      let errors = 0;
      for (const bytes of damaged(MemoryTable.of(name).get(file), index + 1)) {
        const table = MemoryTable.of(name).put(file, bytes);
        const before = process.memoryUsage();
        const start = performance.now();
        const found = await readAll(table);
        expect(performance.now() - start).toBeLessThan(MAX_DURATION_MS);
        const { arrayBuffers, heapUsed } = process.memoryUsage();
        expect(arrayBuffers + heapUsed - before.arrayBuffers - before.heapUsed).toBeLessThan(MAX_MEMORY_BYTES);
        if (!(found instanceof CodedError)) continue;
        errors += 1;
        expect(['DATA_LOSS', 'FAILED_PRECONDITION', 'UNIMPLEMENTED']).toContain(found.code);
        const names = ['file:///t/_delta_log/', 'table lake.t'];
        expect([found.message, names.some((known) => found.message.includes(known))]).toEqual([found.message, true]);
      }
      // Hints and checksums may be anything.
      if (file === '_last_checkpoint' || file.endsWith('.crc')) expect(errors).toBe(0);
      else expect(errors).toBeGreaterThan(8);
    });
  }

  it('has no sidecar any more', async () => {
    expect(await readAll(MemoryTable.of('v2-checkpoint-json').remove(SIDECAR))).toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining(`sidecar file:///t/_delta_log/${SIDECAR} cannot be read`),
    });
  });

  it('is reported with the line of its newest commit', async () => {
    expect(await readAll(MemoryTable.of('bad_json'))).toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(
        /^commit file:\/\/\/t\/_delta_log\/00000000000000000003\.json is broken: line 2: a line is not JSON/,
      ),
    });
  });

  it.each([300, 0])('may be one of whose newest commit only %d bytes are written', async (written) => {
    const table = MemoryTable.of('rs_checkpoint');
    const bytes = table.get('00000000000000000005.json');
    table.put('00000000000000000005.json', bytes.subarray(0, written));
    const reading = readAll(table);
    setTimeout(() => table.put('00000000000000000005.json', bytes), 100);
    expect(await reading).toBe(await readAll(MemoryTable.of('rs_checkpoint')));
  });
});
