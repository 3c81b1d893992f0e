import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { WorkflowNotFoundError } from '@temporalio/client';
import proto from '@temporalio/proto';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { answering, verified, WebhookReceiver } from '../activities/alerts/webhook-receiver.ts';
import { waitFor } from '../jest/wait-for.ts';
import { atCorp, ForwardProxy } from '../storage/proxy/forward-proxy.ts';
import { scrape, sum } from '../telemetry/samples.ts';
import { ROOT, RunningStack } from './stack/running-stack.ts';

const FIXTURES = join(ROOT, 'test/fixtures/iceberg/wh');
const SECRET = `whsec_${Buffer.from('planted key of thirty-two bytes!').toString('base64')}`;
/** Path of the webhook's URL. Chat systems put secrets into it. */
const PATH = '/services/T0/planted-in-the-path';
const PROXY_PASSWORD = 'planted-for-the-proxy';
const PLANTED = [
  PROXY_PASSWORD,
  Buffer.from(`me:${PROXY_PASSWORD}`).toString('base64'),
  SECRET.slice('whsec_'.length),
  'planted key of',
  'planted-in-the-path',
];

interface AlertMessage {
  type: string;
  timestamp: string;
  data: {
    connector: { id: string; name: string };
    job: { id: string; state: string; message: string; finishedAt: string };
    counters: Record<string, number>;
    failures: { table: string; code: string; message: string }[];
    failedJobId?: string;
    link?: string;
  };
}

let stack: RunningStack;
let receiver: WebhookReceiver;
const warehouse = mkdtempSync(join(tmpdir(), 'reconciler-alerts-'));
const bad = join(warehouse, 'n/bad');

beforeAll(async () => {
  receiver = await WebhookReceiver.start();
  cpSync(join(FIXTURES, 'fx/orders/metadata'), join(warehouse, 'n/good/metadata'), { recursive: true });
  stack = await RunningStack.start({ HOOK_URL: receiver.origin + PATH, HOOK_KEY: SECRET, PROXY_PASSWORD });
}, 120_000);
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
  rmSync(warehouse, { recursive: true, force: true });
});

const breakIt = () =>
  cpSync(join(FIXTURES, 'bad/truncated_metadata/metadata'), join(bad, 'metadata'), { recursive: true });
const repairIt = () => rmSync(bad, { recursive: true });
const alertOf = (jobId: string) => stack.temporal.workflow.getHandle(`alert-${jobId}`);
const messageAt = (at: number) => verified(receiver.received[at]!, SECRET) as AlertMessage;
/** Waits for the end of the job's workflow, which starts the alert's workflow after the job's record has ended. */
const jobClosed = (jobId: string) =>
  stack.temporal.workflow
    .getHandle(jobId)
    .result()
    .catch(() => {});
const alertEnded = async (jobId: string) => {
  await jobClosed(jobId);
  return alertOf(jobId).result();
};
const expectNoAlert = async (jobId: string) => {
  await jobClosed(jobId);
  await expect(alertOf(jobId).describe()).rejects.toThrow(WorkflowNotFoundError);
};

