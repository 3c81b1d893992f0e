import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { AlertType } from '../../../src/generated/reconciler/internal/v1/reconciliation.ts';
import type { Connector } from '../../../src/generated/reconciler/v1/connectors.ts';
import { ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { poll } from '../../jest/poll.ts';
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
/** Ends a job in this state, as a worker does. @returns its id and the alert that its end causes */
async function end(connector: Connector, state: JobState, request: object = {}, jobId = `job-${++jobs}`) {
  const { connectorId } = connector;
  const requestJson = JSON.stringify({ connector: connectorId, ...request });
  const dryRun = 'dryRun' in request;
  return { jobId, ...(await catalog.endJob(connectorId, jobId, { state, requestJson, dryRun })) };
}
/** The alert that a job in this state causes. */
const alertFor = async (connector: Connector, state: JobState, request?: object) =>
  (await end(connector, state, request)).type;

it('the first failure is reported, and the first success after it', async () => {
  const connector = await create();
  expect(await alertFor(connector, SUCCEEDED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  const failed = await end(connector, FAILED);
  expect(failed).toMatchObject({ type: AlertType.ALERT_TYPE_JOB_FAILED, failedJobId: '' });
  // The response to the first call was lost.
  expect(await end(connector, FAILED, {}, failed.jobId)).toEqual(failed);
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  const recovered = await end(connector, SUCCEEDED);
  expect(recovered).toMatchObject({ type: AlertType.ALERT_TYPE_JOB_RECOVERED, failedJobId: failed.jobId });
  expect(await end(connector, SUCCEEDED, {}, recovered.jobId)).toEqual(recovered);
  // Also after the alert of another job.
  expect(await end(connector, FAILED, {}, failed.jobId)).toEqual(failed);
  expect(await alertFor(connector, SUCCEEDED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
});

it.each([
  ['scoped', { scope: { table: 't' } }],
  ['retries', { retryOf: 'job-0' }],
  ['dry runs', { dryRun: true }],
  ['in another mode', { mode: 'METADATA_ONLY' }],
  ['of other snapshots', { snapshots: { kind: 'CURRENT' } }],
])('jobs that are %s are not reported and do not count', async (_, request) => {
  const connector = await create();
  expect(await alertFor(connector, FAILED, request)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
  expect(await alertFor(connector, SUCCEEDED, request)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await alertFor(connector, SUCCEEDED)).toBe(AlertType.ALERT_TYPE_JOB_RECOVERED);
});

it('cancelled jobs are not reported and do not count', async () => {
  const connector = await create();
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
  expect(await alertFor(connector, CANCELLED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await alertFor(connector, SUCCEEDED)).toBe(AlertType.ALERT_TYPE_JOB_RECOVERED);
});

it('full rescans and retries of whole jobs are reported', async () => {
  const connector = await create();
  expect(await alertFor(connector, FAILED, { full: true })).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
  expect(await alertFor(connector, SUCCEEDED, { trigger: 'retry' })).toBe(AlertType.ALERT_TYPE_JOB_RECOVERED);
});

it('nothing is reported without a webhook, and a new webhook starts without a previous alert', async () => {
  const { connectors } = catalog.clients;
  const connector = await create({});
  const { connectorId } = connector;
  const setWebhook = (webhookUrl: string) =>
    connectors.updateConnector({
      connector: { connectorId, alerts: { webhookUrl } },
      updateMask: ['alerts.webhook_url'],
    });
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  await setWebhook(HOOK);
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  await setWebhook('env:OTHER_HOOK');
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
  await setWebhook('');
  expect(await alertFor(connector, SUCCEEDED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  await setWebhook(HOOK);
  expect(await alertFor(connector, SUCCEEDED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_JOB_FAILED);
  // Changes of other fields keep the last alert.
  await connectors.updateConnector({ connector: { connectorId, description: 'x' }, updateMask: ['description'] });
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
});

it('a job ends only in a state of its end', async () => {
  const running = end(await create(), JobState.JS_RUNNING);
  expect(await failure(running)).toMatchObject(refusal('INVALID_ARGUMENT', 'job.state'));
});

it('a job without a connector ends without an alert', async () => {
  const job = { jobId: 'unresolved', state: FAILED, message: 'there is no such connector' };
  expect(await catalog.clients.reconciliation.endJob({ job })).toEqual({
    type: AlertType.ALERT_TYPE_UNSPECIFIED,
    failedJobId: '',
  });
  expect(await catalog.clients.connectors.getReconcileJob({ jobId: 'unresolved' })).toMatchObject(job);
});

it('the catalog sends the alert for a terminated job once it notices the termination', async () => {
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
  // A job that was cancelled in Temporal is not a failure.
  const next = await connectors.triggerReconcile({ connectorId });
  catalog.jobs.statuses.set(next.jobId, 'CANCELED');
  expect(await connectors.getReconcileJob({ jobId: next.jobId })).toMatchObject({ state: CANCELLED });
  expect(alerts()).toHaveLength(1);
});

it.each([
  ['TERMINATED', SUCCEEDED, { type: 'job.failed' }],
  ['COMPLETED', FAILED, { type: 'job.recovered' }],
] as const)('an alert that cannot be sent for a job that is found %s is sent later', async (status, before, alert) => {
  const { connectors } = catalog.clients;
  const connector = await create();
  const { connectorId } = connector;
  await end(connector, before);
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  catalog.jobs.statuses.set(jobId, status);
  using refused = jest.spyOn(catalog.jobs, 'alert').mockRejectedValue(new Error('Temporal is not available any more'));
  await connectors.getReconcileJob({ jobId });
  expect(refused).toHaveBeenCalled();
  refused.mockRestore();
  const alerts = () => catalog.jobs.alerts.filter((sent) => sent.jobId === jobId);
  expect(alerts()).toEqual([]);
  // The catalog looks at its start, and then every half a minute.
  await catalog.restart();
  await poll(alerts).toEqual([expect.objectContaining(alert)]);
  await catalog.restart();
  await poll(() => catalog.jobs.described.includes(jobId)).toBe(true);
  expect(alerts()).toHaveLength(1);
});

it('the alert of a job whose workflow was terminated after its end, and before it sent the alert, is sent', async () => {
  const connector = await create();
  const { jobId } = await end(connector, FAILED);
  const alerts = () => catalog.jobs.alerts.filter((sent) => sent.jobId === jobId);
  const restart = async () => {
    catalog.jobs.described.length = 0;
    await catalog.restart();
    await poll(() => catalog.jobs.described).toContain(jobId);
  };
  catalog.jobs.statuses.set(jobId, 'RUNNING');
  await restart();
  expect(alerts()).toEqual([]);
  catalog.jobs.statuses.set(jobId, 'TERMINATED');
  await restart();
  await poll(alerts).toEqual([{ jobId, type: 'job.failed', connectorName: connector.displayName }]);
});

it('the next job, which takes over the connector, notices the end of the previous one', async () => {
  const { connectors } = catalog.clients;
  const connector = await create();
  const { connectorId } = connector;
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  await catalog.claim(connectorId, jobId);
  catalog.jobs.statuses.set(jobId, 'TIMED_OUT');
  expect(await catalog.claim(connectorId, 'the-next', { dead: jobId })).toMatchObject({
    holderJobId: 'the-next',
    epoch: 2n,
  });
  expect(catalog.jobs.alerts.at(-1)).toMatchObject({ type: 'job.failed', jobId });
  expect(await end(connector, SUCCEEDED)).toMatchObject({
    type: AlertType.ALERT_TYPE_JOB_RECOVERED,
    failedJobId: jobId,
  });
});

it('nothing is reported for a connector that is being deleted', async () => {
  const connector = await create();
  catalog.jobs.down = true;
  await failure(catalog.clients.connectors.deleteConnector({ connectorId: connector.connectorId }));
  catalog.jobs.down = false;
  const { connectorId } = connector;
  const now = await catalog.clients.connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } });
  expect(now.state).toBe(ConnectorState.CONNECTOR_STATE_DELETING);
  expect(await alertFor(connector, FAILED)).toBe(AlertType.ALERT_TYPE_UNSPECIFIED);
});

it.each([
  [{ webhookUrl: 'planted' }, 'alerts.webhook_url: is not an http(s) URL'],
  [{ webhookUrl: 'ftp://planted/' }, 'alerts.webhook_url: is not an http(s) URL'],
  [{ webhookUrl: 'https://user:planted@example.com/' }, 'alerts.webhook_url: contains a secret'],
  [{ webhookUrl: 'https://example.com/?token=planted' }, 'alerts.webhook_url: contains a secret'],
  [{ webhookUrl: HOOK, secretRef: 'whsec_planted' }, 'alerts.secret_ref: is not a reference'],
])('%j is refused, and the error does not repeat it', async (alerts, text) => {
  const refused = await failure(create(alerts));
  expect(refused).toMatchObject(refusal('INVALID_ARGUMENT', text));
  expect(refused.message).not.toContain('planted');
});
