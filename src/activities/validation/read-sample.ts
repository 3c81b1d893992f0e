import type { UpstreamCatalog } from '../../connectors/spi.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { tableText } from '../options/destination.ts';
import { describeError } from '../runtime/failures.ts';
import type { Heartbeat } from '../runtime/heartbeat.ts';
import { isAccessError, whatIsWrong } from './what-is-wrong.ts';

/** Tables to open until one has a snapshot that can be read. */
const MAX_TRIED = 20;
/** Errors that probably hold for all tables, until the others are no longer tried. */
const MAX_ACCESS_ERRORS = 3;

/** What was read of a sample of tables: a sentence, or why none can be read. */
export type SampleRead = { read: string; wrong?: undefined } | { wrong: string; read?: undefined };

/**
 * Reads the first of these tables that can be read, as a job would: its metadata, and the manifest list of its current snapshot, with the
 * table's own credentials. A broken table, or one without a snapshot, is passed over if there are others.
 */
export async function readSample(
  upstream: UpstreamCatalog,
  tables: readonly TableRef[],
  heartbeat: Heartbeat,
): Promise<SampleRead> {
  const errors: unknown[] = [];
  let withoutList: string | undefined;
  for (const table of tables.slice(0, MAX_TRIED)) {
    heartbeat.signal.throwIfAborted();
    try {
      const { read, hasManifestList } = await readTable(upstream, table);
      if (hasManifestList) return { read };
      withoutList ??= read;
    } catch (error) {
      errors.push(error);
      // The other tables would wait for the same address.
      if (/^(UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED)$/.test(describeError(error).code)) break;
      if (errors.filter(isAccessError).length === MAX_ACCESS_ERRORS) break;
    }
    heartbeat.beat();
  }
  const error = errors.find(isAccessError) ?? errors[0];
  if (withoutList !== undefined && !isAccessError(error)) return { read: withoutList };
  return { wrong: whatIsWrong(error) };
}

/**
 * Reads the table's metadata and the manifest list, or Delta's commit, of its current snapshot.
 *
 * @returns what was read, as a sentence, and whether a manifest list was
 */
export async function readTable(
  upstream: UpstreamCatalog,
  table: TableRef,
): Promise<{ read: string; hasManifestList: boolean }> {
  await using reader = await upstream.openTable(table);
  const name = tableText(table);
  const { currentSnapshotId: id, format, metadataLocation } = reader.descriptor;
  if (id === undefined) {
    const read = `The metadata of table ${name} can be read; it has no snapshot, so that no other file was read.`;
    return { read, hasManifestList: false };
  }
  await reader.liveFileCounts(id);
  for await (const { manifestList } of reader.snapshots(new Set([id]))) {
    if (!manifestList) break;
    const file = format === 'DELTA' ? `commit ${metadataLocation}` : `manifest list ${manifestList}`;
    return { read: `Table ${name} can be read: its metadata, and the ${file}.`, hasManifestList: true };
  }
  return { read: `The metadata of table ${name} can be read; it has no manifest list.`, hasManifestList: false };
}
