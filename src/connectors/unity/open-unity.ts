import { isThisMachine } from '../../policy/this-machine.ts';
import { rememberConnectorSecret } from '../../secrets.ts';
import { connectorProxy } from '../../storage/proxy/proxy.ts';
import { newUsage } from '../../storage/usage.ts';
import { ConnectorSecrets } from '../connector-secrets.ts';
import type { ResolvedSpec, WorkerLimits } from '../connector-spec.ts';
import { remembered } from '../remembered.ts';
import { connectorProperties } from '../rest/auth/auth-scheme.ts';
import { ANONYMOUS } from '../rest/auth/authenticator.ts';
import { rereadAuthenticator } from '../rest/auth/reread-authenticator.ts';
import { HttpClient } from '../rest/http-client.ts';
import { HttpExchange } from '../rest/http-exchange.ts';
import { requestHeaders } from '../rest/request-headers.ts';
import { timeoutsOf } from '../rest/timeouts.ts';
import type { UpstreamCatalog } from '../spi.ts';
import { unityAuthenticator } from './auth/unity-auth.ts';
import { DeltaEndpoints } from './delta-endpoints.ts';
import { unityAddress } from './unity-address.ts';
import { UnityApi } from './unity-api.ts';
import { UnityConnector } from './unity-connector.ts';

/**
 * Opens a Unity Catalog server or Databricks workspace. Requests, timeouts, headers and proxies are those of REST catalogs (`rest.*`, `header.*`).
 *
 * @param resolve reads the connector's secrets again
 * @throws CodedError that states which of the address and the credentials is wrong
 */
export async function openUnityCatalog(
  spec: ResolvedSpec,
  limits: WorkerLimits,
  resolve?: () => Promise<ResolvedSpec>,
): Promise<UpstreamCatalog> {
  const { host, api: base } = unityAddress(spec.uri);
  const usage = newUsage(limits);
  const own = connectorProperties(spec);
  const exchange = new HttpExchange(usage, connectorProxy(own));
  try {
    const secrets = new ConnectorSecrets(spec, resolve);
    const timeouts = timeoutsOf(own);
    const headersOf = remembered((spec: ResolvedSpec) => requestHeaders(spec).all);
    const authenticator = await rereadAuthenticator(secrets, (spec) => {
      if (spec.auth.secret) rememberConnectorSecret(spec.auth.secret);
      const tokenClient = (own: boolean) => {
        const headers = () => (own ? headersOf(spec) : {});
        return new HttpClient({ exchange, headers, authenticator: ANONYMOUS, ...timeouts });
      };
      return unityAuthenticator(spec, { host, tokenClient });
    });
    const client = new HttpClient({ exchange, headers: () => headersOf(secrets.current), authenticator, ...timeouts });
    const api = new UnityApi(client, base);
    return new UnityConnector({
      api,
      endpoints: new DeltaEndpoints(api),
      secrets,
      usage,
      localRoots: limits.localRoots ?? (isThisMachine(host) ? undefined : []),
      vends: requestHeaders(spec).delegation !== '',
      catalog: own.catalog || undefined,
      close: () => exchange.close(),
    });
  } catch (error) {
    exchange.close();
    throw error;
  }
}
