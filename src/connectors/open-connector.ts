import { CodedError } from '../errors.ts';
import type { ConnectorSpec, WorkerLimits } from './connector-spec.ts';
import { isWarehouseUri, openWarehouse } from './directory/open-warehouse.ts';
import { openGlueCatalog } from './glue/glue-connector.ts';
import { resolveSecrets } from './resolve-secrets.ts';
import { openRestCatalog } from './rest/rest-connector.ts';
import type { UpstreamCatalog } from './spi.ts';

/**
 * Opens an upstream by what is stored of its connector.
 *
 * @throws CodedError `UNIMPLEMENTED` for an upstream that cannot be read yet, else what the connector throws when opened
 */
export async function openConnector(spec: ConnectorSpec, limits: WorkerLimits): Promise<UpstreamCatalog> {
  const { kind, uri } = spec;
  if (kind === 'GLUE') return openGlueCatalog(await resolveSecrets(spec), limits);
  if (kind === 'ICEBERG' && isWarehouseUri(uri)) return openWarehouse(await resolveSecrets(spec), limits);
  if (kind === 'ICEBERG' && /^https?:/i.test(uri)) return openRestCatalog(await resolveSecrets(spec), limits);
  throw new CodedError(
    'UNIMPLEMENTED',
    `a connector of kind ${kind} with the URI ${JSON.stringify(uri)} is not supported; kind ICEBERG is with the file: ` +
      'or s3: URI or the path of a warehouse folder, or the http(s) URI of a REST catalog, and kind GLUE',
  );
}
