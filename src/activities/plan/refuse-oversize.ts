import type { ViewDescriptor, ViewRef } from '../../connectors/spi.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import type { TableDescriptor } from '../../formats/table-reader.ts';
import { mebibytes } from '../../text.ts';
import { tableText } from '../options/destination.ts';

/**
 * Most bytes that the properties of a table, one of its schemas, a snapshot's summary and so on may have. The catalog accepts messages of 8 MiB
 * (`MAX_RECEIVE_BYTES` of its server), and the largest message has the parts of a table together.
 */
const MAX_BYTES = 7 * 1024 * 1024;

/** What an entry of a map takes in a message, besides its key and its value. */
const ENTRY_BYTES = 12;

/** @throws CodedError FAILED_PRECONDITION, without which each attempt would fail in the same way, if a table's metadata is too large to transfer */
export function refuseOversize(table: TableRef, descriptor: TableDescriptor): void {
  const { properties, schemas, currentSchemaId, partitionSpecs, refs } = descriptor;
  const current = schemas.find(({ id }) => id === currentSchemaId)?.json ?? '';
  const parts: [string, number, string][] = [
    ['its properties have', sizeOf(properties), `Remove properties that nobody needs, ${largest(properties)} first`],
    ['its current schema has', Buffer.byteLength(current), 'Remove columns or their docs'],
    ['its partition specs have', JSON.stringify(partitionSpecs).length, 'Remove specs that no snapshot needs'],
    [
      'its branches and tags have',
      refs.reduce((sum, { name }) => sum + Buffer.byteLength(name) + 50, 0),
      'Drop some of them',
    ],
  ];
  const [[what, size, advice]] = parts.sort(([, a], [, b]) => b - a) as [(typeof parts)[number]];
  const total = parts.reduce((sum, [, size]) => sum + size, 0);
  if (total > MAX_BYTES) throw oversize(table, what, size, total, advice);
  for (const { id, json } of schemas) {
    const size = Buffer.byteLength(json);
    if (size > MAX_BYTES) throw oversize(table, `schema ${id} has`, size, size, 'Remove columns or their docs');
  }
}

/** @throws CodedError FAILED_PRECONDITION if a snapshot's summary is too large to transfer */
export function refuseOversizeSummary(snapshotId: bigint, summary: Readonly<Record<string, string>>): void {
  const size = sizeOf(summary);
  if (size <= MAX_BYTES) return;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `the summary of snapshot ${snapshotId} has ${mebibytes(size)}, at most ${mebibytes(MAX_BYTES)} are supported. Expire the snapshot.`,
  );
}

/** @throws CodedError FAILED_PRECONDITION if a view is too large to transfer */
export function refuseOversizeView(view: ViewRef, { schema, representations, properties }: ViewDescriptor): void {
  const sql = representations.reduce((sum, { sql }) => sum + Buffer.byteLength(sql), 0);
  const size = sizeOf(properties) + Buffer.byteLength(schema.json) + sql;
  if (size <= MAX_BYTES) return;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `view ${tableText(view)} is too large: its properties, schema and SQL have ${mebibytes(size)}, at most ${mebibytes(MAX_BYTES)} are supported. Shorten them.`,
  );
}

function oversize(table: TableRef, what: string, size: number, total: number, advice: string): CodedError {
  const of = mebibytes(size) === mebibytes(total) ? '' : ` of ${mebibytes(total)}`;
  return new CodedError(
    'FAILED_PRECONDITION',
    `the metadata of table ${tableText(table)} is too large: ${what} ${mebibytes(size)}${of}, at most ${mebibytes(MAX_BYTES)} are supported. ${advice}.`,
  );
}

const sizeOf = (map: Readonly<Record<string, string>>) =>
  Object.entries(map).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value) + ENTRY_BYTES,
    0,
  );

const largest = (map: Readonly<Record<string, string>>) =>
  JSON.stringify(
    Object.entries(map)
      .sort(([, a], [, b]) => b.length - a.length)[0]?.[0]
      .slice(0, 100) ?? '',
  );
