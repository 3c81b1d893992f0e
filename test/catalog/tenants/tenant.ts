import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { ConnectorKind } from '../../../src/generated/reconciler/v1/connectors.ts';
import {
  JobChangeAction,
  JobChangeKind,
  JobFailureKind,
  JobResult,
  JobState,
} from '../../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { added, SCHEMA } from '../files.ts';
import type { SharedCatalog } from './two-tenants.ts';

export const PUBLIC = '/reconciler.v1.';
export const INTERNAL = '/reconciler.internal.v1.';

let count = 0;
let round = 0;

/**
 * A tenant of a shared catalog. All tenants give the same names to the same things, and have a nonce in every other text.
 */
export class TestTenant {
  readonly catalog: SharedCatalog;
  readonly id: string;
  readonly nonce: string;

  constructor(catalog: SharedCatalog, id: string) {
    this.catalog = catalog;
    this.id = id;
    this.nonce = `secret-of-${id}`;
  }

  static async create(catalog: SharedCatalog, id: string): Promise<TestTenant> {
    await catalog.need(`${PUBLIC}Tenants/CreateTenant`, 'platform@*', { tenant: { tenantId: id } });
    return new TestTenant(catalog, id);
  }

  // biome-ignore lint/suspicious/noExplicitAny: the responses of all RPCs.
  admin(rpc: string, request: object): Promise<any> {
    return this.catalog.need(`${PUBLIC}${rpc}`, `admin@${this.id}`, request);
  }

  // biome-ignore lint/suspicious/noExplicitAny: the responses of all RPCs.
  worker(rpc: string, request: object): Promise<any> {
    return this.catalog.need(`${INTERNAL}${rpc}`, `worker@${this.id}`, request);
  }

  texts(): { description: string; properties: Record<string, string> } {
    return { description: this.nonce, properties: { text: this.nonce } };
  }

  async aCatalog(): Promise<{ catalogId: string; displayName: string }> {
    const catalog = { displayName: this.name('catalog'), ...this.texts() };
    return this.admin('Catalogs/CreateCatalog', { catalog, idempotencyKey: this.name('key') });
  }

  async aNamespace(): Promise<{ catalogId: string; namespaceId: string; path: string[]; catalogName: string }> {
    const { catalogId, displayName } = await this.aCatalog();
    const namespace = { catalogId, path: ['fx'], ...this.texts() };
    const made = await this.admin('Namespaces/CreateNamespace', { namespace });
    return { ...made, catalogName: displayName };
  }

  async aTable(
    namespaceId?: string,
  ): Promise<{ tableId: string; namespaceId: string; catalogId: string; name: string }> {
    const table = { namespaceId: namespaceId ?? (await this.aNamespace()).namespaceId, name: 'orders' };
    const format = TableFormat.TABLE_FORMAT_ICEBERG;
    return this.admin('Tables/CreateTable', {
      table: { ...table, format, ...this.texts(), location: this.nonce, schema: SCHEMA },
    });
  }

  /** A table with one captured snapshot, 1, which is current. */
  async aFullTable(): Promise<{ tableId: string; namespaceId: string }> {
    const { tableId, namespaceId } = await this.aTable();
    await this.worker('Ingestion/CommitSnapshot', this.commit({ tableId, snapshot: this.snapshot(tableId) }) as never);
    const update = { table: { tableId, currentSnapshotId: 1n }, updateMask: ['current_snapshot_id'] };
    await this.admin('Tables/UpdateTable', update);
    return { tableId, namespaceId };
  }

  snapshot(tableId: string, snapshotId = 1n): object {
    return {
      tableId,
      snapshotId,
      operation: 'append',
      schemaId: 0,
      summary: { text: this.nonce },
      manifestList: this.nonce,
    };
  }

  /** The messages of a stream that commits a snapshot. */
  commit(header: object, finish: object = {}): object[] {
    const changes = [added({ filePath: `${this.nonce}/1`, columns: [{ columnId: 1, nullCount: 0n }] as never })];
    return [
      { request: { $case: 'header', value: { snapshotId: 1n, idempotencyKey: 'key', ...header } } },
      { request: { $case: 'changes', value: { changes } } },
      { request: { $case: 'finish', value: finish } },
    ];
  }

  async aConnector(fields: object = {}): Promise<{ connectorId: string; displayName: string }> {
    const connector = { displayName: this.name('lake'), kind: ConnectorKind.CONNECTOR_KIND_ICEBERG, ...this.texts() };
    const uri = `file:///${this.nonce}`;
    return this.admin('Connectors/CreateConnector', { connector: { ...connector, uri, ...fields } });
  }

