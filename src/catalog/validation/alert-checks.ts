import type { AlertPolicy } from '../../generated/reconciler/v1/connectors.ts';
import { isPlainSecret, isSecretReference, REFERENCE_FORM } from '../../secrets.ts';
import type { Checks } from '../rpc/violations.ts';

/** Where alerts go and by which key they are signed. Nothing that was typed is repeated: a webhook's URL is often a secret itself. */
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
    checks.that(false, field, `is no http(s) URL: give one, or a reference to one (${REFERENCE_FORM})`);
    return;
  }
  const holdsSecret =
    url.username !== '' ||
    url.password !== '' ||
    [...url.searchParams].some(([key, value]) => isPlainSecret(key, value));
  checks.that(!holdsSecret, field, `holds a secret: give the whole URL by reference (${REFERENCE_FORM})`);
}
