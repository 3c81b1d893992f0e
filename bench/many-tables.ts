import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { python } from '../test/upstreams/servers/python.ts';
import { ensureWarehouse } from './python.ts';

/** Tables of namespace `bench`, made by `make_table.py`. */
export interface ManyTables {
  /** What the object paths begin with: `s3://lake` or `file:///folder`. */
  root: string;
  /** Where the same lies on disk. */
  folder: string;
  tables: { name: string; location: string; metadataLocation: string }[];
  snapshots: number;
  /** A snapshot adds. */
  files: number;
}

export const NAMESPACE = 'bench';
export const BUCKET = 'lake';

/** Makes them where they are not in the cache yet. */
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
  const named = readdirSync(join(folder, NAMESPACE)).map((table) => {
    const metadata = readdirSync(join(folder, NAMESPACE, table, 'metadata'));
    const latest = metadata
      .filter((file) => file.endsWith('.metadata.json'))
      .sort()
      .at(-1);
    const location = `${root}/${NAMESPACE}/${table}`;
    return { name: table, location, metadataLocation: `${location}/metadata/${latest}` };
  });
  return { root, folder, tables: named, snapshots, files };
}
