import type { CatalogClients } from '../../src/catalog-client/connect.ts';
import type { Progress, ReconcileRequest, TableFailure, ValidateRequest } from '../../src/contract/job.ts';
import type { JobControl, WorkflowStatus } from '../../src/contract/job-control.ts';
import { JobCounters, type JobFailure, JobState, type ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';
import { FakeSchedules } from '../catalog/schedules/fake-schedules.ts';

/** Replaces Temporal and a worker: jobs end as the test sets it, and are recorded as a worker would record them. */
export class FakeJobs implements JobControl {
  readonly started: { jobId: string; request: ReconcileRequest }[] = [];
  readonly validated: ValidateRequest[] = [];
  /** How the next jobs end; if undefined, they run until `finish` is called. */
  outcome: { state: JobState; message: string; failures?: Partial<JobFailure>[] } | undefined = {
    state: JobState.JS_SUCCEEDED,
    message: 'all went well',
  };
  validation = { ok: true, summary: '2 tables in 1 namespace', sampleTables: ['sales.orders', 'sales.items'] };
  live: Partial<Progress> = {};
  readonly schedules = new FakeSchedules();
  liveFailures: TableFailure[] = [];
  /** Clients of the catalog; set once it has started. */
  clients!: CatalogClients;
  readonly #status = new Map<string, WorkflowStatus>();

  async start(jobId: string, request: ReconcileRequest): Promise<{ runId: string }> {
    this.started.push({ jobId, request });
    this.#status.set(jobId, 'RUNNING');
    if (this.outcome) setTimeout(() => void this.finish(jobId, this.outcome), 150);
    return { runId: `run-${this.started.length}` };
  }

  /** Records the end of a job, as its workflow does. */
  async finish(jobId: string, outcome = this.outcome): Promise<void> {
    const { state = JobState.JS_SUCCEEDED, message = '', failures = [] } = outcome ?? {};
    const job: Partial<ReconcileJob> = {
      ...(await this.clients.connectors.getReconcileJob({ jobId })),
      state,
      message,
      startedAt: new Date(Date.now() - 4_200),
      finishedAt: new Date(),
      counters: JobCounters.fromPartial({
        tablesScanned: 1_235n,
        tablesChanged: 8n,
        tablesUnchanged: 1n,
        errors: BigInt(failures.length),
      }),
    };
    await this.clients.reconciliation.recordJob({ job, failures });
    this.#status.set(jobId, state === JobState.JS_CANCELLED ? 'CANCELED' : 'COMPLETED');
  }

  async describe(jobId: string): Promise<WorkflowStatus | undefined> {
    return this.#status.get(jobId);
  }

  async progress(): Promise<Progress | undefined> {
    return {
      state: 'JS_RUNNING',
      phase: 'scanning',
      inFlight: [],
      ...this.live,
      counters: {
        upstreamRequests: 0,
        tablesScanned: 1_234,
        tablesChanged: 7,
        tablesUnchanged: 0,
        tablesFiltered: 0,
        tablesMissing: 0,
        errors: 0,
        snapshotsIngested: 9,
        filesIngested: 10,
        bytesRead: 2_048,
      },
    };
  }

  /** Why jobs wait, if they have no live progress. */
  untakenText: string | undefined;

  async untaken() {
    return this.untakenText;
  }

  async failures() {
    return this.liveFailures;
  }

  async alert() {}

  async wake() {}

  async cancel(jobId: string): Promise<void> {
    await this.finish(jobId, { state: JobState.JS_CANCELLED, message: 'cancelled' });
  }

  async validate(request: ValidateRequest) {
    this.validated.push(request);
    return this.validation;
  }

  /** Task queues that workers serve; undefined for all. */
  served: string[] | undefined;

  async queueWarning(taskQueue: string) {
    if (this.served?.includes(taskQueue) ?? true) return undefined;
    return `no worker polls task queue '${taskQueue}' at present, so jobs will wait.`;
  }

  async close(): Promise<void> {}
}
