import type { ChildProcess } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Client } from '@temporalio/client';
import { Status } from 'nice-grpc';
import { type CatalogClients, connectCatalog } from '../../../src/catalog-client/connect.ts';
import { declarationOf, SEARCH_ATTRIBUTES } from '../../../src/contract/search-attributes.ts';
import { AuthScheme, ConnectorKind } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState, JobTrigger, type ReconcileJob } from '../../../src/generated/reconciler/v1/jobs.ts';
import { Role } from '../../../src/generated/reconciler/v1/tokens.ts';
import { verified, WebhookReceiver } from '../../activities/alerts/webhook-receiver.ts';
import { type FakeServer, respondWithJson, startFakeServer } from '../../connectors/rest/fake-server.ts';
import { poll } from '../../jest/poll.ts';
import { Processes } from '../stack/processes.ts';
import { ROOT } from '../stack/running-stack.ts';

const FIXTURES = join(ROOT, 'test/fixtures/iceberg/wh');
const HOOK_KEY = `whsec_${Buffer.from('the key of the webhook of acme, long enough').toString('base64')}`;
const POLL = { timeout: 120_000, interval: 200 };
const { JS_QUEUED, JS_RUNNING, JS_SUCCEEDED, JS_FAILED } = JobState;

jest.setTimeout(240_000);

let processes: Processes;
/** The upstream folder of all tenants. */
let warehouse: string;
const sessions: CatalogClients[] = [];
beforeAll(async () => {
  warehouse = mkdtempSync(join(tmpdir(), 'reconciler-tenants-'));
  cpSync(join(FIXTURES, 'fx/orders/metadata'), join(warehouse, 'sales/orders/metadata'), { recursive: true });
  const attributes = Object.values(SEARCH_ATTRIBUTES).flatMap((key) => ['--search-attribute', declarationOf(key)]);
  processes = await Processes.start(...attributes);
  await processes.startCatalog();
}, 120_000);
afterEach(async () => {
  for (const started of startedInTest.splice(0)) await processes.stop(started);
});
afterAll(async () => {
  for (const session of sessions) session.close();
  await processes?.[Symbol.asyncDispose]();
  rmSync(warehouse, { recursive: true, force: true });
});

async function newToken(tenant: string, role: Role): Promise<string> {
  const { tokens } = processes.catalog;
  return (await tokens.createToken({ subject: `${role} of ${tenant}`, tenantIds: [tenant], roles: [role] })).secret;
}

/** What an admin of one tenant does. No call names the tenant: the token has it. */
class Admin {
  readonly catalog: CatalogClients;

  private constructor(
    readonly tenant: string,
    readonly token: string,
  ) {
    this.catalog = connectCatalog(processes.address, { token: async () => token, tokenSource: 'the test' });
    sessions.push(this.catalog);
  }

  static async of(tenant: string, temporalNamespace = ''): Promise<Admin> {
    if (tenant !== 'default')
      await processes.catalog.tenants.createTenant({ tenant: { tenantId: tenant, temporalNamespace } });
    return new Admin(tenant, await newToken(tenant, Role.ROLE_ADMIN));
  }

  async connect(displayName: string, more: object = {}): Promise<string> {
    const kind = ConnectorKind.CONNECTOR_KIND_ICEBERG;
    const connector = { displayName, kind, uri: `file://${warehouse}`, ...more };
    return (await this.catalog.connectors.createConnector({ connector })).connectorId;
  }

  async trigger(connectorId: string): Promise<ReconcileJob> {
    return this.ended((await this.catalog.connectors.triggerReconcile({ connectorId })).jobId);
  }

  async ended(jobId: string): Promise<ReconcileJob> {
    let job: ReconcileJob | undefined;
    const state = async () => {
      job = await this.catalog.connectors.getReconcileJob({ jobId });
      return [JS_QUEUED, JS_RUNNING].includes(job.state);
    };
    await poll(state, POLL).toBe(false);
    return job as ReconcileJob;
  }

  async jobs(): Promise<ReconcileJob[]> {
    return (await this.catalog.jobs.listReconcileJobs({ pageSize: 1000 })).jobs;
  }

  async cli(...args: string[]): Promise<string> {
    const { stdout, stderr } = await processes.cli(args, { RECONCILER_TOKEN: this.token });
    expect(stderr).toBe('');
    return stdout;
  }
}

const startedInTest: ChildProcess[] = [];

/** Starts a worker that runs until the end of the test. */
async function startWorker(token: string, env: NodeJS.ProcessEnv = {}): Promise<void> {
  startedInTest.push(await processes.startWorker({ RECONCILER_TOKEN: token, ...env }));
}

