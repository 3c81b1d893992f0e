import { CodedError } from '../errors.ts';
import type { ConnectorSpec, WorkerLimits } from './connector-spec.ts';
import { isWarehouseUri, openWarehouse } from './directory/open-warehouse.ts';
import { openGlueCatalog } from './glue/glue-connector.ts';
import { resolveSecrets } from './resolve-secrets.ts';
import { openRestCatalog } from './rest/rest-connector.ts';
import type { UpstreamCatalog } from './spi.ts';

/**
 * Opens the upstream of a stored connector.
 *
 * @throws CodedError `UNIMPLEMENTED` for an upstream that is not supported; errors of `resolveSecrets` and of the upstream's own `open…`
 */
export async function openConnector(spec: ConnectorSpec, limits: WorkerLimits): Promise<UpstreamCatalog> {
  const { kind, uri } = spec;
  if (kind === 'GLUE') return openGlueCatalog(await resolveSecrets(spec), limits);
  if (kind === 'ICEBERG' && isWarehouseUri(uri)) return openWarehouse(await resolveSecrets(spec), limits);
  if (kind === 'ICEBERG' && /^https?:/i.test(uri)) return openRestCatalog(await resolveSecrets(spec), limits);
  throw new CodedError(
    'UNIMPLEMENTED',
    `a connector of kind ${kind} with the URI ${JSON.stringify(uri)} is not supported. Supported are kind GLUE, and kind ICEBERG ` +
      'with the path, file: URI or s3: URI of a warehouse folder or the http(s) URI of a REST catalog.',
  );
}
