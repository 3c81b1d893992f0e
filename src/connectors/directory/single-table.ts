import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import type { KnownTable, TableFormat, TableReader } from '../../formats/table-reader.ts';
import type { Usage } from '../../storage/usage.ts';
import type { Page, TableEntry, UpstreamCatalog } from '../spi.ts';
import { folderFingerprint, openFolder, type TableFolder } from './table-folder.ts';

/** The only table of a connector whose URI is the table's folder. It is in no namespace, so that the connector's destination needs one. */
export class SingleTable implements UpstreamCatalog {
  readonly usage: Usage;
  readonly #format: TableFormat;
  readonly #folder: Omit<TableFolder, 'table'>;
  readonly #name: string;

  constructor(format: TableFormat, folder: Omit<TableFolder, 'table'>, usage: Usage) {
    this.usage = usage;
    this.#format = format;
    this.#folder = folder;
    this.#name = folder.folder.slice(folder.folder.lastIndexOf('/') + 1);
  }

  async listNamespaces(parent: NamespacePath): Promise<Page<NamespacePath>> {
    this.#requireRoot(parent);
    return { items: [] };
  }

  async listTables(namespace: NamespacePath): Promise<Page<TableEntry>> {
    this.#requireRoot(namespace);
    return { items: [{ namespace, name: this.#name, format: this.#format }] };
  }

  async fingerprint(table: TableRef, known?: string): Promise<string> {
    return folderFingerprint(this.#format, this.#require(table), known);
  }

  async openTable(table: TableRef, known?: () => Promise<KnownTable | undefined>): Promise<TableReader> {
    return openFolder(this.#format, this.#require(table), known);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #requireRoot(namespace: NamespacePath): void {
    if (namespace.length > 0) throw this.#notFound(`namespace ${namespace.join('.')}`);
  }

  #require(table: TableRef): TableFolder {
    const { namespace, name } = table;
    if (namespace.length > 0 || name !== this.#name) throw this.#notFound(`table ${[...namespace, name].join('.')}`);
    return { ...this.#folder, table };
  }

  #notFound(what: string): CodedError {
    const { folder } = this.#folder;
    return new CodedError('NOT_FOUND', `there is no ${what}: the connector's URI is a single table, ${folder}`);
  }
}