it('a stack sends one alert when jobs begin to fail, and one when they succeed again', async () => {
  const connectorId = await stack.connect('lake', warehouse, {
    alerts: { webhookUrl: 'env:HOOK_URL', secretRef: 'env:HOOK_KEY' },
  });
  const good = await stack.trigger(connectorId);
  expect(good.state).toBe(JobState.JS_SUCCEEDED);
  await expectNoAlert(good.jobId);

  breakIt();
  // The receiver hangs and then fails. Neither this job nor the next one waits for it.
  const accepting = receiver.otherwise;
  receiver.otherwise = answering(500);
  let endResponse = () => {};
  receiver.answers.push((response) => {
    endResponse = () => answering(500)(response);
  });
  const failed = await stack.trigger(connectorId);
  expect(failed.state).toBe(JobState.JS_FAILED);
  const again = await stack.trigger(connectorId, { full: true });
  expect(again.state).toBe(JobState.JS_FAILED);
  await expectNoAlert(again.jobId);
  const narrowed = await stack.trigger(connectorId, { destinationTableName: 'good' });
  expect(narrowed.state).toBe(JobState.JS_SUCCEEDED);
  await expectNoAlert(narrowed.jobId);

  await waitFor(() => expect(receiver.received).not.toEqual([]), { timeout: 60_000 });
  expect((await alertOf(failed.jobId).describe()).status.name).toBe('RUNNING');
  receiver.otherwise = accepting;
  endResponse();
  expect(await alertEnded(failed.jobId)).toBe('delivered');
  expect(receiver.received.length).toBeGreaterThan(1);
  const attempts = receiver.received.map((one, i) => ({ id: one.headers['webhook-id'], ...messageAt(i) }));
  expect(new Set(attempts.map((attempt) => JSON.stringify(attempt))).size).toBe(1);
  expect(messageAt(0)).toMatchObject({
    type: 'job.failed',
    timestamp: failed.finishedAt!.toISOString(),
    data: {
      connector: { id: connectorId, name: 'lake' },
      job: { id: failed.jobId, state: 'JS_FAILED', message: failed.message, trigger: 'manual' },
      counters: { tablesScanned: 2, errors: 1 },
      failures: [{ table: 'n.bad', code: 'DATA_LOSS' }],
      link: `${stack.uiUrl}/namespaces/default/workflows/${failed.jobId}`,
    },
  });

  const before = receiver.received.length;
  repairIt();
  const recovered = await stack.trigger(connectorId);
  expect(recovered.state).toBe(JobState.JS_SUCCEEDED);
  expect(await alertEnded(recovered.jobId)).toBe('delivered');
  expect(receiver.received).toHaveLength(before + 1);
  expect(messageAt(before)).toMatchObject({
    type: 'job.recovered',
    data: { job: { id: recovered.jobId, state: 'JS_SUCCEEDED' }, failures: [], failedJobId: failed.jobId },
  });
  expect(new Set(receiver.received.map(({ path }) => path))).toEqual(new Set([PATH]));
});

it('a stack sends no alert for a cancelled job, and one for a terminated job when it is discovered', async () => {
  const before = receiver.received.length;
  const connectorId = await stack.connect('held', warehouse, {
    destination: { catalogName: 'held' },
    // No worker polls this queue.
    policy: { taskQueue: 'nobody' },
    alerts: { webhookUrl: receiver.origin + PATH, secretRef: 'env:HOOK_KEY' },
  });
  const { connectors, jobs } = stack.catalog;
  const running = async () => {
    const { jobId } = await connectors.triggerReconcile({ connectorId });
    await waitFor(async () => expect((await connectors.getReconcileJob({ jobId })).state).toBe(JobState.JS_RUNNING), {
      timeout: 60_000,
      interval: 100,
    });
    return jobId;
  };
  const cancelled = await running();
  await jobs.cancelReconcileJob({ jobId: cancelled });
  expect((await stack.ended(cancelled)).state).toBe(JobState.JS_CANCELLED);
  await expectNoAlert(cancelled);

  const terminated = await running();
  await stack.temporal.workflow.getHandle(terminated).terminate();
  await connectors.updateConnector({
    connector: { connectorId, policy: { taskQueue: '' } },
    updateMask: ['policy.task_queue'],
  });
  // Only the next job discovers the terminated job, when it takes over the connector.
  const next = await stack.trigger(connectorId);
  expect(next.state).toBe(JobState.JS_SUCCEEDED);
  for (const jobId of [terminated, next.jobId]) expect(await alertEnded(jobId)).toBe('delivered');
  const messages = receiver.received.slice(before).map((_, i) => messageAt(before + i));
  expect(messages.map(({ type, data }) => [type, data.job.id]).sort()).toEqual(
    [
      ['job.failed', terminated],
      ['job.recovered', next.jobId],
    ].sort(),
  );
});

it('a rejected alert is not retried, and the error does not repeat the response', async () => {
  const before = receiver.received.length;
  breakIt();
  receiver.answers.push(answering(404, {}, `no ${PATH}`));
  const connectorId = await stack.connect('refused', warehouse, {
    alerts: { webhookUrl: 'env:HOOK_URL', secretRef: 'env:HOOK_KEY' },
  });
  const { jobId } = await stack.trigger(connectorId);
  await expect(alertEnded(jobId)).rejects.toMatchObject({
    cause: { cause: { type: 'FAILED_PRECONDITION', message: expect.stringContaining('responded with 404') } },
  });
  expect(receiver.received).toHaveLength(before + 1);

  const nowhere = await stack.connect('nowhere', warehouse, {
    destination: { catalogName: 'nowhere' },
    alerts: { webhookUrl: 'env:NO_SUCH_HOOK' },
  });
  const { jobId: other } = await stack.trigger(nowhere);
  await expect(alertEnded(other)).rejects.toMatchObject({
    cause: { cause: { message: expect.stringContaining('alerts.webhook_url refers to env:NO_SUCH_HOOK') } },
  });
  repairIt();
});

