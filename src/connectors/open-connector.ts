import { CodedError } from '../errors.ts';
import { currentPolicy } from '../policy/current-policy.ts';
import { policyTenant } from '../policy/policy-tenant.ts';
import { readCredentialsAgain } from '../storage/aws/credentials.ts';
import type { ConnectorSpec, WorkerLimits } from './connector-spec.ts';
import { isWarehouseUri, openWarehouse } from './directory/open-warehouse.ts';
import { openGlueCatalog } from './glue/glue-connector.ts';
import { resolveSecrets } from './resolve-secrets.ts';
import { openRestCatalog } from './rest/rest-connector.ts';
import type { UpstreamCatalog } from './spi.ts';
import { openUnityCatalog } from './unity/open-unity.ts';

/**
 * Opens the upstream of a stored connector, with its secrets and the worker's credentials as they are now. They are read again if the upstream
 * refuses them.
 *
 * @throws CodedError `PERMISSION_DENIED` if the worker's policy refuses the tenant or something that the connector uses; `UNIMPLEMENTED` for an upstream that is not supported; errors of `resolveSecrets` and of the upstream's own `open…`
 */
export async function openConnector(spec: ConnectorSpec, limits: WorkerLimits): Promise<UpstreamCatalog> {
  const { kind, uri } = spec;
  currentPolicy().requireTenant(policyTenant());
  const resolve = () => resolveSecrets(spec);
  readCredentialsAgain();
  if (kind === 'GLUE') return openGlueCatalog(await resolve(), limits, resolve);
  if (kind === 'UNITY') return openUnityCatalog(await resolve(), limits, resolve);
  if ((kind === 'ICEBERG' || kind === 'DELTA') && isWarehouseUri(uri))
    return openWarehouse(await resolve(), limits, resolve);
  if (kind === 'ICEBERG' && /^https?:/i.test(uri)) return openRestCatalog(await resolve(), limits, resolve);
  throw new CodedError(
    'UNIMPLEMENTED',
    `a connector of kind ${kind} with the URI ${JSON.stringify(uri)} is not supported. Supported are kinds GLUE and UNITY, kinds ICEBERG and DELTA with ` +
      'the path or the file:, s3:, abfss:, wasbs: or gs: URI of a warehouse folder, and kind ICEBERG with the http(s) URI of a REST catalog.',
  );
}
