import type { Table } from '@aws-sdk/client-glue';
import { CodedError } from '../../errors.ts';
import { openDeltaTable } from '../../formats/delta/delta-table-reader.ts';
import { deltaFingerprint } from '../../formats/delta/log/delta-log.ts';
import { LogStore } from '../../formats/delta/log/log-store.ts';
import { rememberedStates } from '../../formats/delta/state/remembered-states.ts';
import { openIcebergTable } from '../../formats/iceberg/table-reader.ts';
import type { KnownTable, TableReader } from '../../formats/table-reader.ts';
import { confineStore } from '../../storage/confined-store.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { deltaLocation, formatOf } from './glue-formats.ts';
import { metadataLocation, ownFolders, requireMetadataLocation } from './glue-table.ts';

/** Where a table is, as the catalog returned it. */
export type GlueState =
  | {
      format: 'ICEBERG';
      /** Location of the metadata file. */
      location: string;
      /** See `ownFolders`. */
      folders: readonly string[];
    }
  | { format: 'DELTA'; location: string };

/** Opens the tables of a Glue catalog at their locations. */
export class GlueTables {
  readonly #store: ObjectStore;
  readonly #allowed: readonly string[];

  /** @param allowed locations that tables may read besides their own */
  constructor(store: ObjectStore, allowed: readonly string[]) {
    this.#store = store;
    this.#allowed = allowed;
  }

  /** @param known the table's last fingerprint */
  async fingerprint(state: GlueState, name: string, known?: string): Promise<string> {
    const { format, location } = state;
    if (format === 'ICEBERG') return location;
    const store = new LogStore(this.#storeOf(state));
    const log = await deltaFingerprint({ store, location, known: logOf(known, location) }).catch(
      logMissing(state, name),
    );
    return deltaFingerprintAt(log, location);
  }

  async open(state: GlueState, name: string, known?: () => Promise<KnownTable | undefined>): Promise<TableReader> {
    const { format, location } = state;
    const store = this.#storeOf(state);
    if (format === 'ICEBERG') return openIcebergTable({ store, metadataLocation: location, fingerprint: location });
    const have = await known?.();
    const reader = await openDeltaTable({
      store,
      location,
      tableName: name,
      remembered: rememberedStates,
      ...(have && { known: { ...have, fingerprint: logOf(have.fingerprint, location) ?? '' } }),
    }).catch(logMissing(state, name));
    const { descriptor } = reader;
    descriptor.fingerprint = deltaFingerprintAt(descriptor.fingerprint, location);
    return reader;
  }

  #storeOf(state: GlueState): ObjectStore {
    const own = state.format === 'ICEBERG' ? state.folders : [state.location];
    return confineStore(this.#store, [...own, ...this.#allowed]);
  }
}

/** Where a table is according to Glue. @throws CodedError `FAILED_PRECONDITION` if that is not stated, or if the table is of no known format */
export function requireState(table: Table, name: string): GlueState {
  if (formatOf(table) === 'DELTA') return { format: 'DELTA', location: deltaLocation(table, name) };
  const location = requireMetadataLocation(table, name);
  return { format: 'ICEBERG', location, folders: ownFolders(table, location) };
}

/** As `requireState`; undefined if the location is not stated. */
export function stateOf(table: Table): GlueState | undefined {
  if (formatOf(table) === 'ICEBERG' && metadataLocation(table) === undefined) return undefined;
  try {
    return requireState(table, '');
  } catch {
    return undefined;
  }
}

/** `LOG at LOCATION`: the copy of a log at another location can have the same versions, sizes and ETags. */
const deltaFingerprintAt = (log: string, location: string) => `${log} at ${location}`;

/** The log's part of a fingerprint; undefined if it was of another location. */
function logOf(fingerprint: string | undefined, location: string): string | undefined {
  const end = ` at ${location}`;
  return fingerprint?.endsWith(end) ? fingerprint.slice(0, -end.length) : undefined;
}

/** The catalog has the table: without its log, it is broken and not gone. */
const logMissing =
  ({ location }: GlueState, name: string) =>
  (error: unknown) => {
    if (!(error instanceof CodedError) || error.code !== 'NOT_FOUND') throw error;
    throw new CodedError(
      'DATA_LOSS',
      `Glue's table ${name} is registered at ${location}, where no Delta log is: ${error.message}. Restore it, or drop the table.`,
      { cause: error },
    );
  };
