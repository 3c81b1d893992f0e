import { resolveConnectorReference, resolveProperties } from '../connectors/resolve-secrets.ts';
import type { AlertRequest } from '../contract/job.ts';
import { workflowLink } from '../contract/workflow-link.ts';
import type { Connector } from '../generated/reconciler/v1/connectors.ts';
import { currentPolicy } from '../policy/current-policy.ts';
import { policyTenant } from '../policy/policy-tenant.ts';
import { isSecretReference, rememberConnectorSecret } from '../secrets.ts';
import { connectorProxy, PROXY_PROPERTIES } from '../storage/proxy/proxy.ts';
import { workerMetrics } from '../telemetry/worker-metrics.ts';
import { alertPayload, MAX_FAILURES, messageId } from './alerts/alert-payload.ts';
import { postWebhook } from './alerts/post-webhook.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { describeError, isFinal } from './runtime/failures.ts';

/**
 * Sends the outcome of a job to the connector's webhook. Address and key are the connector's current ones; neither they nor the secrets that
 * they refer to leave this process otherwise.
 *
 * @returns the result, for people
 * @throws CodedError as `postWebhook` and `resolveAlso` do
 */
export async function deliverAlert(deps: ActivityDeps, request: AlertRequest): Promise<string> {
  const { type, jobId } = request;
  try {
    const { job, connector, failures } = await readRecords(deps, jobId);
    if (!connector?.alerts?.webhookUrl) return 'not sent: the connector no longer has a webhook';
    const link = deps.temporalUi && workflowLink(deps.temporalUi, jobId);
    await postWebhook({
      ...(await receiverOf(connector, connector.alerts)),
      id: messageId(request),
      body: alertPayload(request, job, failures, link),
    });
  } catch (error) {
    workerMetrics()?.alertSent(type, isFinal(error) ? 'refused' : 'failed');
    throw error;
  }
  workerMetrics()?.alertSent(type, 'delivered');
  deps.logger.info({ type, job: jobId }, 'an alert was delivered');
  return 'delivered';
}

async function readRecords({ catalog: { connectors, jobs } }: ActivityDeps, jobId: string) {
  const job = await connectors.getReconcileJob({ jobId });
  const connector = await connectors
    .getConnector({ by: { $case: 'connectorId', value: job.connectorId } })
    .catch((error) => {
      if (describeError(error).code === 'NOT_FOUND') return undefined;
      throw error;
    });
  const { failures } = await jobs.listJobFailures({ jobId, pageSize: MAX_FAILURES });
  return { job, connector, failures };
}

async function receiverOf(
  { properties, auth }: Connector,
  { webhookUrl, secretRef }: NonNullable<Connector['alerts']>,
) {
  currentPolicy().requireTenant(policyTenant());
  const isReference = isSecretReference(webhookUrl);
  const url = isReference ? await resolveConnectorReference(webhookUrl, 'alerts.webhook_url', properties) : webhookUrl;
  rememberConnectorSecret(url);
  return {
    url,
    proxy: connectorProxy(await resolveProperties({ ...properties, ...auth?.properties }, PROXY_PROPERTIES)),
    ...(secretRef && { secret: await resolveConnectorReference(secretRef, 'alerts.secret_ref', properties) }),
  };
}
