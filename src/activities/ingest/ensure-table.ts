import type { UpstreamCatalog } from '../../connectors/spi.ts';
import type { CaptureOverrides, IngestHeartbeat } from '../../contract/activities.ts';
import type { ReconcileScope } from '../../contract/job.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import type { Table } from '../../generated/reconciler/v1/tables.ts';
import { TableFormat } from '../../generated/reconciler/v1/tables.ts';
import type { ChangeList } from '../dry-run/change-list.ts';
import { OBJECT_KIND } from '../missing/bindings.ts';
import { destinationOf, requireNamespace, tableText } from '../options/destination.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import type { Heartbeat } from '../runtime/heartbeat.ts';
import type { SplitSize } from '../runtime/split-size.ts';
import type { DestinationNamespaces } from './destination-namespaces.ts';
import { isNameTaken, viewDroppedUpstream } from './name-conflict.ts';

export interface TableIngest extends CaptureOverrides {
  deps: Pick<ActivityDeps, 'catalog' | 'logger'>;
  connector: Connector;
  source: UpstreamCatalog;
  table: TableRef;
  /** Verify snapshots that are in already, and repair what differs. */
  full: boolean;
  scope?: ReconcileScope;
  heartbeat: Heartbeat;
  /** Snapshots that are big are left to file groups. Absent: every one is brought in here. */
  split?: SplitSize;
  /** Where the attempt before stopped. */
  resume?: IngestHeartbeat;
  /** Those that the tables before have asked for. */
  namespaces: DestinationNamespaces;
  /** Of a dry run: told what would change, and nothing is changed. */
  changes?: ChangeList;
}

/** A table in the catalog. */
export interface EnsureResult {
  stored: Table;
  hasSnapshots: boolean;
  /** Making sure of it has made or changed it. */
  changed?: boolean;
  made?: boolean;
  emptied?: boolean;
  /** A view that was gone upstream had its name. */
  viewGone?: boolean;
}

/** The table that is bound already. */
export async function boundTable({ deps, connector, table }: TableIngest): Promise<EnsureResult> {
  const { connectorId } = connector;
  const names = [{ namespacePath: [...table.namespace], name: table.name }];
  const request = { connectorId, kind: OBJECT_KIND.tables, names };
  const { bindings } = await deps.catalog.bindings.lookupBindings(request);
  const tableId = bindings[0]?.objectId;
  if (tableId) return { stored: await deps.catalog.tables.getTable({ tableId }), hasSnapshots: true };
  throw new CodedError(
    'NOT_FOUND',
    `Table ${tableText(table)} is not in the catalog any more: nothing can be captured of it.`,
  );
}

/** The table in the catalog, with its current schema. */
export async function ensureTable(input: TableIngest, { descriptor }: TableReader): Promise<EnsureResult> {
  const { deps, connector, source, table, namespaces } = input;
  const destination = destinationOf(connector, table);
  requireNamespace(destination, table);
  const schema = descriptor.schemas.find(({ id }) => id === descriptor.currentSchemaId);
  const request = {
    connectorId: connector.connectorId,
    upstream: { namespacePath: [...table.namespace], name: table.name },
    uuid: descriptor.uuid,
    namespaceId: await namespaces.idOf(destination.namespacePath),
    name: destination.name,
    format: descriptor.format === 'DELTA' ? TableFormat.TABLE_FORMAT_DELTA : TableFormat.TABLE_FORMAT_ICEBERG,
    location: descriptor.location,
    schemas: schema && [{ schemaId: schema.id, json: schema.json }],
    validateOnly: input.changes !== undefined,
  };
  const ensure = async (replacesView: boolean) => {
    const { table, ...ensured } = await deps.catalog.bindings.ensureTable({ ...request, replacesView });
    return { ...ensured, stored: table as Table, viewGone: replacesView };
  };
  try {
    return await ensure(false);
  } catch (error) {
    if (!isNameTaken(error) || !(await viewDroppedUpstream(deps, source, connector.connectorId, table))) throw error;
    return ensure(true);
  }
}
