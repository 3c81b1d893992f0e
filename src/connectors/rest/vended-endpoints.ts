import { checkSecretUse } from '../../policy/secret-grants.ts';
import { parseConnectionString } from '../../storage/azure/connection-string.ts';
import type { ResolvedSpec } from '../connector-spec.ts';

/**
 * Checks the endpoints that a connector names for its storage, if its catalog vends credentials. These were issued for the connector's secrets, so that
 * they may be sent only where those may be: otherwise, whoever may write connectors could have them sent to a host of their own. Endpoints that the
 * catalog names are the catalog's choice.
 *
 * @param own the connector's properties
 * @throws PolicyError that names the secret's reference and the host
 */
export function checkVendedEndpoints(spec: ResolvedSpec, own: Readonly<Record<string, string>>): void {
  const secrets = [spec.auth.secret, own.credential, own.token, ...Object.values(spec.auth.headerHints)];
  for (const endpoint of endpointsIn(own)) {
    for (const secret of secrets) if (secret) checkSecretUse(secret, endpoint);
  }
}

function endpointsIn(own: Readonly<Record<string, string>>): URL[] {
  const authority = own['adls.blob-storage-authority'];
  const texts = [
    own['s3.endpoint'],
    own['gcs.service.host'],
    own['adls.account-host'],
    authority?.startsWith('.') ? `account${authority}` : authority,
    ...Object.entries(own).map(([name, value]) =>
      name.startsWith('adls.connection-string') ? parseConnectionString(value).endpoint : undefined,
    ),
  ];
  return texts.flatMap((text) => {
    if (!text) return [];
    const url = /^[a-z]+:\/\//i.test(text) ? text : `https://${text}`;
    return URL.canParse(url) ? [new URL(url)] : [];
  });
}
