/**
 * The interface between upstream catalogs and the activities that ingest them.
 *
 * Snapshot ids have 64 bits and are bigint; counts and sizes are checked to be safe integers and are numbers. Errors are `CodedError`s:
 * `DATA_LOSS` for corrupt or missing metadata (the message names the file), `NOT_FOUND` for a table or namespace that does not exist,
 * `UNAVAILABLE` for transient failures.
 */

import type { NamespacePath, TableRef } from '../contract/upstream-names.ts';
import type { KnownTable, TableFormat, TableReader } from '../formats/table-reader.ts';
import type { Usage } from '../storage/usage.ts';

export interface PageRequest {
  /** Maximum number of items. */
  size: number;
  /** `nextToken` of the previous page; absent for the first page. */
  token?: string;
}

export interface Page<T> {
  items: T[];
  /** Number of objects that the page's listing has besides the items, of kinds that are not read, such as Hive tables. They count as filtered. */
  otherKinds?: number;
  /** Absent on the last page. */
  nextToken?: string;
}

/** A table as its listing describes it. */
export interface TableEntry extends TableRef {
  format: TableFormat;
  /** Identifies an unchanged table; present if the listing contains it. */
  fingerprint?: string;
}

/** An opened upstream catalog. Calls may run concurrently. */
export interface UpstreamCatalog extends AsyncDisposable {
  /** Requests to the upstream so far and the bytes received, for catalog and storage together. */
  readonly usage: Readonly<Usage>;
  /** Namespaces directly below `parent`, in a stable order. `NOT_FOUND` if the parent does not exist. */
  listNamespaces(parent: NamespacePath, page: PageRequest): Promise<Page<NamespacePath>>;
  /** Tables directly in `namespace`, in a stable order. */
  listTables(namespace: NamespacePath, page: PageRequest): Promise<Page<TableEntry>>;
  /**
   * The table's current fingerprint, at the cost of one cheap request. It equals `known` if the table is unchanged since that one.
   */
  fingerprint(table: TableRef, known?: string): Promise<string>;
  /**
   * Reads the table's metadata. The reader serves this one state of the table, even if the table changes later.
   *
   * @param known returns what the catalog has of the table. Only some formats need it, so that the others cost no call.
   */
  openTable(table: TableRef, known?: () => Promise<KnownTable | undefined>): Promise<TableReader>;
  /** Views directly in `namespace`, in a stable order. Absent, like `describeView`, if the upstream has no views. */
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
  /** JSON as in appendix C of Iceberg's spec. */
  schema: { id: number; json: string };
  /** One per dialect. */
  representations: { sql: string; dialect: string }[];
  /** Resolves unqualified names in the SQL, together with `defaultNamespace`. */
  defaultCatalog?: string;
  defaultNamespace: NamespacePath;
  properties: Record<string, string>;
  /** Identifies this version; a different one means that the view has changed. */
  fingerprint: string;
}
