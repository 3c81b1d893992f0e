import { CodedError } from '../errors.ts';
import { FileStore } from '../storage/file-store.ts';
import type { ConnectorSpec, WorkerLimits } from './connector-spec.ts';
import { DirectoryConnector } from './directory/directory-connector.ts';
import type { Connector } from './spi.ts';

/**
 * Opens an upstream by what is stored of its connector.
 *
 * @throws CodedError `UNIMPLEMENTED` for an upstream that cannot be read yet, else what the connector throws when opened
 */
export async function openConnector({ kind, uri }: ConnectorSpec, _limits: WorkerLimits): Promise<Connector> {
  if (kind === 'ICEBERG' && isLocal(uri)) return DirectoryConnector.open(new FileStore(), uri);
  throw new CodedError(
    'UNIMPLEMENTED',
    `a connector of kind ${kind} with the URI ${JSON.stringify(uri)} is not supported; kind ICEBERG with a file: URI or the ` +
      'path of a warehouse folder is',
  );
}

function isLocal(uri: string): boolean {
  return /^file:/i.test(uri) || uri.startsWith('/');
}
