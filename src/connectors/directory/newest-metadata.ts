import { CodedError } from '../../errors.ts';
import { readMetadataFile } from '../../formats/iceberg/metadata-file.ts';
import type { FolderEntry, ObjectStat, ObjectStore } from '../../storage/object-store.ts';
import { entriesOf } from '../../storage/sorted-pages.ts';

/** Metadata files of tables in catalogs (`00003-UUID` or `v3-UUID`) and of Hadoop tables (`v3`), optionally gzipped. */
const METADATA_FILE = /^(?:v(\d+)|v?(\d+)-.+?)(?:\.gz)?\.metadata\.json(?:\.gz)?$/;
const ANY_METADATA_FILE = /\.metadata\.json(?:\.gz)?$/;
const METADATA = 'metadata';
const VERSION_HINT = 'version-hint.text';
/** Codes of transient failures. */
const TRANSIENT: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED']);
/** The hint is a version number; a larger file cannot be one. */
const MAX_HINT_BYTES = 4_096;

export interface FoundMetadata {
  path: string;
  /** Path, size, modification time and ETag. The path is not enough: a re-created Hadoop table has `v1.metadata.json` again. */
  fingerprint: string;
}

interface Candidate {
  name: string;
  /** Present if the listing contains it. */
  stat?: ObjectStat;
  version: number;
  /** Whether it is a Hadoop table's (`v3`), which has one per version. */
  hadoop: boolean;
}

/**
 * Finds the newest metadata file of a table's folder.
 *
 * If there is a `version-hint.text`, as in Hadoop tables, it is the hint's version or the last one that follows it without a gap; a hint to
 * a missing version is ignored. Otherwise it is the file with the highest number. If several files have that number (a commit that lost a
 * race leaves its file), it is the one updated last.
 *
 * @throws CodedError `NOT_FOUND` if the folder does not exist, `DATA_LOSS` if it has no metadata file
 */
export async function newestMetadata(store: ObjectStore, table: string): Promise<FoundMetadata> {
  const folder = `${table}/${METADATA}`;
  const candidates: Candidate[] = [];
  let hasHint = false;
  let entries = 0;
  for await (const entry of entriesOf(store.list(folder))) {
    entries++;
    if (entry.folder) continue;
    if (entry.name === VERSION_HINT) hasHint = true;
    candidates.push(...candidate(entry));
  }
  if (candidates.length === 0) {
    throw new CodedError(
      'DATA_LOSS',
      `table folder ${table} has no metadata file: ${folder} has ${entries} entries, and none has a name such as ` +
        '00001-….metadata.json or v1.metadata.json. Restore one, or remove the folder.',
    );
  }
  const hint = hasHint ? await readHint(store, `${folder}/${VERSION_HINT}`) : undefined;
  const chosen = followHint(hint, candidates) ?? highest(candidates);
  const newest = candidates.filter(({ version, hadoop }) => version === chosen.number && (hadoop || !chosen.hadoop));
  const { name, stat } = newest.length === 1 ? newest[0]! : await lastUpdated(store, folder, newest);
  const path = `${folder}/${name}`;
  const { size, modifiedMs, etag } = stat ?? (await store.stat(path));
  const version = etag === undefined ? '' : `&etag=${etag.replaceAll('"', '')}`;
  return { path, fingerprint: `${path}?size=${size}&modified=${modifiedMs}${version}` };
}

/** Whether a file in a folder `metadata` shows that it is an Iceberg table's. */
export function isMetadata(name: string): boolean {
  return ANY_METADATA_FILE.test(name) || name === VERSION_HINT || (name.startsWith('snap-') && name.endsWith('.avro'));
}

function candidate({ name, stat }: FolderEntry): Candidate[] {
  if (name.startsWith('.')) return []; // Hadoop's checksums: .v1.metadata.json.crc
  const match = METADATA_FILE.exec(name);
  if (match !== null) return [{ name, stat, version: Number(match[1] ?? match[2]), hadoop: match[1] !== undefined }];
  return ANY_METADATA_FILE.test(name) ? [{ name, stat, version: -1, hadoop: false }] : [];
}

function highest(candidates: readonly Candidate[]): { number: number; hadoop: boolean } {
  return { number: candidates.reduce((max, { version }) => Math.max(max, version), -1), hadoop: false };
}

function followHint(
  hint: number | undefined,
  candidates: readonly Candidate[],
): { number: number; hadoop: boolean } | undefined {
  const versions = new Set(candidates.filter(({ hadoop }) => hadoop).map(({ version }) => version));
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
    // Without a readable hint, the metadata files decide. A transient failure must not change the result, so it is thrown.
    if (error instanceof CodedError && !TRANSIENT.has(error.code)) return undefined;
    throw error;
  }
}

/** The candidate with the latest `last-updated-ms`, then the latest modification time, then the last name. Corrupt files come last. */
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
    const { metadata, memory } = await readMetadataFile(store, path, 'look');
    memory?.[Symbol.dispose]();
    return metadata.lastUpdatedMs;
  } catch (error) {
    if (error instanceof CodedError && !TRANSIENT.has(error.code)) return Number.NEGATIVE_INFINITY;
    throw error;
  }
}
