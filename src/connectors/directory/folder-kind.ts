import { CodedError } from '../../errors.ts';
import type { TableFormat } from '../../formats/table-reader.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { compareKeys, entriesOf, keyOf } from '../../storage/sorted-pages.ts';
import { isMetadata } from './newest-metadata.ts';

const METADATA = 'metadata';
export const DELTA_LOG = '_delta_log';

/**
 * `unknown` is a folder that may not be read. It can be a table or a namespace; skipping it would make its tables look dropped. `gone` is one
 * that was deleted in the meantime.
 */
export type FolderKind = TableFormat | 'namespace' | 'unknown' | 'gone';

/**
 * The kind of a folder, determined by its entries and those of its `metadata` folder.
 *
 * @param wanted the format of a folder that is a table in both, as UniForm and XTable make them
 */
export async function folderKind(store: ObjectStore, folder: string, wanted: TableFormat): Promise<FolderKind> {
  try {
    let hasDeltaLog = false;
    // Only from one name to the other, because the data files of a table can be beside them.
    for await (const entry of entriesOf(store.list(folder, { after: DELTA_LOG }))) {
      const key = keyOf(entry);
      if (key === `${DELTA_LOG}/`) hasDeltaLog = true;
      if (hasDeltaLog && wanted === 'DELTA') return 'DELTA';
      if (key === `${METADATA}/` && (await hasMetadata(store, `${folder}/${METADATA}`))) return 'ICEBERG';
      if (compareKeys(key, `${METADATA}/`) >= 0) break;
    }
    return hasDeltaLog ? 'DELTA' : 'namespace';
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    if (error.code === 'NOT_FOUND') return 'gone';
    if (error.code === 'PERMISSION_DENIED') return 'unknown';
    throw error;
  }
}

async function hasMetadata(store: ObjectStore, folder: string): Promise<boolean> {
  for await (const entry of entriesOf(store.list(folder))) if (!entry.folder && isMetadata(entry.name)) return true;
  return false;
}
