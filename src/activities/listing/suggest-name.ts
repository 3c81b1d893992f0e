import type { PageRequest, UpstreamCatalog } from '../../connectors/spi.ts';
import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import { formatName } from '../../names.ts';
import { tableText } from '../options/destination.ts';

/** Names that are shown of those that are there. */
const SHOWN = 10;
/** Looked through for the name that was asked for. */
const MAX_PAGES = 20;
const PAGE = 500;

/**
 * Says that a namespace is not there, and which ones are beside it. Undefined if it is there, or if that cannot be told.
 */
export async function absentNamespace(source: UpstreamCatalog, path: NamespacePath): Promise<string | undefined> {
  for (let depth = 0; depth < path.length; depth++) {
    const parent = path.slice(0, depth);
    const list = async (page: PageRequest) => {
      const { items, nextToken } = await source.listNamespaces(parent, page);
      return { items: items.map((below) => below.at(-1) ?? ''), nextToken };
    };
    const others = await namesBeside(list, path[depth] ?? '');
    if (others === undefined) continue;
    const where = depth === 0 ? 'the upstream' : `namespace ${formatName([...parent])}`;
    return `Namespace ${formatName(path.slice(0, depth + 1))} is not there: ${where} has ${others || 'no namespace at all'}.`;
  }
  return undefined;
}

/** Says that a table is not there, and which ones its namespace has; or that there is no such namespace. */
export async function absentTable(source: UpstreamCatalog, table: TableRef): Promise<string | undefined> {
  const namespace = await absentNamespace(source, table.namespace);
  if (namespace !== undefined) return namespace;
  const list = async (page: PageRequest) => {
    const { items, nextToken } = await source.listTables(table.namespace, page);
    return { items: items.map(({ name }) => name), nextToken };
  };
  const others = await namesBeside(list, table.name);
  if (others === undefined) return undefined;
  const where = formatName([...table.namespace]);
  return `Table ${tableText(table)} is not there: namespace ${where} has ${others || 'no table at all'}.`;
}

/** The first names of a listing, as text; undefined if it has the wanted one, or more pages than are looked through. */
async function namesBeside(
  list: (page: PageRequest) => Promise<{ items: string[]; nextToken?: string }>,
  wanted: string,
): Promise<string | undefined> {
  const names: string[] = [];
  let token: string | undefined;
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const page = await list({ size: PAGE, token });
    if (page.items.includes(wanted)) return undefined;
    names.push(...page.items);
    token = page.nextToken;
    if (token === undefined) return someOf(names);
  }
  return undefined;
}

/** `a, b, c and 12 more`; empty for none. */
export function someOf(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN).map((name) => formatName([name]).slice(0, 100));
  const more = names.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}