/** What Temporal shows of a job. */
async function shown(jobId: string, client = processes.temporal) {
  const { memo, typedSearchAttributes } = await client.workflow.getHandle(jobId).describe();
  return { memo: memo?.tenant, attribute: typedSearchAttributes.get(SEARCH_ATTRIBUTES.tenant) };
}

/** Starts a job by hand, as somebody who can reach Temporal does. */
async function startByHand(workflowId: string, input: object, ...more: string[]): Promise<void> {
  const { code, stderr } = await processes.temporalCli(
    ...['workflow', 'start', '--type', 'reconcile', '--task-queue', 'reconciler', '--workflow-id', workflowId],
    ...['--input', JSON.stringify(input), ...more],
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
}

describe('tenants that share a Temporal namespace', () => {
  let acme: Admin;
  let umbrella: Admin;
  let byDefault: Admin;
  /** The ids of the connectors named `lake`, by tenant. */
  const lakes: Record<string, string> = {};
  let hook: WebhookReceiver;
  /** Works for all tenants. */
  let worker: ChildProcess;

  beforeAll(async () => {
    [acme, umbrella, byDefault] = [await Admin.of('acme'), await Admin.of('umbrella'), await Admin.of('default')];
    hook = await WebhookReceiver.start();
    worker = await processes.startWorker({ RECONCILER_TOKEN: await newToken('*', Role.ROLE_WORKER), HOOK_KEY });
  }, 120_000);
  afterAll(() => hook[Symbol.asyncDispose]());

  it('have jobs of the same connector name on one worker, and see only theirs', async () => {
    const ended: Record<string, ReconcileJob> = {};
    for (const admin of [acme, umbrella, byDefault]) lakes[admin.tenant] = await admin.connect('lake');
    await Promise.all(
      [acme, umbrella, byDefault].map(async (admin) => {
        ended[admin.tenant] = await admin.trigger(lakes[admin.tenant]!);
      }),
    );
    for (const { tenant, catalog } of [acme, umbrella, byDefault]) {
      const job = ended[tenant]!;
      expect(job).toMatchObject({ state: JS_SUCCEEDED, connectorName: 'lake', counters: { tablesChanged: 1n } });
      const owner = tenant === 'default' ? '' : `${tenant}-`;
      expect(job.jobId).toMatch(new RegExp(`^reconcile-${owner}lake-[0-9a-z]+$`));
      expect(await shown(job.jobId)).toEqual({
        memo: tenant === 'default' ? undefined : tenant,
        attribute: tenant,
      });
      const { connectors } = await catalog.connectors.listConnectors({});
      expect(connectors.map(({ connectorId }) => connectorId)).toEqual([lakes[tenant]]);
      const { jobs } = await catalog.jobs.listReconcileJobs({});
      expect(jobs.map(({ jobId }) => jobId)).toEqual([job.jobId]);
      for (const { jobId, connectorId } of Object.values(ended).filter((other) => other !== job)) {
        await expect(catalog.connectors.getReconcileJob({ jobId })).rejects.toMatchObject({ code: Status.NOT_FOUND });
        await expect(catalog.jobs.cancelReconcileJob({ jobId })).rejects.toMatchObject({ code: Status.NOT_FOUND });
        await expect(catalog.connectors.triggerReconcile({ connectorId })).rejects.toMatchObject({
          code: Status.NOT_FOUND,
        });
      }
    }
    const listed = JSON.parse(`[${(await acme.cli('job', 'list', '--json')).trim().split('\n').join(',')}]`);
    expect(listed.map(({ jobId }: ReconcileJob) => jobId)).toEqual([ended.acme!.jobId]);
    const attribute = `ReconcilerTenant = 'umbrella'`;
    await poll(async () => (await processes.temporal.workflow.count(attribute)).count, POLL).toBe(1);
  });

  it('have schedules of their own, whose runs end well', async () => {
    const owners = [acme, umbrella];
    for (const admin of owners) {
      await admin.connect('often', {
        policy: { enabled: true, interval: { seconds: 3n } },
        destination: { catalogName: 'often' },
      });
    }
    for (const { tenant, catalog } of owners) {
      const scheduled = async () => {
        const { jobs } = await catalog.jobs.listReconcileJobs({ pageSize: 1000 });
        return jobs.filter(({ trigger, finishedAt }) => trigger === JobTrigger.JOB_TRIGGER_SCHEDULE && finishedAt);
      };
      await poll(async () => (await scheduled()).length, POLL).toBeGreaterThan(0);
      const [job] = await scheduled();
      expect(job).toMatchObject({
        state: JS_SUCCEEDED,
        jobId: expect.stringMatching(new RegExp(`^reconcile-${tenant}-often-[0-9a-z]{6}-\\d{4}-`)),
      });
      expect(await shown(job!.jobId)).toEqual({ memo: tenant, attribute: tenant });
      const { schedules } = await catalog.schedules.listSchedules({});
      expect(schedules).toEqual([expect.objectContaining({ connectorId: job!.connectorId, when: 'every 3s' })]);
      await catalog.connectors.deleteConnector({ connectorId: job!.connectorId });
    }
    const ids = async () => {
      const found: string[] = [];
      for await (const { scheduleId } of processes.temporal.schedule.list()) found.push(scheduleId);
      return found;
    };
    await poll(ids, POLL).toEqual([]);
  });

  it('have jobs that are started by hand, and name their tenant', async () => {
    await startByHand('by-hand-of-acme', { connector: 'lake', tenant: 'acme' });
    await startByHand('by-hand', { connector: 'lake' });
    const expected = { state: JS_SUCCEEDED, trigger: JobTrigger.JOB_TRIGGER_TEMPORAL };
    for (const [admin, jobId] of [
      [acme, 'by-hand-of-acme'],
      [byDefault, 'by-hand'],
    ] as const) {
      await processes.temporal.workflow.getHandle(jobId).result();
      const connectorId = lakes[admin.tenant];
      expect(await admin.ended(jobId)).toMatchObject({ ...expected, connectorId });
      expect((await shown(jobId)).attribute).toBe(admin.tenant);
    }
    expect((await acme.jobs()).map(({ jobId }) => jobId)).not.toContain('by-hand');
    expect((await byDefault.jobs()).map(({ jobId }) => jobId)).not.toContain('by-hand-of-acme');
    expect((await umbrella.jobs()).filter(({ jobId }) => jobId.startsWith('by-hand'))).toEqual([]);
  });

  it('have failed jobs that are retried, and alerts of their own', async () => {
    const bad = join(warehouse, 'sales/bad');
    cpSync(join(FIXTURES, 'bad/truncated_metadata/metadata'), join(bad, 'metadata'), { recursive: true });
    const connectorId = await acme.connect('watched', {
      destination: { catalogName: 'watched' },
      alerts: { webhookUrl: `${hook.origin}/hook`, secretRef: 'env:HOOK_KEY' },
    });
    const failed = await acme.trigger(connectorId);
    expect(failed).toMatchObject({ state: JS_FAILED, counters: { tablesChanged: 1n, errors: 1n } });
    await poll(() => hook.received.length, POLL).toBe(1);
    rmSync(bad, { recursive: true });
    cpSync(join(FIXTURES, 'fx/orders/metadata'), join(bad, 'metadata'), { recursive: true });
    await expect(umbrella.catalog.jobs.retryReconcileJob({ jobId: failed.jobId })).rejects.toMatchObject({
      code: Status.NOT_FOUND,
    });
    const { jobId } = await acme.catalog.jobs.retryReconcileJob({ jobId: failed.jobId });
    expect(jobId).toMatch(/^reconcile-acme-watched-/);
    const retried = await acme.ended(jobId);
    expect(retried).toMatchObject({ state: JS_SUCCEEDED, retryOfJobId: failed.jobId, counters: { tablesChanged: 1n } });
    expect(await shown(jobId)).toEqual({ memo: 'acme', attribute: 'acme' });
    rmSync(bad, { recursive: true });
    const messages = hook.received.map(
      (one) => verified(one, HOOK_KEY) as { type: string; data: { job: { id: string } } },
    );
    expect(messages[0]).toMatchObject({ type: 'job.failed', data: { job: { id: failed.jobId } } });
    expect(await processes.temporal.workflow.getHandle(`alert-${failed.jobId}`).result()).toBe('delivered');
  });

  it('validate their connectors, also before they are stored', async () => {
    const kind = ConnectorKind.CONNECTOR_KIND_ICEBERG;
    for (const { tenant, catalog } of [acme, byDefault]) {
      const unsaved = { $case: 'connector' as const, value: { displayName: 'new', kind, uri: `file://${warehouse}` } };
      const stored = { $case: 'connectorId' as const, value: lakes[tenant]! };
      for (const target of [unsaved, stored]) {
        const result = await catalog.connectors.validateConnector({ target });
        expect({ tenant, ...result }).toMatchObject({ tenant, ok: true, sampleTables: ['sales.orders'] });
      }
    }
  });

  it('are not served by a worker whose token is of another one', async () => {
    await processes.stop(worker);
    await using upstream = await startFakeServer((_, response) =>
      respondWithJson(response, { defaults: {}, overrides: {}, namespaces: [] }),
    );
    const auth = { scheme: AuthScheme.AUTH_SCHEME_BEARER, secretRef: 'env:UMBRELLA_TOKEN' };
    const connectorId = await umbrella.connect('rest', { uri: upstream.url, auth });
    await startWorker(await newToken('acme', Role.ROLE_WORKER), {
      UMBRELLA_TOKEN: 'the-token-of-umbrella',
    });
    const { jobId } = await umbrella.catalog.connectors.triggerReconcile({ connectorId });
    const job = await umbrella.ended(jobId);
    expect(job).toMatchObject({
      state: JS_FAILED,
      message: expect.stringContaining('its workflow failed before it recorded its end'),
    });
    expect(upstream.requests).toEqual([]);
    const failure = await processes.temporal.workflow
      .getHandle(jobId)
      .result()
      .catch((error) => error);
    expect(failure.cause?.cause).toMatchObject({
      type: 'PERMISSION_DENIED',
      message: expect.stringContaining("tenant 'umbrella' is not one of those of"),
    });
    expect((await acme.trigger(lakes.acme!)).state).toBe(JS_SUCCEEDED);
  });
});

describe('a tenant with a Temporal namespace of its own', () => {
  let inside: Client;
  let hard: Admin;
  let upstream: FakeServer;

  beforeAll(async () => {
    upstream = await startFakeServer((_, response) =>
      respondWithJson(response, { defaults: {}, overrides: {}, namespaces: [] }),
    );
    const { code } = await processes.temporalCli(
      'operator',
      'namespace',
      'create',
      '--namespace',
      'hard',
      '--retention',
      '72h',
    );
    expect(code).toBe(0);
    inside = new Client({ connection: processes.temporal.connection, namespace: 'hard' });
    await poll(async () => (await processes.cli(['setup'], { TEMPORAL_NAMESPACE: 'hard' })).code, POLL).toBe(0);
    hard = await Admin.of('hard', 'hard');
  });
  afterAll(async () => upstream[Symbol.asyncDispose]());

  it('runs its jobs there, on a worker with a token of that tenant alone, and leaves no trace elsewhere', async () => {
    await startWorker(await newToken('hard', Role.ROLE_WORKER), { TEMPORAL_NAMESPACE: 'hard' });
    const policy = { enabled: true, interval: { seconds: 3n } };
    const connectorId = await hard.connect('lake', { policy });
    const job = await hard.trigger(connectorId);
    expect(job).toMatchObject({ state: JS_SUCCEEDED, counters: { tablesChanged: 1n } });
    expect(await shown(job.jobId, inside)).toEqual({ memo: 'hard', attribute: 'hard' });
    const runs = async () => (await hard.jobs()).filter(({ trigger }) => trigger === JobTrigger.JOB_TRIGGER_SCHEDULE);
    await poll(async () => (await runs()).filter(({ state }) => state === JS_SUCCEEDED).length, POLL).toBeGreaterThan(
      0,
    );
    const target = { $case: 'connectorId' as const, value: connectorId };
    expect(await hard.catalog.connectors.validateConnector({ target })).toMatchObject({ ok: true });

    const traces: string[] = [];
    for await (const { workflowId } of processes.temporal.workflow.list()) traces.push(workflowId);
    for await (const { scheduleId } of processes.temporal.schedule.list()) traces.push(scheduleId);
    expect(traces.length).toBeGreaterThan(0);
    expect(traces.filter((id) => id.includes('hard') || id.includes(connectorId))).toEqual([]);
    await hard.catalog.connectors.deleteConnector({ connectorId });
  });

  it('uses no secret of the default tenant for a job whose request names no tenant', async () => {
    const policy = join(processes.folder, 'policy.json');
    const host = new URL(upstream.url).host;
    const secrets = [
      { ref: 'env:HARD_TOKEN', tenants: ['hard'], hosts: [host] },
      { ref: 'env:DEFAULT_TOKEN', tenants: ['default'], hosts: [host] },
    ];
    writeFileSync(policy, JSON.stringify({ secrets }));
    const env = { HARD_TOKEN: 'the-token-of-hard', DEFAULT_TOKEN: 'the-token-of-default' };
    await startWorker(await newToken('hard', Role.ROLE_WORKER), {
      ...{ TEMPORAL_NAMESPACE: 'hard', RECONCILER_WORKER_POLICY: policy, ...env },
    });
    const auth = (name: string) => ({ scheme: AuthScheme.AUTH_SCHEME_BEARER, secretRef: `env:${name}` });
    await hard.connect('own', { uri: upstream.url, auth: auth('HARD_TOKEN') });
    await hard.connect('foreign', { uri: upstream.url, auth: auth('DEFAULT_TOKEN') });
    for (const connector of ['own', 'foreign']) await startByHand(connector, { connector }, '--namespace', 'hard');
    expect((await hard.ended('foreign')).message).toMatch(
      /env:DEFAULT_TOKEN, which the worker's policy does not list for tenant hard/,
    );
    await hard.ended('own');
    expect(await shown('own', inside)).toEqual({ memo: 'hard', attribute: 'hard' });
    expect(new Set(upstream.requests.map(({ headers }) => headers.authorization))).toEqual(
      new Set(['Bearer the-token-of-hard']),
    );
  });
});