it("an alert is sent through the connector's own proxy", async () => {
  await using proxy = await ForwardProxy.start();
  proxy.credentials = `me:${PROXY_PASSWORD}`;
  breakIt();
  const connectorId = await stack.connect('behind', warehouse, {
    destination: { catalogName: 'behind' },
    properties: {
      'rest.client.proxy.hostname': '127.0.0.1',
      'rest.client.proxy.port': String(proxy.port),
      'rest.client.proxy.username': 'me',
      'rest.client.proxy.password': 'env:PROXY_PASSWORD',
    },
    alerts: { webhookUrl: atCorp(receiver.origin, 'hooks') + PATH, secretRef: 'env:HOOK_KEY' },
  });
  const { jobId } = await stack.trigger(connectorId);
  expect(await alertEnded(jobId)).toBe('delivered');
  expect(proxy.asked).toEqual([`http hooks.corp.invalid:${new URL(receiver.origin).port}`]);
  repairIt();
});

it('metrics count alerts by type and outcome', async () => {
  const metrics = async () => scrape(stack.observed().worker.metrics);
  await waitFor(
    async () => {
      const samples = await metrics();
      const count = (type: string, outcome: string) =>
        sum(samples, 'reconciler_worker_alerts_total', { type, outcome });
      expect(count('job.failed', 'delivered')).toBe(3);
      expect(count('job.failed', 'failed')).toBeGreaterThan(0);
      expect(count('job.failed', 'refused')).toBe(2);
      expect(count('job.recovered', 'delivered')).toBe(2);
    },
    { timeout: 60_000, interval: 500 },
  );
});

it("lists of jobs do not contain alerts' workflows", async () => {
  const types = async (query: string) => {
    const found = new Set<string>();
    for await (const { type } of stack.temporal.workflow.list({ query })) found.add(type);
    return [...found];
  };
  await waitFor(
    async () => {
      expect(await types("WorkflowType = 'sendAlert'")).toEqual(['sendAlert']);
      expect(await types("ReconcilerConnector = 'lake'")).toEqual(['reconcile']);
      expect(await types("ReconcilerOutcome = 'JS_FAILED'")).toEqual(['reconcile']);
    },
    { timeout: 60_000 },
  );
  const { jobs } = await stack.catalog.jobs.listReconcileJobs({ pageSize: 1000 });
  expect(jobs.length).toBeGreaterThan(6);
  expect(jobs.filter(({ jobId }) => jobId.startsWith('alert-'))).toEqual([]);
});

it('histories, logs, databases and command output contain neither the URL nor the key', async () => {
  const found = (bytes: Buffer) => PLANTED.filter((planted) => bytes.includes(planted));
  let histories = 0;
  for await (const { workflowId, runId } of stack.temporal.workflow.list()) {
    const history = await stack.temporal.workflow.getHandle(workflowId, runId).fetchHistory();
    const bytes = Buffer.from(proto.temporal.api.history.v1.History.encode(history).finish());
    expect({ workflowId, found: found(bytes) }).toEqual({ workflowId, found: [] });
    histories++;
  }
  expect(histories).toBeGreaterThan(10);
  for (const entry of readdirSync(stack.dataDir, { recursive: true, withFileTypes: true })) {
    // For 'held', the catalog stores the URL itself, because it was not a reference.
    if (!entry.isFile() || entry.name.startsWith('catalog.db')) continue;
    const file = entry.name;
    expect({ file, found: found(readFileSync(join(entry.parentPath, file))) }).toEqual({ file, found: [] });
  }
  expect(stack.logLines('worker').some(({ msg }) => msg === 'an alert was delivered')).toBe(true);
  const described = await stack.cli('connector', 'get', 'held');
  expect(described.stdout).toContain(`${receiver.origin}/…, signed by env:HOOK_KEY`);
  expect(found(Buffer.from(described.stdout))).toEqual([]);
});

it('the webhook is configured and removed with the CLI', async () => {
  const update = (...args: string[]) => stack.cli('connector', 'update', 'lake', ...args);
  const set = await update('--webhook', 'https://hooks.example.com/services/x', '--webhook-secret', 'env:OTHER_KEY');
  expect(set.stdout).toMatch(/webhook +https:\/\/hooks\.example\.com\/…, signed by env:OTHER_KEY/);
  const refused = await update('--webhook-secret', SECRET);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('is not a reference');
  expect(refused.stderr).not.toContain(SECRET);
  expect((await update('--webhook', '')).stdout).not.toContain('webhook');
});
