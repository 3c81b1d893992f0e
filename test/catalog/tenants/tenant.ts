import type { Claim } from '../../../src/contract/claim.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { ConnectorKind, MissingAction } from '../../../src/generated/reconciler/v1/connectors.ts';
import {
  JobChangeAction,
  JobChangeKind,
  JobFailureKind,
  JobResult,
  JobState,
} from '../../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { Role } from '../../../src/generated/reconciler/v1/tokens.ts';
import { added, SCHEMA } from '../files.ts';
import { nonceOf, type SharedCatalog } from './two-tenants.ts';

export const PUBLIC = '/reconciler.v1.';
export const INTERNAL = '/reconciler.internal.v1.';

/** What is gone upstream is dropped at once, however much it is. */
export const DROPS_ALL = {
  missing: { action: MissingAction.MISSING_ACTION_DROP, dropAfter: { seconds: 0n, nanos: 0 }, maxShare: 1 },
};

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
    this.nonce = nonceOf(id);
  }

  static async create(catalog: SharedCatalog, id: string): Promise<TestTenant> {
    await catalog.need(`${PUBLIC}Tenants/CreateTenant`, 'platform@*', {
      tenant: { tenantId: id, limits: { runningJobs: 100_000 } },
    });
    return new TestTenant(catalog, id);
  }

  // biome-ignore lint/suspicious/noExplicitAny: the responses of all RPCs.
  admin(rpc: string, request: object): Promise<any> {
    return this.catalog.need(`${PUBLIC}${rpc}`, `admin@${this.id}`, request);
  }

  /** @param under the claim that the call carries */
  // biome-ignore lint/suspicious/noExplicitAny: the responses of all RPCs.
  worker(rpc: string, request: object, under?: Claim): Promise<any> {
    return this.catalog.need(`${INTERNAL}${rpc}`, `worker@${this.id}`, under ? { under, request } : request);
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

  /** A place for one table. */
  async aDestination(): Promise<{ catalogId: string; namespaceId: string; tableId: string }> {
    const { catalogId, namespaceId, tableId } = await this.aTable();
    return { catalogId, namespaceId, tableId };
  }

  /** A table with one captured snapshot, 1, which is current. */
  async aFullTable(): Promise<{ tableId: string; namespaceId: string }> {
    const { tableId, namespaceId } = await this.aTable();
    await this.worker('Ingestion/CommitSnapshot', this.commit({ tableId, snapshot: this.snapshot(tableId) }));
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

  /** A connector, and the job that has its claim. By default, each tenant has a job with its id. */
  async aClaimedConnector(jobId = this.name('nightly'), fields: object = { policy: DROPS_ALL }) {
    const { connectorId, displayName } = await this.aConnector(fields);
    const record = { jobId, message: this.nonce, connectorId, connectorName: displayName };
    this.catalog.jobs.statuses.set(jobId, 'RUNNING');
    const runId = `run-of-${jobId}`;
    const { epoch } = await this.worker('Reconciliation/ClaimConnector', { connectorId, job: record, runId });
    const claim: Claim = { connectorId, epoch: Number(epoch), runId };
    return { connectorId, displayName, jobId, runId, claim, record };
  }

  /** A claimed connector with a table and a view that it has ingested. */
  async aBusyConnector(jobId?: string, fields?: object) {
    const claimed = await this.aClaimedConnector(jobId, fields);
    const { connectorId, claim } = claimed;
    const { namespaceId, catalogId } = await this.aNamespace();
    const upstream = { namespacePath: ['up'], name: 'orders' };
    const where = { connectorId, upstream, namespaceId, format: TableFormat.TABLE_FORMAT_ICEBERG };
    const ensured = { ...where, name: 'orders', uuid: this.nonce, location: this.nonce, schemas: [SCHEMA] };
    const { table } = await this.worker('Bindings/EnsureTable', ensured, claim);
    const { tableId } = table;
    const commit = this.commit({ tableId, snapshot: this.snapshot(tableId) });
    await this.worker('Ingestion/CommitSnapshot', commit, claim);
    const texts = { uuid: this.nonce, fingerprint: this.nonce };
    const bound = { ...texts, connectorId, namespacePath: ['up'], tableName: 'orders', coverage: this.nonce };
    const update = { table: { tableId, currentSnapshotId: 1n, upstream: bound } };
    const updateMask = ['current_snapshot_id', 'upstream'];
    await this.worker('Ingestion/UpdateTable', { ...update, updateMask }, claim);
    const view = { namespaceId, name: 'view', ...this.texts(), representations: [{ sql: this.nonce, dialect: 'x' }] };
    const ensuredView = { connectorId, upstream: { namespacePath: ['up'], name: 'view' }, ...texts, view };
    const { viewId } = await this.worker('Bindings/EnsureView', ensuredView, claim);
    return { ...claimed, namespaceId, catalogId, tableId, viewId, upstream };
  }

  /** A job that has ended, with a failure, a change and an outcome. */
  async aFailedJob(id = this.jobId()) {
    const { connectorId, displayName, jobId, runId, claim, record } = await this.aClaimedConnector(id);
    const job = { ...record, requestJson: '{}', dryRun: true };
    const run = { jobId, runId };
    await this.worker('Reconciliation/RecordJob', { job: { ...job, runId, state: JobState.JS_RUNNING } }, claim);
    await this.worker('Reconciliation/RecordJobChanges', { jobId, changes: [this.change()] }, claim);
    await this.worker('Reconciliation/RecordJobOutcomes', { jobId, step: 'a', outcomes: [this.outcome()] }, claim);
    const ended = { job: { ...job, state: JobState.JS_FAILED }, failures: [this.failure()] };
    await this.worker('Reconciliation/EndJob', { ...ended, connectorId, runId }, claim);
    return { connectorId, displayName, ...run, claim };
  }

  /** A job that waits for the busy connector. */
  async aWaitingJob() {
    const busy = await this.aBusyConnector();
    const { connectorId, displayName: connectorName } = busy;
    const jobId = this.jobId();
    this.catalog.jobs.statuses.set(jobId, 'RUNNING');
    const job = { jobId, message: this.nonce, connectorId, connectorName };
    await this.worker('Reconciliation/ClaimConnector', { connectorId, job, runId: `run-of-${jobId}` });
    return { ...busy, holder: busy.jobId, jobId };
  }

  /** A draft that is being validated. */
  async aDraft(): Promise<string> {
    const connector = { kind: ConnectorKind.CONNECTOR_KIND_ICEBERG, uri: `file:///${this.nonce}`, ...this.texts() };
    return this.catalog.draft(`admin@${this.id}`, connector);
  }

  async aToken(): Promise<{ tokenId: string }> {
    const { token } = await this.admin('Tokens/CreateToken', { subject: this.nonce, roles: [Role.ROLE_READER] });
    return token;
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
