import { CodedError } from '../../errors.ts';
import { MAX_METADATA_BYTES, parseTableMetadata } from '../../formats/iceberg/table-metadata.ts';
import type { FolderEntry, ObjectStat, ObjectStore } from '../../storage/object-store.ts';

/** What `CREATE TABLE` names metadata files in catalogs (`00003-UUID`) and in Hadoop tables (`v3`), gzipped ones too. */
const METADATA_FILE = /^(?:v(\d+)|(\d+)-.+?)(?:\.gz)?\.metadata\.json(?:\.gz)?$/;
const ANY_METADATA_FILE = /\.metadata\.json(?:\.gz)?$/;
const VERSION_HINT = 'version-hint.text';
/** Codes of failures that may pass: another try can find what is there. */
const TRANSIENT: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED']);
/** A version number; whatever is larger is none. */
const MAX_HINT_BYTES = 4_096;

export interface FoundMetadata {
  path: string;
  /** Path, size, time of change and ETag: Hadoop tables that are made anew start again with `v1.metadata.json`. */
  fingerprint: string;
}

interface Candidate {
  name: string;
  /** Where the listing tells it. */
  stat?: ObjectStat;
  version: number;
  /** Whether it is Hadoop's (`v3`), of which there is one a version. */
  hadoop: boolean;
}

/**
 * What a folder is by its entries and by those of its `metadata` folder.
 *
 * `unknown` is one that may not be read: it can be either, and to pass over it would make what lies in it look dropped.
 */
export type FolderKind = 'table' | 'namespace' | 'unknown' | 'other';

export async function folderKind(store: ObjectStore, folder: string): Promise<FolderKind> {
  try {
    const entries = await store.list(folder);
    // A Delta table among Iceberg ones is no namespace of them.
    if (entries.some((entry) => entry.folder && entry.name === '_delta_log')) return 'other';
    if (!entries.some((entry) => entry.folder && entry.name === 'metadata')) return 'namespace';
    const files = await store.list(`${folder}/metadata`);
    return files.some((entry) => !entry.folder && isMetadata(entry.name)) ? 'table' : 'namespace';
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    if (error.code === 'NOT_FOUND') return 'other'; // gone meanwhile
    if (error.code === 'PERMISSION_DENIED') return 'unknown';
    throw error;
  }
}

/**
 * The newest metadata file of a table's folder.
 *
 * With a `version-hint.text`, as Hadoop tables have it: that version, or the last one that follows it without a gap; a hint that
 * leads nowhere is passed over. Else the highest number. Where several files have it (a commit that lost its race leaves its file), the one
 * updated last.
 *
 * @throws CodedError `NOT_FOUND` where there is no such folder, `DATA_LOSS` where it has no metadata file
 */
export async function newestMetadata(store: ObjectStore, table: string): Promise<FoundMetadata> {
  const folder = `${table}/metadata`;
  const entries = await store.list(folder);
  const candidates = entries.filter((entry) => !entry.folder).flatMap(candidate);
  if (candidates.length === 0) {
    throw new CodedError(
      'DATA_LOSS',
      `table folder ${table} has no metadata file: ${folder} holds ${entries.length} entries, and none is named like ` +
        '00001-….metadata.json or v1.metadata.json. Restore one, or remove the folder.',
    );
  }
  const hint = entries.some((entry) => entry.name === VERSION_HINT && !entry.folder)
    ? await readHint(store, `${folder}/${VERSION_HINT}`)
    : undefined;
  const chosen = followHint(hint, candidates) ?? highest(candidates);
  const newest = candidates.filter((it) => it.version === chosen.number && (it.hadoop || !chosen.hadoop));
  const { name, stat } = newest.length === 1 ? newest[0]! : await lastUpdated(store, folder, newest);
  const path = `${folder}/${name}`;
  const { size, modifiedMs, etag } = stat ?? (await store.stat(path));
  const version = etag === undefined ? '' : `&etag=${etag.replaceAll('"', '')}`;
  return { path, fingerprint: `${path}?size=${size}&modified=${modifiedMs}${version}` };
}

function isMetadata(name: string): boolean {
  return ANY_METADATA_FILE.test(name) || name === VERSION_HINT || (name.startsWith('snap-') && name.endsWith('.avro'));
}

function candidate({ name, stat }: FolderEntry): Candidate[] {
  if (name.startsWith('.')) return []; // Hadoop's checksums: .v1.metadata.json.crc
  const match = METADATA_FILE.exec(name);
  if (match !== null) return [{ name, stat, version: Number(match[1] ?? match[2]), hadoop: match[1] !== undefined }];
  return ANY_METADATA_FILE.test(name) ? [{ name, stat, version: -1, hadoop: false }] : [];
}

function highest(candidates: readonly Candidate[]): { number: number; hadoop: boolean } {
  return { number: candidates.reduce((most, { version }) => Math.max(most, version), -1), hadoop: false };
}

function followHint(
  hint: number | undefined,
  candidates: readonly Candidate[],
): { number: number; hadoop: boolean } | undefined {
  const versions = new Set(candidates.filter((it) => it.hadoop).map((it) => it.version));
  if (hint === undefined || !versions.has(hint)) return undefined;
  let version = hint;
  while (versions.has(version + 1)) version++;
  return { number: version, hadoop: true };
}

async function readHint(store: ObjectStore, path: string): Promise<number | undefined> {
  try {
    const text = Buffer.from(await store.read(path, { maxBytes: MAX_HINT_BYTES }))
      .toString('utf8')
      .trim();
    return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  } catch (error) {
    // As good as none: the metadata files themselves tell. A store that cannot be reached is another matter.
    if (error instanceof CodedError && !TRANSIENT.has(error.code)) return undefined;
    throw error;
  }
}

/** By `last-updated-ms`, then by the file's own time, then by name. One that is broken loses to one that is not. */
async function lastUpdated(store: ObjectStore, folder: string, candidates: readonly Candidate[]): Promise<Candidate> {
  const dated = await Promise.all(
    candidates.map(async (candidate) => {
      const path = `${folder}/${candidate.name}`;
      const { modifiedMs } = candidate.stat ?? (await store.stat(path));
      return { ...candidate, modifiedMs, updatedMs: await updatedMs(store, path) };
    }),
  );
  dated.sort((a, b) => b.updatedMs - a.updatedMs || b.modifiedMs - a.modifiedMs || (a.name < b.name ? 1 : -1));
  return dated[0]!;
}

async function updatedMs(store: ObjectStore, path: string): Promise<number> {
  try {
    return parseTableMetadata(await store.read(path, { maxBytes: MAX_METADATA_BYTES }), path).lastUpdatedMs;
  } catch (error) {
    if (error instanceof CodedError && !TRANSIENT.has(error.code)) return Number.NEGATIVE_INFINITY;
    throw error;
  }
}
