import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { AlertType } from '../../../src/generated/reconciler/internal/v1/reconciliation.ts';
import type { Connector } from '../../../src/generated/reconciler/v1/connectors.ts';
import { ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const HOOK = 'https://hooks.example.com/services/planted';
const create = (alerts: object = { webhookUrl: HOOK }, more: object = {}) =>
  catalog.clients.connectors.createConnector({ connector: connectorSpec({ alerts, ...more }) });

const { JS_FAILED: FAILED, JS_SUCCEEDED: SUCCEEDED, JS_CANCELLED: CANCELLED } = JobState;

let jobs = 0;
/** A job that ends so, recorded as a worker does. */
async function ends({ connectorId }: Connector, state: JobState, request: object = {}): Promise<string> {
  const jobId = `job-${++jobs}`;
  const requestJson = JSON.stringify({ connector: connectorId, ...request });
  const dryRun = 'dryRun' in request;
  await catalog.clients.reconciliation.recordJob({ job: { jobId, connectorId, state, requestJson, dryRun } });
  return jobId;
}
const take = (jobId: string) => catalog.clients.reconciliation.claimAlert({ jobId });
/** What is told of a job that ends so. */
const told = async (connector: Connector, state: JobState, request?: object) =>
  (await take(await ends(connector, state, request))).type;

it('the first failure is told, and the first success after it', async () => {
  const connector = await create();
  expect(await told(connector, SUCCEEDED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  const failed = await ends(connector, FAILED);
  expect(await take(failed)).toEqual({ type: AlertType.ALERT_TYPE_JOB_FAILED, failedJobId: '' });
  // Its answer was lost.
  expect(await take(failed)).toEqual({ type: AlertType.ALERT_TYPE_JOB_FAILED, failedJobId: '' });
  expect(await told(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await told(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  const recovered = await ends(connector, SUCCEEDED);
  expect(await take(recovered)).toEqual({ type: AlertType.ALERT_TYPE_JOB_RECOVERED, failedJobId: failed });
  expect(await take(recovered)).toEqual({ type: AlertType.ALERT_TYPE_JOB_RECOVERED, failedJobId: failed });
  expect(await told(connector, SUCCEEDED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await told(connector, FAILED)).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
});

it.each([
  ['narrowed', { scope: { table: 't' } }],
  ['retries', { retryOf: 'job-0' }],
  ['dry', { dryRun: true }],
])('jobs that are %s are not told and do not count', async (_, request) => {
  const connector = await create();
  expect(await told(connector, FAILED, request)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await told(connector, FAILED)).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
  expect(await told(connector, SUCCEEDED, request)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await told(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await told(connector, SUCCEEDED)).toBe(AlertType.ALERT_TYPE_JOB_RECOVERED);
});

it('nor are cancelled ones', async () => {
  const connector = await create();
  expect(await told(connector, FAILED)).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
  expect(await told(connector, CANCELLED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await told(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await told(connector, SUCCEEDED)).toBe(AlertType.ALERT_TYPE_JOB_RECOVERED);
});

it('full rescans and other modes are', async () => {
  const connector = await create();
  expect(await told(connector, FAILED, { full: true })).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
  expect(await told(connector, SUCCEEDED, { mode: 'METADATA_ONLY' })).toBe(AlertType.ALERT_TYPE_JOB_RECOVERED);
});

it('without a webhook nothing is told; another one was told nothing', async () => {
  const { connectors } = catalog.clients;
  const connector = await create({});
  const { connectorId } = connector;
  const setWebhook = (webhookUrl: string) =>
    connectors.updateConnector({
      connector: { connectorId, alerts: { webhookUrl } },
      updateMask: ['alerts.webhook_url'],
    });
  expect(await told(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  await setWebhook(HOOK);
  expect(await told(connector, FAILED)).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
  expect(await told(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  await setWebhook('env:OTHER_HOOK');
  expect(await told(connector, FAILED)).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
  await setWebhook('');
  expect(await told(connector, SUCCEEDED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  await setWebhook(HOOK);
  expect(await told(connector, SUCCEEDED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await told(connector, FAILED)).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
  // A change of something else changes nothing.
  await connectors.updateConnector({ connector: { connectorId, description: 'x' }, updateMask: ['description'] });
  expect(await told(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
});

it('a job must have ended', async () => {
  const { connectorId } = await create();
  const job = { jobId: 'running', connectorId, state: JobState.JS_RUNNING };
  await catalog.clients.reconciliation.recordJob({ job });
  expect(await failure(take('running'))).toMatchObject(refusal('INVALID_ARGUMENT', 'has not ended'));
  expect(await failure(take('nobody'))).toMatchObject({ code: 'NOT_FOUND' });
});

it('of a job that was terminated the catalog has the alert sent, once it is found', async () => {
  const { connectors } = catalog.clients;
  const { connectorId, displayName: connectorName } = await create({}, { policy: { taskQueue: 'eu' } });
  await connectors.updateConnector({
    connector: { connectorId, alerts: { webhookUrl: HOOK } },
    updateMask: ['alerts'],
  });
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  catalog.jobs.statuses.set(jobId, 'TERMINATED');
  expect(await connectors.getReconcileJob({ jobId })).toMatchObject({ state: FAILED });
  await connectors.getReconcileJob({ jobId });
  const alerts = () => catalog.jobs.alerts.filter((alert) => alert.connectorName === connectorName);
  expect(alerts()).toEqual([{ type: 'job.failed', jobId, connectorName, taskQueue: 'eu' }]);
  // One that is cancelled in Temporal is no failure.
  const next = await connectors.triggerReconcile({ connectorId });
  catalog.jobs.statuses.set(next.jobId, 'CANCELED');
  expect(await connectors.getReconcileJob({ jobId: next.jobId })).toMatchObject({ state: CANCELLED });
  expect(alerts()).toHaveLength(1);
});

it.each([
  ['TERMINATED', SUCCEEDED, FAILED, AlertType.ALERT_TYPE_JOB_FAILED],
  ['COMPLETED', FAILED, SUCCEEDED, AlertType.ALERT_TYPE_JOB_RECOVERED],
] as const)(
  'what cannot be sent of a job that is found %s is told of the next',
  async (standing, before, after, type) => {
    const { connectors } = catalog.clients;
    const connector = await create();
    const { connectorId } = connector;
    const first = await ends(connector, before);
    await take(first);
    const { jobId } = await connectors.triggerReconcile({ connectorId });
    catalog.jobs.statuses.set(jobId, standing);
    const sent = catalog.jobs.alerts.length;
    using alert = jest.spyOn(catalog.jobs, 'alert').mockRejectedValue(new Error('Temporal has just gone'));
    expect(await connectors.getReconcileJob({ jobId })).toMatchObject({ state: after });
    expect(alert).toHaveBeenCalledTimes(1);
    alert.mockRestore();
    expect(await told(connector, before)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
    const next = await ends(connector, after);
    expect(await take(next)).toEqual({ type, failedJobId: after === SUCCEEDED ? first : '' });
    expect(catalog.jobs.alerts).toHaveLength(sent);
  },
);

it('it is found by the next job, which takes its place', async () => {
  const { connectors, reconciliation } = catalog.clients;
  const connector = await create();
  const { connectorId } = connector;
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  await reconciliation.claimConnector({ connectorId, jobId });
  catalog.jobs.statuses.set(jobId, 'TIMED_OUT');
  const claim = { connectorId, jobId: 'the-next', deadHolderJobId: jobId };
  expect(await reconciliation.claimConnector(claim)).toEqual({ holderJobId: 'the-next' });
  expect(catalog.jobs.alerts.at(-1)).toMatchObject({ type: 'job.failed', jobId });
  expect(await take(await ends(connector, SUCCEEDED))).toEqual({
    type: AlertType.ALERT_TYPE_JOB_RECOVERED,
    failedJobId: jobId,
  });
});

it('of a connector that is being deleted nothing is told', async () => {
  const connector = await create();
  const job = await ends(connector, FAILED);
  catalog.jobs.down = true;
  await failure(catalog.clients.connectors.deleteConnector({ connectorId: connector.connectorId }));
  catalog.jobs.down = false;
  const { connectorId } = connector;
  const now = await catalog.clients.connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } });
  expect(now.state).toBe(ConnectorState.CONNECTOR_STATE_DELETING);
  expect((await take(job)).type).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
});

it.each([
  [{ webhookUrl: 'planted' }, 'alerts.webhook_url: is no http(s) URL'],
  [{ webhookUrl: 'ftp://planted/' }, 'alerts.webhook_url: is no http(s) URL'],
  [{ webhookUrl: 'https://user:planted@example.com/' }, 'alerts.webhook_url: holds a secret'],
  [{ webhookUrl: 'https://example.com/?token=planted' }, 'alerts.webhook_url: holds a secret'],
  [{ webhookUrl: HOOK, secretRef: 'whsec_planted' }, 'alerts.secret_ref: is not a reference'],
])('%j is refused, and not repeated', async (alerts, text) => {
  const refused = await failure(create(alerts));
  expect(refused).toMatchObject(refusal('INVALID_ARGUMENT', text));
  expect(refused.message).not.toContain('planted');
});

it('what is validated goes to Temporal without its webhook', async () => {
  const connector = connectorSpec({ alerts: { webhookUrl: HOOK } });
  const { summary } = await catalog.clients.connectors.validateConnector({
    target: { $case: 'connector', value: connector },
  });
  expect(summary).toContain(connector.displayName);
  expect(summary).not.toContain('planted');
});
