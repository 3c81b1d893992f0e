import type { Table } from '../../generated/reconciler/v1/tables.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/** Ends an `UNFINISHED` state: from now on the table counts as unchanged while the upstream has this fingerprint. */
export async function finishTable(
  { catalog }: Pick<ActivityDeps, 'catalog'>,
  tableId: string,
  fingerprint: string,
): Promise<void> {
  await catalog.ingestion.updateTable({
    updateMask: ['upstream.fingerprint'],
    table: { tableId, upstream: { fingerprint } },
  });
}

/** After files alone were ingested: the table itself stays in its state. */
export async function setCoverage(
  { catalog }: Pick<ActivityDeps, 'catalog'>,
  { tableId, upstream }: Table,
  coverage: string,
): Promise<void> {
  if (upstream?.coverage === coverage) return;
  await catalog.ingestion.updateTable({
    updateMask: ['upstream.coverage'],
    table: { tableId, upstream: { coverage } },
  });
}
