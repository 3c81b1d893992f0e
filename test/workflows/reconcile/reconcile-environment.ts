import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { activityInfo } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, makeTelemetryFilterString, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { readConfig } from '../../../src/config.ts';
import type { Counters, Progress, ReconcileRequest } from '../../../src/contract/job.ts';
import { INGEST_TASK_QUEUE, RECONCILE_WORKFLOW, SCAN_TASK_QUEUE, TASK_QUEUE } from '../../../src/contract/names.ts';
import { declarationOf, SEARCH_ATTRIBUTES } from '../../../src/contract/search-attributes.ts';
import { JobCounters } from '../../../src/generated/reconciler/v1/jobs.ts';
import { findTemporalCli } from '../../../src/stack/temporal-cli.ts';
import { ROOT } from '../../integration/stack/running-stack.ts';
import { newProgress } from '../../synthetic/new-progress.ts';
import { hangs } from './behaviours.ts';
import type { Activities, ActivityName, Behaviour, StubUpstream } from './stub-upstream.ts';

Runtime.install({
  logger: new DefaultLogger('ERROR'),
  telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }) } },
});

/** By default the server fires timers up to a second late, and the delays of retries are timers. */
const PROMPT_RETRIES = 'history.timerProcessorMaxTimeShift="10ms"';

/** A job's progress with its counters beside it; 0 if they are absent. */
export type FlatProgress = Omit<Progress, 'counters'> & Required<Counters>;

export function flat({ counters, ...progress }: Progress): FlatProgress {
  const names = Object.keys(JobCounters.create()) as (keyof Counters)[];
  const counts = Object.fromEntries(names.map((name) => [name, counters[name] ?? 0])) as Required<Counters>;
  return { ...progress, ...counts };
}

/** A connector's own queue, and the one of short steps beside it. */
export const OWN_QUEUE = 'near-lake';
const OTHER_QUEUES = [OWN_QUEUE, `${OWN_QUEUE}-scan`];

/** How a job's workflow ended. */
export interface Ended {
  jobId: string;
  /** The last recorded progress. */
  progress: FlatProgress;
  /** The last recorded message. */
  message: string;
  /** What the workflow failed with; undefined if it completed. */
  failure?: { type: string; message: string };
}

const ACTIVITIES: ActivityName[] = [
  ...(['beginJob', 'recordJob', 'isPaused', 'endJob', 'scanTables', 'ingestTable', 'ingestFileGroup'] as const),
  ...(['ingestTables', 'reconcileViews', 'reconcileMissing', 'dropGone', 'deliverAlert', 'validateConnector'] as const),
];

/** The built workflows on a Temporal server of their own, with activities that a test describes. One job runs at a time. */
export class ReconcileEnvironment implements AsyncDisposable {
  readonly temporal: TestWorkflowEnvironment;
  readonly #workers: Worker[] = [];
  readonly #running: Promise<void>[] = [];
  #upstream?: StubUpstream;
  #handle?: WorkflowHandle;

  private constructor(temporal: TestWorkflowEnvironment) {
    this.temporal = temporal;
  }

  /** @param settings of Temporal's dynamic configuration, `name=value` */
  static async start(...settings: string[]): Promise<ReconcileEnvironment> {
    const { cacheDir, temporalCli } = readConfig();
    const path = await findTemporalCli({ cacheDir, explicit: temporalCli });
    const attributes = Object.values(SEARCH_ATTRIBUTES).map(declarationOf);
    const extraArgs = [
      ...attributes.flatMap((attribute) => ['--search-attribute', attribute]),
      ...[PROMPT_RETRIES, ...settings].flatMap((setting) => ['--dynamic-config-value', setting]),
    ];
    const server = {
      executable: { type: 'existing-path', path } as const,
      log: { format: 'pretty', level: 'error' },
      extraArgs,
    };
    return ReconcileEnvironment.on(await TestWorkflowEnvironment.createLocal({ server }));
  }

  /** On a server that is already running, which it stops at its end. */
  static async on(temporal: TestWorkflowEnvironment): Promise<ReconcileEnvironment> {
    const environment = new ReconcileEnvironment(temporal);
    await environment.#startWorkers();
    return environment;
  }

  async #startWorkers(): Promise<void> {
    const workflowBundle = { codePath: join(ROOT, 'dist/workflow-bundle.js') };
    const sinks = { tracing: { ran: { fn() {} } } };
    await this.serve(TASK_QUEUE, { workflowBundle, sinks });
    for (const taskQueue of [INGEST_TASK_QUEUE, SCAN_TASK_QUEUE, ...OTHER_QUEUES]) await this.serve(taskQueue);
  }

  /** Starts a worker for the activities of a queue. */
  async serve(taskQueue: string, options: Partial<WorkerOptions> = {}): Promise<void> {
    const activities = Object.fromEntries(
      ACTIVITIES.map((name) => [name, (input: unknown) => this.#upstream?.run(name, input, activityInfo().attempt)]),
    ) as unknown as Activities;
    const connection = this.temporal.nativeConnection;
    const common = { connection, activities, maxHeartbeatThrottleInterval: '20ms' };
    const worker = await Worker.create({ ...common, taskQueue, ...options });
    this.#workers.push(worker);
    this.#running.push(worker.run());
  }

  /** Starts a job over this upstream. @param request null for none */
  async begin(upstream: StubUpstream, request: Partial<ReconcileRequest> | null = {}): Promise<WorkflowHandle> {
    this.#upstream = upstream;
    this.#handle = await this.temporal.client.workflow.start(RECONCILE_WORKFLOW, {
      workflowId: `job-${randomUUID()}`,
      taskQueue: TASK_QUEUE,
      args: [request && { connector: 'lake', ...request }],
    });
    return this.#handle;
  }

  /** Runs a job over this upstream to its end. */
  async reconcile(upstream: StubUpstream, request: Partial<ReconcileRequest> | null = {}): Promise<Ended> {
    const handle = await this.begin(upstream, request);
    const failure = await handle.result().then(
      () => undefined,
      (error) => failureOf(error),
    );
    const { progress = newProgress(), message = '' } = upstream.records.at(-1) ?? {};
    return { jobId: handle.workflowId, progress: flat(progress), message, failure };
  }

  /** The job is cancelled while the step runs; the step ends by itself. */
  readonly cancelsJob: Behaviour = async () => {
    await this.#handle?.cancel();
  };

  /** The job is cancelled while the step runs; the step goes on until that reaches it. */
  readonly hangsUntilJobIsCancelled: Behaviour = async (call) => {
    await this.#handle?.cancel();
    await hangs(call);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await Promise.all(this.#running);
    await this.temporal.teardown();
  }
}

function failureOf(error: unknown): Ended['failure'] {
  const cause = error instanceof WorkflowFailedError ? error.cause : error;
  if (cause instanceof CancelledFailure) return { type: 'CANCELLED', message: cause.message };
  if (cause instanceof ApplicationFailure) return { type: cause.type ?? '', message: cause.message };
  throw error;
}
