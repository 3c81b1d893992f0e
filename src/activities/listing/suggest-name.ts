import type { PageRequest, UpstreamCatalog } from '../../connectors/spi.ts';
import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import { formatName } from '../../names.ts';
import { tableText } from '../options/destination.ts';

/** Names that a message lists. */
const MAX_NAMES = 10;
/** Pages that are searched for the name. */
const MAX_PAGES = 20;
const PAGE = 500;

/**
 * States that a namespace does not exist, and which ones its parent has. Undefined if it exists, or if that cannot be determined.
 */
export async function absentNamespace(upstream: UpstreamCatalog, path: NamespacePath): Promise<string | undefined> {
  for (let depth = 0; depth < path.length; depth++) {
    const parent = path.slice(0, depth);
    const list = async (page: PageRequest) => {
      const { items, nextToken } = await upstream.listNamespaces(parent, page);
      return { items: items.map((below) => below.at(-1) ?? ''), nextToken };
    };
    const others = await namesBeside(list, path[depth] ?? '');
    if (others === undefined) continue;
    const where = depth === 0 ? 'the upstream' : `namespace ${formatName([...parent])}`;
    return `Namespace ${formatName(path.slice(0, depth + 1))} does not exist: ${where} has ${others || 'no namespaces'}.`;
  }
  return undefined;
}

/** States that a table does not exist, and which ones its namespace has; or that there is no such namespace. */
export async function absentTable(upstream: UpstreamCatalog, table: TableRef): Promise<string | undefined> {
  const namespace = await absentNamespace(upstream, table.namespace);
  if (namespace !== undefined) return namespace;
  const list = async (page: PageRequest) => {
    const { items, nextToken } = await upstream.listTables(table.namespace, page);
    return { items: items.map(({ name }) => name), nextToken };
  };
  const others = await namesBeside(list, table.name);
  if (others === undefined) return undefined;
  const where = formatName([...table.namespace]);
  return `Table ${tableText(table)} does not exist: namespace ${where} has ${others || 'no tables'}.`;
}

/** The first names of a listing, as text; undefined if it has the name, or more pages than are searched. */
async function namesBeside(
  list: (page: PageRequest) => Promise<{ items: string[]; nextToken?: string }>,
  name: string,
): Promise<string | undefined> {
  const names: string[] = [];
  let token: string | undefined;
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const page = await list({ size: PAGE, token });
    if (page.items.includes(name)) return undefined;
    names.push(...page.items);
    token = page.nextToken;
    if (token === undefined) return someOf(names);
  }
  return undefined;
}

/** `a, b, c and 12 more`; empty for none. */
export function someOf(names: readonly string[]): string {
  const listed = names.slice(0, MAX_NAMES).map((name) => formatName([name]).slice(0, 100));
  const more = names.length - listed.length;
  return more > 0 ? `${listed.join(', ')} and ${more} more` : listed.join(', ');
}
