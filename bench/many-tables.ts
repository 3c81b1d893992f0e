import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { python } from '../test/upstreams/servers/python.ts';
import { ensureWarehouse } from './python/python.ts';

/** The tables of namespace `bench`, made by `make_table.py`. */
export interface ManyTables {
  /** Prefix of the objects' paths: `s3://lake` or `file:///folder`. */
  root: string;
  /** The folder on disk that contains the same objects. */
  folder: string;
  tables: { name: string; location: string; metadataLocation: string }[];
  /** Per table. */
  snapshots: number;
  /** Added by each snapshot. */
  files: number;
}

export const NAMESPACE = 'bench';
export const BUCKET = 'lake';

/** Returns the tables, making them first if they are not in the cache. */
export async function ensureManyTables(
  cache: string,
  on: 's3' | 'file',
  shape: { tables: number; snapshots: number; files: number },
): Promise<ManyTables> {
  const { tables, snapshots, files } = shape;
  const name = ['upstream', on, tables, snapshots, files].join('-');
  const sizes = ['--tables', `${tables}`, '--snapshots', `${snapshots}`, '--files', `${files}`];
  const bucket = on === 's3' ? ['--bucket', BUCKET] : [];
  const warehouse = await ensureWarehouse(await python(), cache, name, 'many', ...sizes, ...bucket);
  const folder = on === 's3' ? join(warehouse, BUCKET) : warehouse;
  const root = on === 's3' ? `s3://${BUCKET}` : `file://${warehouse}`;
  const entries = readdirSync(join(folder, NAMESPACE)).map((table) => {
    const metadata = readdirSync(join(folder, NAMESPACE, table, 'metadata'));
    const latest = metadata
      .filter((file) => file.endsWith('.metadata.json'))
      .sort()
      .at(-1);
    const location = `${root}/${NAMESPACE}/${table}`;
    return { name: table, location, metadataLocation: `${location}/metadata/${latest}` };
  });
  return { root, folder, tables: entries, snapshots, files };
}
