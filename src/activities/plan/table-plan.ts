import type { CaptureOptions } from '../../contract/activities.ts';
import { UNFINISHED } from '../../contract/fingerprints.ts';
import { missingPolicy } from '../../contract/missing-policy.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import { SnapshotRefType, type Table } from '../../generated/reconciler/v1/tables.ts';
import { type NdvOptions, ndvOptions } from '../../stats/statistics-options.ts';
import { optionsFor, resolveCaptureOptions } from '../options/capture-options.ts';
import { coverageAfter } from '../options/coverage.ts';
import { destinationOf, type TableDestination } from '../options/destination.ts';
import { boundTable, type EnsureResult, ensureTable } from './ensure-table.ts';
import { refuseOversize } from './refuse-oversize.ts';
import { type Ancestry, ancestryOf, type TableHeads } from './select-snapshots.ts';
import { type NdvColumns, ndvColumns, selectedColumns } from './selected-columns.ts';
import { planSnapshots, type SnapshotPlan } from './snapshot-plan.ts';
import { compareStoredSnapshots, listStoredSnapshots, NO_SNAPSHOTS, type StoredSnapshots } from './stored-snapshots.ts';
import type { TableIngest } from './table-ingest.ts';
import { type TableMove, tableMove } from './table-move.ts';

/** What is to be done to a table. A run applies it, a dry run prints it (see `tableChange`). */
export interface TablePlan {
  destination: TableDestination;
  /** What the run takes. */
  capture: CaptureOptions;
  full: boolean;
  /** The table in the catalog. This first step is done by planning already, unless the run is dry. */
  ensured: EnsureResult;
  /** Versions of the schema, besides the current one, that come before the snapshots. */
  olderSchemaIds: ReadonlySet<number>;
  snapshots: SnapshotPlan;
  snapshotCounts: SnapshotCounts;
  /** Whether what expires is dropped in the same job. */
  dropsExpired: boolean;
  /** Field ids whose metrics are stored; undefined for all. */
  columnIds?: ReadonlySet<number>;
  /** Absent: no numbers of distinct values are to be ingested. */
  ndv?: NdvPlan;
  /** Absent: the table itself stays as it is. */
  move?: TableMove;
  /** What the catalog has of the table's state afterwards. */
  coverage: string;
  /** Not all snapshots are taken, although none were selected. */
  isCutByDefault: boolean;
  /** Something changes; a full rescan may find more to repair. */
  changes: boolean;
}

/** Numbers of snapshots to work on. */
export interface SnapshotCounts {
  /** Snapshots that are new. */
  added: number;
  /** Snapshots whose metadata is stored and whose files are ingested now. */
  captured: number;
  /** Snapshots that are stored and read again. */
  verified: number;
  /** Snapshots that could not be read before. */
  retried: number;
}

export interface NdvPlan extends NdvColumns {
  /** Absent: only the upstream's own sketches are ingested, and no data file is read. */
  options?: NdvOptions;
}

/**
 * Compares a table's state with what the catalog has of it.
 *
 * @throws whatever applying the plan would fail with, as far as the table's metadata shows it
 */
