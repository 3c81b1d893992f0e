import type { CatalogClients } from '../../catalog-client/connect.ts';
import { DataFile, type PartitionValue } from '../../generated/reconciler/v1/statistics.ts';
import { isoDate, isoYear } from '../../stats/iso-text.ts';
import { withDeadline } from '../catalog-session/context.ts';
import { NONE } from '../io/format.ts';

/** A partition value with the text that people read; for JSON. Absent for null. */
export type ReadableValue = PartitionValue & { readable?: string };

/** A file whose partition values are readable. */
export type ReadableFile = Omit<DataFile, 'partition'> & { partition: ReadableValue[] };

export const ReadableFile = {
  toJSON(file: ReadableFile): object {
    const json = DataFile.toJSON(file) as { partition?: object[] };
    const partition = json.partition?.map((value, n) => ({ ...value, readable: file.partition[n]?.readable }));
    return { ...json, ...(partition && { partition }) };
  },
};

/** The partition values of a file with their readable texts. */
export type ReadablePartition = (file: DataFile) => ReadableValue[];

/** Reads the transforms of a table's partition specs, which say what its partition values mean. */
export async function readablePartitions(clients: CatalogClients, tableId: string): Promise<ReadablePartition> {
  const { partitionSpecs } = await clients.tables.getTable({ tableId }, withDeadline());
  const transforms = new Map<string, string>();
  for (const { specId, fields } of partitionSpecs)
    for (const { fieldId, transform } of fields) transforms.set(`${specId} ${fieldId}`, transform);
  return ({ specId, partition }) =>
    partition.map((value) => {
      const readable = readableText(transforms.get(`${specId} ${value.fieldId}`) ?? '', value);
      return readable === undefined ? value : { ...value, readable };
    });
}

/** `order_date_month=2013-11, region=eu` */
export function partitionText(partition: readonly ReadableValue[]): string {
  return partition.map(({ name, readable }) => `${name}=${readable ?? 'null'}`).join(', ') || NONE;
}

/**
 * A partition value as people read it, in the forms of Iceberg Java's `Transform.toHumanString`, which folders are named by: `2013` for a year,
 * `2013-11` for a month, `2013-11-04-05` for an hour. Bytes are hexadecimal. A string is quoted if it could be taken for something else.
 *
 * @returns undefined for null and for malformed values
 */
export function readableText(transform: string, { type, text, value }: Omit<PartitionValue, 'fieldId' | 'name'>) {
  if (text === undefined) return undefined;
  const units = type === 'int' || type === 'long' ? Number(text) : undefined;
  if (units !== undefined) {
    if (transform === 'year') return isoYear(1970 + units);
    if (transform === 'month') return `${isoYear(1970 + Math.floor(units / 12))}-${twoDigits(modulo(units, 12) + 1)}`;
    if (transform === 'day') return isoDate(units);
    if (transform === 'hour') return `${isoDate(Math.floor(units / 24))}-${twoDigits(modulo(units, 24))}`;
  }
  if (/^(binary|fixed|variant|geometry|geography)/.test(type)) return `0x${Buffer.from(value ?? []).toString('hex')}`;
  if (/^time/.test(type)) {
    const short = text.replace(/\.(\d*?)0+(?=(\+00:00)?$)/, (_, digits: string) => digits && `.${digits}`);
    return short.replace('+00:00', 'Z');
  }
  return type === 'string' && /^(null|)$|^[\s"]|[,=]|\s$/.test(text) ? JSON.stringify(text) : text;
}

const modulo = (n: number, by: number) => ((n % by) + by) % by;
const twoDigits = (n: number) => String(n).padStart(2, '0');
