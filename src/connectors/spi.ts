/**
 * What a connector gives: the contract between upstream catalogs and the activities that ingest them.
 *
 * Snapshot ids are 64-bit and so bigint; counts and sizes are checked to be safe integers and so numbers. Errors are
 * `CodedError`s: `DATA_LOSS` for metadata that is broken or gone (the message names the file), `NOT_FOUND` for a table or
 * namespace that is not there, `UNAVAILABLE` for what may pass.
 */

import type { NamespacePath, TableRef } from '../contract/upstream-names.ts';
import type { TableFormat, TableReader } from '../formats/table-reader.ts';
import type { Usage } from '../storage/usage.ts';

export interface PageRequest {
  /** Most items wanted. */
  size: number;
  /** `nextToken` of the page before; absent for the first. */
  token?: string;
}

export interface Page<T> {
  items: T[];
  /** Absent on the last page. */
  nextToken?: string;
}

export interface TableEntry extends TableRef {
  /** What tells an unchanged table cheaply, where the listing gives it. */
  fingerprint?: string;
}

/** An upstream catalog, opened. Calls may run side by side. */
export interface UpstreamCatalog extends AsyncDisposable {
  readonly format: TableFormat;
  /** Asked of the upstream so far, catalog and storage together. */
  readonly usage: Readonly<Usage>;
  /** Namespaces directly below `parent`, in a stable order. `NOT_FOUND` if the parent is not there. */
  listNamespaces(parent: NamespacePath, page: PageRequest): Promise<Page<NamespacePath>>;
  /** Tables directly in `namespace`, in a stable order. */
  listTables(namespace: NamespacePath, page: PageRequest): Promise<Page<TableEntry>>;
  /**
   * The table's fingerprint now, at the cost of one cheap question: equal to `known` where the table is unchanged since then.
   */
  fingerprint(table: TableRef, known?: string): Promise<string>;
  /** Reads the table's metadata. What is read from the reader later belongs to that one state of the table. */
  openTable(table: TableRef): Promise<TableReader>;
  /** Views directly in `namespace`, in a stable order. Absent where the upstream has none, and so is `describeView`. */
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
  /** One a dialect. */
  representations: { sql: string; dialect: string }[];
  /** What unqualified names in the SQL refer to. */
  defaultCatalog?: string;
  defaultNamespace: NamespacePath;
  properties: Record<string, string>;
  /** Of this version: another one tells that the view has changed. */
  fingerprint: string;
}
