import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { ColumnMetrics } from '../../../../src/formats/columns/packed-columns.ts';
import { boundText, compareBounds } from '../../../../src/stats/bounds.ts';
import { leafColumns } from '../../../../src/stats/leaf-columns.ts';
import { inTypeOfColumn } from '../../../../src/stats/partition-value.ts';
import { fileOf, type LoggedAdd, loggedAdds, MADE } from './logged-adds.ts';

/** What a file contains: see test/generators/delta_tables.py. */
interface Truth {
  rows: number;
  columns: Record<string, { nulls: number; min?: string; max?: string }>;
  partition: Record<string, string | null>;
}

const truthOf = (table: string): Record<string, Truth> =>
  JSON.parse(readFileSync(join(MADE, table, 'truth.json'), 'utf8'));

function columnsByName({ add, schema }: LoggedAdd) {
  const metrics = new Map(fileOf(add, add.path, schema).columns.map((column) => [column.id, column]));
  return leafColumns(schema.json).map(({ id, name, type }) => ({ name, type, metrics: metrics.get(id) }));
}

/** How the truth's bounds compare with those of a column: not positive and not negative if they are within. */
function compared(type: string, { lower, upper }: ColumnMetrics, { min = '', max = '' }) {
  return {
    lower: lower && Math.min(0, compareBounds(type, Buffer.from(min, 'hex'), lower)),
    upper: upper && Math.max(0, compareBounds(type, Buffer.from(max, 'hex'), upper)),
  };
}

describe('a file that delta-rs wrote', () => {
  const truth = truthOf('rs_every_type');
  const files = loggedAdds(join(MADE, 'rs_every_type'));

  it('has the rows and nulls of its data, and no bound excludes a value', () => {
    expect(files).toHaveLength(12);
    for (const file of files) {
      const { rows, columns } = truth[file.add.path]!;
      expect(fileOf(file.add, file.add.path, file.schema).recordCount).toBe(rows);
      for (const { name, type, metrics } of columnsByName(file)) {
        const column = columns[name] ?? columns[name.replace(/^st\./, 'st/')];
        if (column === undefined || metrics === undefined) continue;
        const { valueCount, nullCount } = metrics;
        expect({ name, valueCount, nullCount }).toEqual({ name, valueCount: rows, nullCount: column.nulls });
        if (column.min === undefined)
          expect([name, metrics.lower, metrics.upper]).toEqual([name, undefined, undefined]);
        else {
          const { lower = 0, upper = 0 } = compared(type, metrics, column);
          expect({ name, lower, upper }).toEqual({ name, lower: 0, upper: 0 });
        }
      }
    }
  });

  it('has bounds of every type that has some in the log', () => {
    const without = new Map<string, number>();
    for (const file of files) {
      for (const { name, metrics } of columnsByName(file)) {
        const column = truth[file.add.path]!.columns[name.replace(/^st\./, 'st/')];
        if (column?.min === undefined) continue;
        if (!metrics?.lower || !metrics.upper) without.set(name, (without.get(name) ?? 0) + 1);
      }
    }
    // The log has none of binaries and infinities, and only doubles of the decimals.
    expect([...without.keys()].sort()).toEqual(['bin', 'd18', 'd20', 'd38', 'nan', 'near']);
  });
});

describe('the partition of a file that delta-rs wrote', () => {
  it.each(['rs_partitioned_by_numbers', 'rs_partitioned_by_others'])('%s has the values of its row', (table) => {
    const truth = truthOf(table);
    const files = loggedAdds(join(MADE, table));
    expect(files).toHaveLength(10);
    for (const { add, schema } of files) {
      const types = new Map(leafColumns(schema.json).map(({ name, type }) => [name, type]));
      const { partition } = fileOf(add, add.path, schema);
      const found = partition.map(({ name, type, value }) => {
        const own = value && inTypeOfColumn({ type, value }, types.get(name)!);
        return [name, own === undefined ? null : own.toString('hex')];
      });
      expect(Object.fromEntries(found)).toEqual(truth[add.path]!.partition);
    }
  });

  it('is the column’s only value, and both of its bounds', () => {
    for (const file of loggedAdds(join(MADE, 'rs_partitioned_by_numbers'))) {
      const { partition } = truthOf('rs_partitioned_by_numbers')[file.add.path]!;
      for (const { name, metrics } of columnsByName(file)) {
        const value = partition[name];
        if (value === undefined) continue;
        expect(metrics).toMatchObject({ valueCount: 1, nullCount: value === null ? 1 : 0 });
        const bounds = [metrics?.lower, metrics?.upper].map((bound) =>
          bound ? Buffer.from(bound).toString('hex') : null,
        );
        expect(bounds).toEqual([value, value]);
      }
    }
  });
});

describe('a table of Spark whose types were widened (Delta’s golden table type-widening)', () => {
  const rows = loggedAdds(join(MADE, 'spark_type_widening')).map((file) =>
    Object.fromEntries(
      columnsByName(file).map(({ name, type, metrics }) => [
        name,
        [type, boundText(type, metrics!.lower!), boundText(type, metrics!.upper!)],
      ]),
    ),
  );

  it('has bounds of the types that the columns had when the file was written', () => {
    expect(rows[0]).toMatchObject({
      byte_long: ['int', '1', '1'],
      float_double: ['float', '3.4', '3.4'],
      decimal_decimal_greater_scale: ['decimal(10, 2)', '67.89', '67.89'],
      date_timestamp_ntz: ['date', '2024-09-09', '2024-09-09'],
    });
    expect(rows[1]).toMatchObject({
      byte_long: ['long', '9223372036854775807', '9223372036854775807'],
      float_double: ['double', '1.234567890123', '1.234567890123'],
      decimal_decimal_greater_scale: ['decimal(20, 5)', '12345678901.23456', '12345678901.23456'],
      long_decimal: ['decimal(21, 1)', '123456789012345678.9', '123456789012345678.9'],
      date_timestamp_ntz: ['timestamp', '2024-09-09T12:34:56.123000', '2024-09-09T12:34:56.123999'],
    });
  });

  it('reads older statistics, as they are in a checkpoint, in the types of a newer schema', () => {
    const [old, later] = loggedAdds(join(MADE, 'spark_type_widening'));
    const columns = columnsByName({ ...later!, add: old!.add });
    const texts = columns.map(({ name, type, metrics }) => [
      name,
      [boundText(type, metrics!.lower!), boundText(type, metrics!.upper!)],
    ]);
    // The file has the float 3.4, whose text a double reads as a smaller number.
    expect(Object.fromEntries(texts)).toMatchObject({
      byte_long: ['1', '1'],
      float_double: ['3.4', '3.4000000953674316'],
      int_double: ['7.0', '7.0'],
      decimal_decimal_greater_scale: ['67.89000', '67.89000'],
      long_decimal: ['4.0', '4.0'],
      date_timestamp_ntz: ['2024-09-09T00:00:00.000000', '2024-09-09T00:00:00.000000'],
    });
  });
});