export async function planTable(input: TableIngest, reader: TableReader): Promise<TablePlan> {
  const { connector, table, full } = input;
  const { descriptor } = reader;
  refuseOversize(table, descriptor);
  const ancestry = ancestryOf(reader.history());
  const selected = resolveCaptureOptions(connector, input);
  const capture = optionsFor(selected, descriptor.format, ancestry.size);
  const isCaptureOnly = capture.mode === 'CAPTURE_ONLY';
  const destination = destinationOf(connector, table);
  const ensured = await (isCaptureOnly ? boundTable(input) : ensureTable(input, reader, destination, capture));
  const { stored } = ensured;

  const columnIds = selectedColumns(input, reader);
  const ndv = capture.mode === 'METADATA_ONLY' ? undefined : planNdv(input, reader);
  const { action, dropAfterSeconds } = missingPolicy(connector);
  const snapshots = planSnapshots(
    ancestry,
    await storedSnapshots(input, reader, ensured, ancestry, capture),
    isCaptureOnly ? headsOf(stored) : descriptor,
    { capture, full, marks: action !== 'KEEP' },
  );
  const snapshotCounts = countSnapshots(snapshots, capture, full);

  const isSameState = isCaptureOnly || stored.upstream?.fingerprint === descriptor.fingerprint;
  const coverage = coverageAfter(isSameState ? stored.upstream?.coverage : undefined, capture, snapshots);
  // Until the numbers of distinct values are in, the table counts as changed; it can be read before.
  const fingerprint = ndv ? UNFINISHED : descriptor.fingerprint;
  const move = isCaptureOnly
    ? undefined
    : tableMove(stored, descriptor, connector.connectorId, table, fingerprint, coverage);
  const { added, captured } = snapshotCounts;
  return {
    destination,
    capture,
    full,
    ensured,
    olderSchemaIds: olderSchemaIds(reader, full || !stored.upstream?.fingerprint ? undefined : stored.schema?.schemaId),
    snapshots,
    snapshotCounts,
    dropsExpired: action === 'DROP' && dropAfterSeconds === 0,
    columnIds,
    ndv,
    move,
    coverage,
    isCutByDefault: capture !== selected,
    changes: ensured.changed || added + captured + snapshots.expired.length > 0 || move?.changes === true,
  };
}

function planNdv(input: TableIngest, reader: TableReader): NdvPlan | undefined {
  const options = ndvOptions(input.connector.properties);
  const columns = ndvColumns(input, reader);
  const hasSketches = (reader.sketchFiles ?? []).length > 0;
  const readsFiles = options !== undefined && reader.openDataFile !== undefined;
  return hasSketches || readsFiles ? { ...columns, options } : undefined;
}

async function storedSnapshots(
  { deps, full }: TableIngest,
  { sketchFiles = [] }: TableReader,
  { stored, hasSnapshots }: EnsureResult,
  ancestry: Ancestry,
  { mode }: CaptureOptions,
): Promise<StoredSnapshots> {
  if (!hasSnapshots) return NO_SNAPSHOTS;
  // All of them are verified, each against what is stored.
  if (full) return listStoredSnapshots(deps, stored.tableId, ancestry);
  const also = sketchFiles.map(({ snapshotId }) => snapshotId);
  return compareStoredSnapshots(deps, stored, ancestry, { also, captured: mode !== 'METADATA_ONLY' });
}

/** @param since the version that was current in the last run, which stored those before it; undefined for all */
function olderSchemaIds({ descriptor: { schemas, currentSchemaId } }: TableReader, since = -1): Set<number> {
  return new Set(schemas.map(({ id }) => id).filter((id) => id !== currentSchemaId && id > since));
}

function countSnapshots(
  { todo, known, captured, messages }: SnapshotPlan,
  { mode }: CaptureOptions,
  full: boolean,
): SnapshotCounts {
  const done = mode === 'METADATA_ONLY' ? known : captured;
  const counts: SnapshotCounts = { added: 0, captured: 0, verified: 0, retried: 0 };
  for (const id of todo) {
    if (!known.has(id)) counts.added += 1;
    else if (messages.get(id)?.unreadable) counts.retried += 1;
    else if (!done.has(id)) counts.captured += 1;
    else if (full) counts.verified += 1;
  }
  return counts;
}

/** The heads of a table in the catalog. */
export function headsOf({ currentSnapshotId, refs }: Table): TableHeads {
  const { SNAPSHOT_REF_TYPE_TAG } = SnapshotRefType;
  return {
    currentSnapshotId,
    refs: refs.map(({ name, snapshotId, type }) => ({
      name,
      snapshotId,
      type: type === SNAPSHOT_REF_TYPE_TAG ? 'tag' : 'branch',
    })),
  };
}
