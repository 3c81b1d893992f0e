import type { CaptureOptions, TableOutcome } from '../../contract/activities.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import type { Binding } from '../../generated/reconciler/internal/v1/bindings.ts';
import { formatName } from '../../names.ts';
import { type Change, type ChangeList, count } from '../dry-run/change-list.ts';
import { goneChange } from '../dry-run/dropped-change.ts';
import { OBJECT_KIND } from '../missing/bindings.ts';
import { missingPolicy } from '../missing/missing-policy.ts';
import { resolveCaptureOptions } from '../options/capture-options.ts';
import { destinationOf, hasMoved, requireNamespace } from '../options/destination.ts';
import { requestsMade } from '../runtime/request-count.ts';
import type { EnsureResult, TableIngest } from './ensure-table.ts';
import { boundTable, ensureTable } from './ensure-table.ts';
import { ndvColumns, selectedColumns } from './selected-columns.ts';
import { planSnapshots, type SnapshotPlan } from './snapshot-plan.ts';
import { tableMove } from './update-table.ts';

/**
 * Tells what bringing in the table would change, and changes nothing: the same questions to upstream and catalog, the same plan of its
 * snapshots. Files are not read, so that none are counted.
 *
 * @throws what bringing it in would fail with, as far as its metadata shows it
 */
export async function previewTable(
  input: TableIngest,
  reader: TableReader,
  changes: ChangeList,
): Promise<TableOutcome> {
  const { deps, connector, table, source, full } = input;
  const { descriptor } = reader;
  const capture = resolveCaptureOptions(connector, input);
  const to = destinationOf(connector, table);
  const upstream = { namespacePath: [...table.namespace], name: table.name };
  const { connectorId } = connector;
  const request = { connectorId, kind: OBJECT_KIND.tables, names: [upstream] };
  const { bindings } = await deps.catalog.bindings.lookupBindings(request);
  const known = bindings[0] as Binding;
  const moves = capture.mode !== 'CAPTURE_ONLY' && known.objectId !== '' && hasMoved(known, to);

  const ensured = await previewEnsure(input, reader, known, capture);
  // For their errors.
  selectedColumns(input, reader);
  ndvColumns(input, reader);
  const stored = ensured?.made ? undefined : ensured?.stored;
  const tableId = ensured?.hasSnapshots ? stored?.tableId : undefined;
  const isCaptureOnly = capture.mode === 'CAPTURE_ONLY';
  const { action: rule, dropAfterSeconds } = missingPolicy(connector);
  const heads = isCaptureOnly && stored ? stored : descriptor;
  const plan = await planSnapshots(deps, tableId, reader, capture, heads, full, rule !== 'KEEP');
  const snapshots = plannedSnapshots(plan, capture, full);
  const expired = plan.expired.length;
  const droppedAtOnce = rule === 'DROP' && dropAfterSeconds === 0;
  const coverage = stored?.upstream?.coverage ?? '';
  const move =
    stored && !isCaptureOnly
      ? tableMove(stored, descriptor, connectorId, table, descriptor.fingerprint, coverage)
      : undefined;
  const changed = !stored || ensured?.changed || moves || snapshots.count + expired > 0 || move?.changes === true;

  const reasons: string[] = [];
  if (!stored) reasons.push(`not in the catalog yet: ${snapshots.text || 'no snapshot'}`);
  else {
    if (snapshots.text) reasons.push(snapshots.text.replace(/^(\d+) snapshot/, '$1 new snapshot'));
    if (expired > 0) reasons.push(`${expired} expired${droppedAtOnce ? ', dropped at once' : ''}`);
    if (known.missing) reasons.push('is there again');
    if (known.objectId === '') reasons.push('takes over the table of that name, which no connector owns');
    if (moves) reasons.push(`moves from ${formatName([...known.namespacePath, known.name])}`);
    if (ensured?.emptied) reasons.push('is another table than before: what the catalog holds of the old one goes');
    const schema = descriptor.schemas.find(({ id }) => id === descriptor.currentSchemaId);
    const isNewSchema = stored.schema?.schemaId !== schema?.id || stored.schema?.json !== schema?.json;
    if (move?.changes && isNewSchema) reasons.push('schema changed');
    if (changed && reasons.length === 0) {
      const sameHead = stored.currentSnapshotId === descriptor.currentSnapshotId;
      reasons.push(sameHead ? 'metadata changed' : 'another current snapshot');
    }
  }
  if (snapshots.verified > 0) reasons.push(`${count(snapshots.verified, 'snapshot')} to verify`);
  if (reasons.length > 0) {
    const action: Change['action'] = !stored ? 'CREATE' : changed ? 'UPDATE' : 'VERIFY';
    const name = [...table.namespace, table.name];
    const destination = [...to.namespacePath, to.name];
    await changes.tell({ kind: 'TABLE', action, name, destination, reason: reasons.join(', ') });
  }
  if (ensured?.viewGone) {
    await changes.tell(
      goneChange(connector, 'views', { upstream }, 'DROP', 'upstream has a table by its name instead'),
    );
  }
  return {
    changed,
    snapshots: snapshots.count,
    files: 0,
    bytesRead: reader.bytesRead,
    upstreamRequests: requestsMade(source.usage),
    ...(droppedAtOnce && expired > 0 ? { snapshotsDropped: expired } : {}),
  };
}

/** The table as it would be when it is made sure of; undefined where it would be made in a namespace that is not there. */
async function previewEnsure(
  input: TableIngest,
  reader: TableReader,
  { objectId: tableId }: Binding,
  { mode }: CaptureOptions,
): Promise<EnsureResult | undefined> {
  const { deps, connector, table, namespaces } = input;
  if (mode === 'CAPTURE_ONLY') return boundTable(input);
  const to = destinationOf(connector, table);
  requireNamespace(to, table);
  // Without an id the namespace is yet to be made: no name can be taken there.
  if ((await namespaces.idOf(to.namespacePath)) !== '') return ensureTable(input, reader);
  return tableId === '' ? undefined : { stored: await deps.catalog.tables.getTable({ tableId }), hasSnapshots: true };
}

/** Snapshots that would come in or have their files brought in, and those that a full rescan would look at again. */
function plannedSnapshots(
  { todo, known, captured }: SnapshotPlan,
  { mode }: CaptureOptions,
  full: boolean,
): { count: number; text: string; verified: number } {
  const done = mode === 'METADATA_ONLY' ? known : captured;
  const of = (takes: (id: bigint) => boolean) => [...todo].filter(takes).length;
  const fresh = of((id) => !known.has(id));
  const files = of((id) => known.has(id) && !done.has(id));
  const parts = [
    ...(fresh > 0 ? [count(fresh, 'snapshot')] : []),
    ...(files > 0 ? [`files of ${count(files, 'snapshot')}`] : []),
  ];
  return { count: fresh + files, text: parts.join(', '), verified: full ? of((id) => done.has(id)) : 0 };
}
