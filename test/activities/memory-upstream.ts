import type {
  Page,
  PageRequest,
  TableEntry,
  UpstreamCatalog,
  ViewDescriptor,
  ViewRef,
} from '../../src/connectors/spi.ts';
import type { NamespacePath, TableRef } from '../../src/contract/upstream-names.ts';
import { CodedError } from '../../src/errors.ts';
import type { TableReader } from '../../src/formats/table-reader.ts';

/** An upstream in memory, for faults and sizes that real ones do not show. Its tables cannot be opened. */
export class MemoryUpstream implements UpstreamCatalog {
  readonly usage = { requests: 0, bytes: 0 };
  readonly namespaces: NamespacePath[] = [];
  readonly tables: TableRef[] = [];
  /** Version by dotted name. */
  readonly views = new Map<string, number>();
  /** Dotted names of the views that `describeView` was called for. */
  readonly described: string[] = [];
  /** Errors of `describeView`, by dotted name. */
  readonly failures = new Map<string, () => Error | undefined>();

  async listNamespaces(parent: NamespacePath, page: PageRequest): Promise<Page<NamespacePath>> {
    const below = this.namespaces.filter((path) => path.length === parent.length + 1 && startsWith(path, parent));
    return cut(below, page);
  }

  async listTables(namespace: NamespacePath, page: PageRequest): Promise<Page<TableEntry>> {
    const tables = this.tables.filter((table) => same(table.namespace, namespace));
    return cut(
      tables.map((table) => ({ ...table, format: 'ICEBERG' as const })),
      page,
    );
  }

  async listViews(namespace: NamespacePath, page: PageRequest): Promise<Page<ViewRef>> {
    const names = [...this.views.keys()].map((name) => name.split('.'));
    const there = names.filter((name) => same(name.slice(0, -1), namespace));
    return cut(
      there.map((name) => ({ namespace, name: name.at(-1) as string })),
      page,
    );
  }

  async describeView({ namespace, name }: ViewRef): Promise<ViewDescriptor> {
    const dotted = [...namespace, name].join('.');
    this.described.push(dotted);
    const failure = this.failures.get(dotted)?.();
    if (failure) throw failure;
    const versionId = this.views.get(dotted);
    if (versionId === undefined) throw new CodedError('NOT_FOUND', `there is no view ${dotted}`);
    const field = { id: 1, name: 'id', required: true, type: 'long' };
    return {
      uuid: `uuid of ${dotted}`,
      versionId,
      schema: { id: 0, json: JSON.stringify({ type: 'struct', 'schema-id': 0, fields: [field] }) },
      representations: [{ sql: `SELECT ${versionId}`, dialect: 'spark' }],
      defaultNamespace: namespace,
      properties: {},
      fingerprint: `${dotted}@${versionId}`,
    };
  }

  async fingerprint(table: TableRef): Promise<string> {
    if (this.tables.some((one) => one.name === table.name && same(one.namespace, table.namespace))) return 'f';
    throw new CodedError('NOT_FOUND', `there is no table ${table.name}`);
  }

  async openTable(_table: TableRef): Promise<TableReader> {
    throw new CodedError('UNIMPLEMENTED', 'tables in memory cannot be opened');
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function cut<T>(items: T[], { size, token }: PageRequest): Page<T> {
  const from = Number(token ?? 0);
  const page = { items: items.slice(from, from + size) };
  return from + size < items.length ? { ...page, nextToken: String(from + size) } : page;
}

const startsWith = (path: NamespacePath, parent: NamespacePath) => parent.every((segment, i) => path[i] === segment);
const same = (a: NamespacePath, b: NamespacePath) => a.length === b.length && startsWith(a, b);
