/**
 * The contract between upstream catalogs and the activities that ingest them.
 *
 * Snapshot ids are 64-bit and so bigint; counts and sizes are checked to be safe integers and so numbers. Errors are
 * `CodedError`s: `DATA_LOSS` for metadata that is broken or gone (the message names the file), `NOT_FOUND` for a table or
 * namespace that does not exist, `UNAVAILABLE` for transient failures.
 */

import type { NamespacePath, TableRef } from '../contract/upstream-names.ts';
import type { TableFormat, TableReader } from '../formats/table-reader.ts';
import type { Usage } from '../storage/usage.ts';

export interface PageRequest {
  /** At most this many items. */
  size: number;
  /** `nextToken` of the previous page; absent for the first. */
  token?: string;
}

export interface Page<T> {
  items: T[];
  /** Absent on the last page. */
  nextToken?: string;
}

/** A table as its listing describes it. */
export interface TableEntry extends TableRef {
  format: TableFormat;
  /** Identifies the table's state; absent if the listing does not include it. */
  fingerprint?: string;
}

/** An upstream catalog, opened. Calls may run in parallel. */
export interface UpstreamCatalog extends AsyncDisposable {
  /** Requests and bytes so far, of catalog and storage together. */
  readonly usage: Readonly<Usage>;
  /** Namespaces directly below `parent`, in a stable order. `NOT_FOUND` if the parent does not exist. */
  listNamespaces(parent: NamespacePath, page: PageRequest): Promise<Page<NamespacePath>>;
  /** Tables directly in `namespace`, in a stable order. */
  listTables(namespace: NamespacePath, page: PageRequest): Promise<Page<TableEntry>>;
  /** The table's current fingerprint, for one cheap request: equal to `known` if the table has not changed since then. */
  fingerprint(table: TableRef, known?: string): Promise<string>;
  /** Reads the table's metadata. Whatever the reader reads later belongs to that one state of the table. */
  openTable(table: TableRef): Promise<TableReader>;
  /** Views directly in `namespace`, in a stable order. Absent if the upstream has no views, as is `describeView`. */
  listViews?(namespace: NamespacePath, page: PageRequest): Promise<Page<ViewRef>>;
  describeView?(view: ViewRef): Promise<ViewDescriptor>;
}

export interface ViewRef {
  namespace: NamespacePath;
  name: string;
}

/** The current version of a view (Iceberg view spec). */
export interface ViewDescriptor {
  uuid: string;
  versionId: number;
  /** As Iceberg's spec serializes it (appendix C). */
  schema: { id: number; json: string };
  /** One per dialect. */
  representations: { sql: string; dialect: string }[];
  /** Unqualified names in the SQL refer to these. */
  defaultCatalog?: string;
  defaultNamespace: NamespacePath;
  properties: Record<string, string>;
  /** Identifies this version: the view has changed if it has another one. */
  fingerprint: string;
}
