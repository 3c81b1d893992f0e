import type { AlertPolicy } from '../../generated/reconciler/v1/connectors.ts';
import { isPlainSecret, isSecretReference, REFERENCE_FORM } from '../../secrets.ts';
import type { Checks } from '../rpc/violations.ts';

/** Checks the webhook of alerts. Messages never repeat the input, because the URL of a webhook is often a secret itself. */
export function checkAlerts(checks: Checks, alerts: AlertPolicy | undefined, at: string): void {
  if (!alerts) return;
  const { webhookUrl, secretRef } = alerts;
  checks.that(
    secretRef === '' || isSecretReference(secretRef),
    `${at}.secret_ref`,
    `is not a reference: give ${REFERENCE_FORM}, never the key itself`,
  );
  const field = `${at}.webhook_url`;
  if (webhookUrl === '' || !checks.text(webhookUrl, field) || isSecretReference(webhookUrl)) return;
  const url = URL.canParse(webhookUrl) ? new URL(webhookUrl) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) {
    checks.that(false, field, `is not an http(s) URL: give one, or a reference to one (${REFERENCE_FORM})`);
    return;
  }
  const holdsSecret =
    url.username !== '' ||
    url.password !== '' ||
    [...url.searchParams].some(([key, value]) => isPlainSecret(key, value));
  checks.that(!holdsSecret, field, `contains a secret: give the whole URL as a reference (${REFERENCE_FORM})`);
}
