import { describe, expect, it } from '@jest/globals';
import { footerMetrics } from '../../../src/formats/parquet/column-metrics.ts';
import { readFooter } from '../../../src/formats/parquet/footer.ts';
import { sketchFile } from '../../../src/formats/parquet/sketch-file.ts';
import { decodeCompactTheta } from '../../../src/stats/ndv/compact-theta.ts';
import { columnsOf, fileBytes, inMemory, mappingOf, NESTED_MAPPING, TRUTH } from './files.ts';

/** Bounds of long strings are truncated to this length: see truncate-bounds.ts. */
const MAX_BOUND_BYTES = 64;

describe.each(Object.entries(TRUTH))('%s', (name, truth) => {
  const columns = columnsOf(truth);
  const nameMapping = truth.ids ? undefined : name === 'nested_no_ids' ? NESTED_MAPPING : mappingOf(truth);

  it('has the column metrics that pyarrow sees in its footer', async () => {
    const { footer } = await readFooter(inMemory(fileBytes(name)));
    const metrics = footerMetrics(footer, { types: new Map(columns.map(({ id, type }) => [id, type])), nameMapping });
    expect(footer.rows).toBe(truth.rows);
    const found = metrics.map(({ id, sizeInBytes, valueCount, nullCount, lower, upper }) => ({
      id,
      size: sizeInBytes,
      values: valueCount,
      nulls: nullCount ?? null,
      lower: hex(lower),
      upper: hex(upper),
    }));
    const expected = Object.entries(truth.columns).map(([id, column]) => ({
      id: Number(id),
      size: column.size,
      values: column.values,
      nulls: column.nulls,
      lower: column.lower?.slice(0, MAX_BOUND_BYTES * 2),
      upper: column.upper && column.upper.length > MAX_BOUND_BYTES * 2 ? truncateUpper(column.upper) : column.upper,
    }));
    expect(found).toEqual(expected);
  });

  it('has the distinct values that were written, with the hashes of mmh3', async () => {
    const sketches = await sketchFile(inMemory(fileBytes(name)), columns, nameMapping, () => {});
    const found = sketches.map(({ columnId, estimate, isComplete, theta }) => {
      return { id: columnId, distinct: estimate, isComplete, hashes: hashes(theta).slice(0, 40) };
    });
    const expected = Object.entries(truth.columns).map(([id, column]) => {
      return { id: Number(id), distinct: column.distinct, isComplete: true, hashes: column.hashes };
    });
    expect(found).toEqual(expected);
  });
});

it('reads a file of half a MiB in one request', async () => {
  const file = inMemory(fileBytes('plain_none'));
  await sketchFile(file, columnsOf(TRUTH.plain_none!), undefined, () => {});
  expect(file.reads).toEqual([[0, file.byteLength]]);
});

function hex(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString('hex');
}

/** Truncates an upper bound in hex; the texts are ASCII. */
function truncateUpper(text: string): string {
  const bytes = Buffer.from(text, 'hex').subarray(0, MAX_BOUND_BYTES);
  bytes[MAX_BOUND_BYTES - 1]! += 1;
  return bytes.toString('hex');
}

function hashes(theta: Uint8Array): string[] {
  const { hashes } = decodeCompactTheta(theta)!;
  const words = [...hashes].map((half) => half.toString(16).padStart(8, '0'));
  return Array.from({ length: words.length / 2 }, (_, i) => `${words[i * 2 + 1]}${words[i * 2]}`);
}
