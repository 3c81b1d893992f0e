import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AddAction, MetadataAction, ProtocolAction } from '../../../../src/formats/delta/actions.ts';
import { dataFile } from '../../../../src/formats/delta/columns/content-file.ts';
import { type DeltaSchema, DeltaSchemas } from '../../../../src/formats/delta/columns/delta-schema.ts';
import { unpackColumns } from '../../columns/unpack-columns.ts';

export const MADE = join(import.meta.dirname, '../../../fixtures/made/delta');

export interface LoggedAdd {
  version: number;
  add: AddAction;
  schema: DeltaSchema;
}

/** The adds of a table's commits, in their order, each with the schema of its version. */
export function loggedAdds(folder: string): LoggedAdd[] {
  const schemas = new DeltaSchemas();
  const log = join(folder, '_delta_log');
  const commits = readdirSync(log).filter((name) => /^\d{20}\.json$/.test(name));
  let [metaData, protocol] = [{}, {}] as [MetadataAction, ProtocolAction];
  return commits.sort().flatMap((name, version) => {
    const lines = readFileSync(join(log, name), 'utf8').split('\n').filter(Boolean);
    const actions = lines.map((line) => JSON.parse(line));
    for (const action of actions) {
      metaData = action.metaData ?? metaData;
      protocol = action.protocol ?? protocol;
    }
    const schema = schemas.schemaOf(metaData, protocol);
    return actions.flatMap(({ add }) => (add ? [{ version, add: { kind: 'add', ...add }, schema }] : []));
  });
}

/** A table with these columns: names and types as in the schema's JSON. */
export function schemaWith(
  types: Readonly<Record<string, unknown>>,
  partitionColumns: string[] = [],
  columnMetadata: Readonly<Record<string, unknown>> = {},
): DeltaSchema {
  const fields = Object.entries(types).map(([name, type]) => ({
    name,
    type,
    nullable: true,
    metadata: columnMetadata,
  }));
  return new DeltaSchemas().schemaOf(metadataOf(fields, { partitionColumns }), PROTOCOL);
}

export const PROTOCOL: ProtocolAction = { minReaderVersion: 1, minWriterVersion: 2 };

export function metadataOf(fields: unknown[], rest: Partial<MetadataAction> = {}): MetadataAction {
  const schemaString = JSON.stringify({ type: 'struct', fields });
  return { id: 'table', schemaString, partitionColumns: [], configuration: {}, provider: 'parquet', ...rest };
}

export const addOf = (stats: unknown, rest: Partial<AddAction> = {}): AddAction => {
  const text = typeof stats === 'string' || stats === undefined ? stats : JSON.stringify(stats);
  return { kind: 'add', path: 'f', partitionValues: {}, size: 10, stats: text, ...rest };
};

/** The data file of an add, with its columns as objects. */
export function fileOf(...args: Parameters<typeof dataFile>) {
  const file = dataFile(...args);
  return { ...file, columns: unpackColumns(file.columns) };
}
