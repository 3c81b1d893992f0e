import { describe, expect, it } from '@jest/globals';
import { footerMetrics } from '../../../src/formats/parquet/column-metrics.ts';
import { readFooter } from '../../../src/formats/parquet/footer.ts';
import { sketchFile } from '../../../src/formats/parquet/sketch-file.ts';
import { decodeCompactTheta } from '../../../src/stats/ndv/compact-theta.ts';
import { columnsOf, fileBytes, inMemory, mappingOf, NESTED_MAPPING, TRUTH } from './files.ts';

/** Bounds of long strings are cut: see short-bounds.ts. */
const CUT = 64;

describe.each(Object.entries(TRUTH))('%s', (name, truth) => {
  const columns = columnsOf(truth);
  const nameMapping = truth.ids ? undefined : name === 'nested_no_ids' ? NESTED_MAPPING : mappingOf(truth);

  it('has the column metrics that pyarrow sees in its footer', async () => {
    const { footerOf } = await readFooter(inMemory(fileBytes(name)));
    const metrics = footerMetrics(footerOf, { types: new Map(columns.map(({ id, type }) => [id, type])), nameMapping });
    expect(footerOf.rows).toBe(truth.rows);
    const found = metrics.map(({ id, sizeInBytes, valueCount, nullCount, lower, upper }) => ({
      id,
      size: sizeInBytes,
      values: valueCount,
      nulls: nullCount ?? null,
      lower: hex(lower),
      upper: hex(upper),
    }));
    const wanted = Object.entries(truth.columns).map(([id, column]) => ({
      id: Number(id),
      size: column.size,
      values: column.values,
      nulls: column.nulls,
      lower: column.lower?.slice(0, CUT * 2),
      upper: column.upper && column.upper.length > CUT * 2 ? cutAndRaised(column.upper) : column.upper,
    }));
    expect(found).toEqual(wanted);
  });

  it('has the distinct values that were written, with the hashes that mmh3 gives them', async () => {
    const sketches = await sketchFile(inMemory(fileBytes(name)), columns, nameMapping, () => {});
    const found = sketches.map(({ columnId, estimate, isComplete, theta }) => {
      return { id: columnId, distinct: estimate, isComplete, hashes: hashes(theta).slice(0, 40) };
    });
    const wanted = Object.entries(truth.columns).map(([id, column]) => {
      return { id: Number(id), distinct: column.distinct, isComplete: true, hashes: column.hashes };
    });
    expect(found).toEqual(wanted);
  });
});

it('reads a file of half a MiB at once', async () => {
  const file = inMemory(fileBytes('plain_none'));
  await sketchFile(file, columnsOf(TRUTH.plain_none!), undefined, () => {});
  expect(file.reads).toEqual([[0, file.byteLength]]);
});

function hex(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString('hex');
}

/** These texts are ASCII. */
function cutAndRaised(text: string): string {
  const bytes = Buffer.from(text, 'hex').subarray(0, CUT);
  bytes[CUT - 1]! += 1;
  return bytes.toString('hex');
}

function hashes(theta: Uint8Array): string[] {
  const { hashes } = decodeCompactTheta(theta)!;
  const words = [...hashes].map((half) => half.toString(16).padStart(8, '0'));
  return Array.from({ length: words.length / 2 }, (_, i) => `${words[i * 2 + 1]}${words[i * 2]}`);
}