  /** A connector with a table and a view that it has ingested, and the job that has its claim. By default, each tenant has a job with its id. */
  async aBusyConnector(jobId = this.name('nightly')) {
    const { connectorId, displayName } = await this.aConnector();
    const { namespaceId, catalogId } = await this.aNamespace();
    const record = { jobId, message: this.nonce, connectorId, connectorName: displayName };
    this.catalog.jobs.statuses.set(jobId, 'RUNNING');
    const runId = `run-of-${jobId}`;
    const { epoch } = await this.worker('Reconciliation/ClaimConnector', { connectorId, job: record, runId });
    const upstream = { namespacePath: ['up'], name: 'orders' };
    const where = { connectorId, upstream, namespaceId, format: TableFormat.TABLE_FORMAT_ICEBERG };
    const { table } = await this.worker('Bindings/EnsureTable', {
      ...{ ...where, name: 'orders', uuid: this.nonce, location: this.nonce },
      schemas: [SCHEMA],
    });
    const { tableId } = table;
    await this.worker('Ingestion/CommitSnapshot', this.commit({ tableId, snapshot: this.snapshot(tableId) }) as never);
    const bound = {
      connectorId,
      namespacePath: ['up'],
      tableName: 'orders',
      uuid: this.nonce,
      fingerprint: this.nonce,
    };
    const update = { tableId, currentSnapshotId: 1n, upstream: { ...bound, coverage: this.nonce } };
    await this.worker('Ingestion/UpdateTable', { table: update, updateMask: ['current_snapshot_id', 'upstream'] });
    const view = { namespaceId, name: 'view', ...this.texts(), representations: [{ sql: this.nonce, dialect: 'x' }] };
    const { viewId } = await this.worker('Bindings/EnsureView', {
      ...{ connectorId, upstream: { namespacePath: ['up'], name: 'view' }, uuid: this.nonce },
      ...{ fingerprint: this.nonce, view },
    });
    return { connectorId, displayName, namespaceId, catalogId, jobId, tableId, viewId, upstream, runId, epoch };
  }

  /** A job that has ended, with a failure, a change and an outcome. */
  async aFailedJob(jobId = this.jobId()) {
    const { connectorId, displayName } = await this.aConnector();
    const runId = `run-of-${jobId}`;
    const record = { jobId, message: this.nonce, connectorId, connectorName: displayName, requestJson: '{}' };
    await this.worker('Reconciliation/ClaimConnector', { connectorId, job: { ...record, dryRun: true }, runId });
    await this.worker('Reconciliation/RecordJobChanges', { jobId, changes: [this.change()] });
    await this.worker('Reconciliation/RecordJobOutcomes', { jobId, step: 'a', outcomes: [this.outcome()] });
    const failed = { ...record, state: JobState.JS_FAILED };
    await this.worker('Reconciliation/EndJob', { job: failed, failures: [this.failure()], connectorId, runId });
    return { connectorId, jobId, displayName };
  }

  /** A job that waits for the busy connector. */
  async aWaitingJob() {
    const busy = await this.aBusyConnector();
    const jobId = this.jobId();
    this.catalog.jobs.statuses.set(jobId, 'RUNNING');
    const job = { jobId, message: this.nonce, connectorId: busy.connectorId, connectorName: busy.displayName };
    await this.worker('Reconciliation/ClaimConnector', {
      connectorId: busy.connectorId,
      job,
      runId: `run-of-${jobId}`,
    });
    return { ...busy, holder: busy.jobId, jobId };
  }

  change() {
    const { JOB_CHANGE_KIND_TABLE: kind } = JobChangeKind;
    const { JOB_CHANGE_ACTION_CREATE: action } = JobChangeAction;
    return { kind, name: 'up.orders', destination: 'main.fx.orders', action, reason: this.nonce };
  }

  outcome() {
    const { JOB_CHANGE_KIND_TABLE: kind } = JobChangeKind;
    return { kind, name: 'up.orders', destination: this.nonce, result: JobResult.JOB_RESULT_UPDATED };
  }

  failure() {
    const kind = JobFailureKind.JOB_FAILURE_KIND_TABLE;
    return { table: 'up.orders', code: 'INTERNAL', message: this.nonce, kind };
  }

  jobId(): string {
    return `job-${this.id}-${++count}`;
  }

  readonly #names = new Map<string, number>();

  /** A new name, which the other tenant gives to the same thing. */
  name(what: string): string {
    const number = (this.#names.get(what) ?? 0) + 1;
    this.#names.set(what, number);
    return `${what}_${round}_${number}`;
  }

  /** Lets tenants give the same names to what they make next. */
  static nextRound(...tenants: TestTenant[]): void {
    round += 1;
    for (const tenant of tenants) tenant.#names.clear();
  }
}

export const { OBJECT_KIND_TABLE: TABLE, OBJECT_KIND_VIEW: VIEW } = ObjectKind;
