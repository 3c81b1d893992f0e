import { CodedError } from '../../errors.ts';
import type { TableFormat } from '../../formats/table-reader.ts';
import { localPathCandidates } from '../../storage/file-uri.ts';
import { schemeOf } from '../../storage/location.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { newUsage, type Usage } from '../../storage/usage.ts';
import type { UpstreamCatalog } from '../spi.ts';
import { DirectoryConnector } from './directory-connector.ts';
import { DELTA_LOG, folderKind } from './folder-kind.ts';
import { SingleTable } from './single-table.ts';

export interface DirectoryOptions {
  format?: TableFormat;
  /** The counters to which the store adds its requests and bytes. */
  usage?: Usage;
  /** Locations that tables may read besides their own folders. */
  allowed?: readonly string[];
}

/**
 * Opens a warehouse folder, or a single Delta table.
 *
 * @param uri a folder; percent-decoded if there is no local folder of exactly this name
 * @throws CodedError `NOT_FOUND`, `PERMISSION_DENIED` or `INVALID_ARGUMENT`; the message names the URI and states what to do
 */
export async function openDirectory(
  store: ObjectStore,
  uri: string,
  { format = 'ICEBERG', usage = newUsage(), allowed = [] }: DirectoryOptions = {},
): Promise<UpstreamCatalog> {
  let failure: unknown;
  for (const path of schemeOf(uri) === 'file' ? localPathCandidates(uri) : [uri]) {
    const root = path.length > 1 ? path.replace(/\/+$/, '') || '/' : path;
    if (root.endsWith(`/${DELTA_LOG}`)) {
      throw new CodedError(
        'INVALID_ARGUMENT',
        `connector URI ${uri} is the log of a Delta table. Use the folder above it, which is the table, or that of the warehouse.`,
      );
    }
    try {
      const kind = await folderKind(store, root, format);
      if (kind === 'DELTA' && format === 'DELTA') {
        return new SingleTable(format, { store, folder: root, allowed }, usage);
      }
      if (kind === 'ICEBERG' || kind === 'DELTA') throw isTable(uri, kind, format);
      await requireFolder(store, root, uri);
      return new DirectoryConnector({ format, store, root, usage, allowed });
    } catch (error) {
      failure ??= error;
      if (!(error instanceof CodedError) || error.code !== 'NOT_FOUND') throw error;
    }
  }
  throw failure;
}

function isTable(uri: string, kind: TableFormat, wanted: TableFormat): CodedError {
  const what = kind === 'ICEBERG' ? 'an Iceberg table' : 'a Delta table';
  const advice =
    kind === wanted
      ? 'Use the folder of the warehouse: its folders are namespaces, which contain tables.'
      : `Create a connector of kind ${kind.toLowerCase()} for it.`;
  return new CodedError('INVALID_ARGUMENT', `connector URI ${uri} is ${what}. ${advice}`);
}

/** Throws unless the URI is a folder. */
async function requireFolder(store: ObjectStore, root: string, uri: string): Promise<void> {
  try {
    for await (const _ of store.list(root)) break;
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const isFile = await store.stat(root).then(
      () => true,
      () => false,
    );
    if (isFile) {
      throw new CodedError('INVALID_ARGUMENT', `connector URI ${uri} is a file. Use the folder of the warehouse.`);
    }
    const advice = error.code === 'NOT_FOUND' ? ' Use the folder of a warehouse that the worker can reach.' : '';
    throw new CodedError(error.code, `connector URI ${uri}: ${error.message}.${advice}`, { cause: error });
  }
}
