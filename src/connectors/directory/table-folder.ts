import type { TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { openDeltaTable } from '../../formats/delta/delta-table-reader.ts';
import { deltaFingerprint } from '../../formats/delta/log/delta-log.ts';
import { LogStore } from '../../formats/delta/log/log-store.ts';
import { rememberedStates } from '../../formats/delta/state/remembered-states.ts';
import { openIcebergTable } from '../../formats/iceberg/table-reader.ts';
import type { KnownTable, TableFormat, TableReader } from '../../formats/table-reader.ts';
import { confineStore } from '../../storage/confined-store.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { newestMetadata } from './newest-metadata.ts';

/** Where a table is, and what it may read. */
export interface TableFolder {
  store: ObjectStore;
  /** Without a trailing slash. */
  folder: string;
  /** Locations that it may read besides its folder. */
  allowed: readonly string[];
  /** For messages. */
  table: TableRef;
}

type Known = () => Promise<KnownTable | undefined>;

/** How the tables of a format are read, whose folder is all that is known. */
interface FolderFormat {
  fingerprint(table: Confined, known?: string): Promise<string>;
  open(table: Confined, known?: Known): Promise<TableReader>;
}

/** A table's folder, with a store that reads nothing else. */
type Confined = Pick<TableFolder, 'store' | 'folder'> & { name: string };

const FORMATS: Readonly<Record<TableFormat, FolderFormat>> = {
  ICEBERG: {
    fingerprint: async ({ store, folder }) => (await newestMetadata(store, folder)).fingerprint,
    async open({ store, folder }) {
      const { path, fingerprint } = await newestMetadata(store, folder);
      return openIcebergTable({ store, metadataLocation: path, fingerprint, folder });
    },
  },
  DELTA: {
    fingerprint: ({ store, folder }, known) =>
      deltaFingerprint({ store: new LogStore(store), location: folder, known }),
    open: async ({ store, folder, name }, known) =>
      openDeltaTable({
        store,
        location: folder,
        tableName: name,
        known: await known?.(),
        remembered: rememberedStates,
      }),
  },
};

/** @throws CodedError `NOT_FOUND` that names the table if there is none in the folder */
export function folderFingerprint(format: TableFormat, table: TableFolder, known?: string): Promise<string> {
  return FORMATS[format].fingerprint(confined(table), known).catch((error) => throwNamed(error, table));
}

/** @throws CodedError as `folderFingerprint`, and those of the format */
export function openFolder(format: TableFormat, table: TableFolder, known?: Known): Promise<TableReader> {
  return FORMATS[format].open(confined(table), known).catch((error) => throwNamed(error, table));
}

function confined({ store, folder, allowed, table }: TableFolder): Confined {
  return { store: confineStore(store, [folder, ...allowed]), folder, name: nameText(table) };
}

function throwNamed(error: unknown, { table }: TableFolder): never {
  if (!(error instanceof CodedError) || error.code !== 'NOT_FOUND') throw error;
  throw new CodedError('NOT_FOUND', `there is no table ${nameText(table)}: ${error.message}`, { cause: error });
}

const nameText = ({ namespace, name }: TableRef) => [...namespace, name].join('.');
