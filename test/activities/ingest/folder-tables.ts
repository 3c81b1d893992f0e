import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { openDirectory } from '../../../src/connectors/directory/open-directory.ts';
import type { IngestInput, TableHeartbeat } from '../../../src/contract/activities.ts';
import type { TableFormat } from '../../../src/formats/table-reader.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import type { PlanFile } from '../../../src/generated/reconciler/v1/plans.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { run, STEP } from '../run-activity.ts';

/** The folder of the tables' metadata in a warehouse. */
export const METADATA = 'db/t/metadata';
const TABLE = { namespace: ['db'], name: 't' };

/** A catalog, and a folder for warehouses with one table each, `db.t`, which a test writes by itself. */
export class FolderTables implements AsyncDisposable {
  readonly catalog: TestCatalog;
  readonly #folder = mkdtempSync(join(tmpdir(), 'folder-tables-'));

  private constructor(catalog: TestCatalog) {
    this.catalog = catalog;
  }

  static async start(): Promise<FolderTables> {
    return new FolderTables(await TestCatalog.start());
  }

  /** @returns a new folder for a warehouse */
  warehouse(): string {
    return mkdtempSync(join(this.#folder, 'wh-'));
  }

  /**
   * A new connector of a warehouse.
   *
   * @param spec further fields of the connector
   */
  async connect(warehouse: string, spec: object = {}, format: TableFormat = 'ICEBERG') {
    const { bindings, connectors, plans, snapshots, statistics, tables } = this.catalog.clients;
    const { connectorId } = await connectors.createConnector({ connector: connectorSpec(spec) });
    const deps = activityDeps(this.catalog, await openDirectory(new FileStore(), warehouse, { format }));
    const bound = async () =>
      (await bindings.listBindings({ connectorId, kind: ObjectKind.OBJECT_KIND_TABLE })).bindings;
    const tableId = async () => (await bound())[0]!.objectId;
    return {
      connectorId,
      deps,
      bound,
      tableId,
      /** The warnings of the worker. */
      warn: jest.spyOn(deps.logger, 'warn'),
      ingest: (full = false, more: Partial<IngestInput> = {}, resume?: TableHeartbeat) =>
        run(() => ingestTable(deps, { ...STEP, connectorId, table: TABLE, full, split: false, ...more }), {
          heartbeatDetails: resume,
        }),
      plan: async (snapshotId: bigint): Promise<PlanFile[]> =>
        (await plans.getPlan({ tableId: await tableId(), snapshotId })).files,
      tableOf: async () => tables.getTable({ tableId: await tableId() }),
      list: async () => (await snapshots.listSnapshots({ tableId: await tableId() })).snapshots,
      columns: async (snapshotId: bigint) =>
        (await statistics.listColumnStats({ tableId: await tableId(), snapshotId })).columns,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true });
    await this.catalog[Symbol.asyncDispose]();
  }
}
