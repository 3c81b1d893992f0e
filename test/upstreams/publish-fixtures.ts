import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readTruth, type Truth } from '../integration/contents/truth.ts';
import { ROOT } from '../integration/stack/running-stack.ts';
import type { Moto } from './servers/moto.ts';
import { runPython } from './servers/python.ts';

const RELOCATE = fileURLToPath(new URL('engines/relocate.py', import.meta.url));
const FIXTURES = join(ROOT, 'test/fixtures');

/** Warehouses of fixtures, and the path that their metadata contains. */
const WAREHOUSES = {
  'iceberg/wh': '/lake/fixtures/iceberg/wh',
  'iceberg/fs': '/lake/fixtures/iceberg/fs',
  // An earlier state of some tables of the next warehouse, with which it does not conflict.
  'made/iceberg/before': '/lake/made/iceberg/wh',
  'made/iceberg/wh': '/lake/made/iceberg/wh',
  'made/iceberg/quirks/wh': '/lake/made/iceberg/wh',
};
const TRUTHS = ['iceberg/truth', 'made/iceberg/truth', 'made/iceberg/truth-dotted', 'made/iceberg/quirks/truth'];

/** Names that contain a dot. The names of the truth files do not distinguish it from a dot between two names. */
const DOTTED: Record<string, string[]> = { 'odd names.dot.ted': ['odd names', 'dot.ted'] };

export interface FixtureTable {
  /** Namespace levels and name in the catalog. */
  path: string[];
  /** The table's content according to the engines. File paths are those of the machine on which it was written. */
  truth: Truth & { metadata_location: string };
}

/** Every fixture table. */
export function fixtureTables(): FixtureTable[] {
  return TRUTHS.flatMap(tablesOf);
}

/** Some of the same tables in an earlier state. */
export function earlierTables(): FixtureTable[] {
  return tablesOf('made/iceberg/before-truth');
}

function tablesOf(folder: string): FixtureTable[] {
  return [...readTruth(join(FIXTURES, folder))].map(([name, truth]) => ({
    path: DOTTED[name] ?? name.split('.'),
    truth: truth as FixtureTable['truth'],
  }));
}

/** Where tables are published: a local folder, or a bucket (then the folder is used to prepare them). */
export interface Place {
  folder: string;
  bucket?: { moto: Moto; name: string };
}

/** Copies the fixture tables to a place and registers them with Iceberg's REST server. */
export async function publishFixtures(restUrl: string, place: Place, tables: FixtureTable[]): Promise<void> {
  for (const [warehouse, writtenAs] of Object.entries(WAREHOUSES)) {
    const copy = join(place.folder, writtenAs.slice('/lake/'.length));
    await runPython(RELOCATE, [join(FIXTURES, warehouse), copy, '/lake', rootOf(place)]);
  }
  // Damaged afterwards, because the server reads a table's metadata when the table is registered.
  const damaged = new Map<string, Buffer | undefined>();
  for (const table of tables.filter(({ truth }) => truth.corrupted)) {
    const file = join(place.folder, metadataFile(table));
    damaged.set(file, existsSync(file) ? readFileSync(file) : undefined);
    writeFileSync(file, `${readFileSync(anyMetadataBeside(file))}`);
  }
  if (place.bucket) await upload(place.folder, place.bucket);
  await registerFixtures(restUrl, place, tables);
  for (const [file, content] of damaged) {
    if (content) writeFileSync(file, content);
    else rmSync(file);
    await place.bucket?.moto.putObject(place.bucket.name, file.slice(place.folder.length + 1), content);
  }
}

/** Registers tables that are already in the place, replacing those with the same names. */
export async function registerFixtures(restUrl: string, place: Place, tables: FixtureTable[]): Promise<void> {
  for (const table of tables) await register(restUrl, table.path, `${rootOf(place)}/${metadataFile(table)}`);
}

function rootOf({ folder, bucket }: Place): string {
  return bucket ? `s3://${bucket.name}` : `file://${folder}`;
}

/** The metadata file's path below the place. */
function metadataFile({ truth }: FixtureTable): string {
  return truth.metadata_location.replace(/^(file:(\/\/)?)?\/lake\//, '');
}

function anyMetadataBeside(file: string): string {
  const folder = join(file, '..');
  const name = readdirSync(folder).find((other) => other.endsWith('.metadata.json') && join(folder, other) !== file);
  return join(folder, name ?? '');
}

async function register(restUrl: string, path: string[], location: string): Promise<void> {
  const levels = path.slice(0, -1);
  for (let depth = 1; depth <= levels.length; depth++) {
    const made = await post(`${restUrl}/v1/namespaces`, { namespace: levels.slice(0, depth) });
    if (!made.ok && made.status !== 409) throw new Error(`no namespace ${levels}: ${await made.text()}`);
  }
  // The separator in the server's config.
  const namespace = levels.map(encodeURIComponent).join('%2E');
  const name = path.at(-1) ?? '';
  // Dropped without its files.
  await fetch(`${restUrl}/v1/namespaces/${namespace}/tables/${encodeURIComponent(name)}`, { method: 'DELETE' });
  const body = { name, 'metadata-location': location };
  const made = await post(`${restUrl}/v1/namespaces/${namespace}/register`, body);
  if (!made.ok) throw new Error(`${path.join('.')} was not registered: ${made.status} ${await made.text()}`);
}

function post(url: string, body: object): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
}

async function upload(folder: string, bucket: NonNullable<Place['bucket']>): Promise<void> {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    await bucket.moto.putObject(bucket.name, file.slice(folder.length + 1), readFileSync(file));
  }
}
