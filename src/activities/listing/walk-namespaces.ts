import type { Page, PageRequest, TableEntry, UpstreamCatalog, ViewRef } from '../../connectors/spi.ts';
import type { PagePlace, WalkCursor } from '../../contract/activities.ts';
import type { NamespacePath } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { formatName } from '../../names.ts';
import { followPages } from './page-cycle.ts';

/** Namespaces asked for at once. */
const NAMESPACE_PAGE = 500;
/** Levels that the catalog takes. An upstream that goes deeper has no end. */
const MAX_LEVELS = 100;

/** A walk over `root` and all below it. */
export function walkFrom(root: NamespacePath): WalkCursor {
  return { namespace: { path: root }, parents: [] };
}

/** A namespace that the upstream does not let its tables, views or children be listed. */
export interface RefusedNamespace {
  path: NamespacePath;
  error: CodedError;
}

/** What a stretch of a walk gives. */
export interface Walked<T> {
  items: T[];
  /** What lies in them is unknown: it is neither there nor gone. */
  refused: RefusedNamespace[];
  /** Where to go on; absent where the walk is complete. */
  cursor?: WalkCursor;
}

/** They go into an activity's result. */
const MAX_REFUSED = 20;
/** Namespaces that one stretch visits: what has been visited is known only once it ends. */
const MAX_VISITED = 500;

/**
 * Tables of the upstream, depth first, from the cursor on: a namespace's own tables before those of its children. Ends
 * when `limit` tables were given, some hundred namespaces visited, or the walk is complete. A table that the upstream lists twice among these is given once. A
 * namespace below the walk's root that may not be listed does not end it, nor does one that was dropped meanwhile.
 *
 * @throws CodedError DATA_LOSS where the upstream's pages repeat for ever
 */
export async function walkTables(
  connector: UpstreamCatalog,
  start: WalkCursor,
  limit: number,
  onProgress: () => void,
): Promise<Walked<TableEntry>> {
  const list = (path: NamespacePath, page: PageRequest) => connector.listTables(path, page);
  return walk(connector, { what: 'tables', list }, start, limit, onProgress);
}

/** Its views in the same way. */
export async function walkViews(
  connector: UpstreamCatalog & Required<Pick<UpstreamCatalog, 'listViews'>>,
  start: WalkCursor,
  limit: number,
  onProgress: () => void,
): Promise<Walked<ViewRef>> {
  const list = (path: NamespacePath, page: PageRequest) => connector.listViews(path, page);
  return walk(connector, { what: 'views', list }, start, limit, onProgress);
}

/**
 * All names that a listing of one namespace gives.
 *
 * @throws CodedError DATA_LOSS where the upstream's pages repeat for ever
 */
export async function listAllNames(
  path: NamespacePath,
  { what, list }: Listing<{ name: string }>,
  pageSize: number,
  onProgress: () => void,
): Promise<Set<string>> {
  const names = new Set<string>();
  let place: PagePlace | undefined = {};
  while (place) {
    const page: Page<{ name: string }> = await list(path, { size: pageSize, token: place.token });
    onProgress();
    for (const { name } of page.items) names.add(name);
    place = nextPlace(place, page, what, path);
  }
  return names;
}

/** A paged question about one namespace. */
export interface Listing<T> {
  /** For people: `tables`. */
  what: string;
  list(path: NamespacePath, page: PageRequest): Promise<Page<T>>;
}

async function walk<T extends { namespace: NamespacePath; name: string }>(
  connector: UpstreamCatalog,
  { what, list }: Listing<T>,
  start: WalkCursor,
  limit: number,
  onProgress: () => void,
): Promise<Walked<T>> {
  const cursor: WalkCursor = structuredClone(start);
  const items = new Map<string, T>();
  const refused: RefusedNamespace[] = [];
  let visited = 0;
  const walked = () => ({ items: [...items.values()], refused });
  /** An empty page where the namespace below the root refuses, or is gone. */
  const orNothing =
    <U>(path: NamespacePath, isRoot: boolean) =>
    (error: unknown): Page<U> => {
      const code = error instanceof CodedError ? error.code : undefined;
      if (isRoot || (code !== 'PERMISSION_DENIED' && code !== 'NOT_FOUND')) throw error;
      if (code === 'PERMISSION_DENIED' && refused.at(-1)?.path !== path)
        refused.push({ path, error: error as CodedError });
      return { items: [] };
    };
  let children: { key: string; items: NamespacePath[]; nextToken?: string } | undefined;

  for (;;) {
    if (cursor.namespace) {
      if (items.size >= limit || refused.length >= MAX_REFUSED || visited >= MAX_VISITED)
        return { ...walked(), cursor };
      visited++;
      const { path, token } = cursor.namespace;
      const page = await list(path, { size: limit - items.size, token }).catch(
        orNothing<T>(path, cursor.parents.length === 0),
      );
      onProgress();
      for (const item of page.items) items.set(JSON.stringify([item.namespace, item.name]), item);
      const next = nextPlace(cursor.namespace, page, what, path);
      cursor.namespace = next && { path, ...next };
      if (!next) cursor.parents.push({ path, next: 0 });
      continue;
    }
    const parent = cursor.parents.at(-1);
    if (!parent) return walked();
    const key = JSON.stringify([parent.path, parent.token]);
    if (children?.key !== key) {
      const asked = { size: NAMESPACE_PAGE, token: parent.token };
      const page = await connector
        .listNamespaces(parent.path, asked)
        .catch(orNothing<NamespacePath>(parent.path, cursor.parents.length === 1));
      onProgress();
      children = { key, ...page };
    }
    const child = children.items[parent.next];
    if (child) {
      parent.next += 1;
      if (isChild(child, parent.path)) cursor.namespace = { path: child };
      continue;
    }
    cursor.parents.pop();
    const next = nextPlace(parent, children, 'namespaces', parent.path);
    if (next) cursor.parents.push({ path: parent.path, next: 0, ...next });
  }
}

/** Servers that know no nesting answer the namespaces at the root, whatever the parent: they are visited as children of the root. */
function isChild(path: NamespacePath, parent: NamespacePath): boolean {
  if (path.length !== parent.length + 1 || parent.some((segment, i) => segment !== path[i])) return false;
  if (path.length <= MAX_LEVELS) return true;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `Namespace ${shown(path)} is more than ${MAX_LEVELS} levels deep: the upstream's namespaces have no end, or too many levels.`,
  );
}

/** Where the listing goes on; undefined after its last page. */
function nextPlace(place: PagePlace, page: Page<unknown>, what: string, path: NamespacePath): PagePlace | undefined {
  const token = page.nextToken;
  if (token === undefined) return undefined;
  const cycle = followPages(place.cycle, token);
  if (cycle && token !== place.token) return { token, cycle };
  const where = path.length > 0 ? `namespace ${shown(path)}` : 'the root namespace';
  throw new CodedError(
    'DATA_LOSS',
    `The upstream repeats its pages when it lists the ${what} of ${where}: it gave a page token for the second time, so that the list would never end. Nothing more can be read there until that is mended upstream.`,
  );
}

function shown(path: NamespacePath): string {
  const text = formatName(path);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
