import type { Page, PageRequest, TableEntry, UpstreamCatalog, ViewRef } from '../../connectors/spi.ts';
import type { PagePlace, WalkCursor } from '../../contract/activities.ts';
import type { NamespacePath } from '../../contract/upstream-names.ts';
import { CodedError, type CodeName } from '../../errors.ts';
import type { RunFilter } from '../options/run-filter.ts';
import { NamespaceProof } from './namespace-proof.ts';
import { nextPlace, shortName } from './next-place.ts';

/** Namespaces per request. */
const NAMESPACE_PAGE = 500;
/** Levels that the catalog accepts. An upstream with more probably has no end. */
const MAX_LEVELS = 100;

/** A walk over `root` and everything below it. */
export function walkFrom(root: NamespacePath): WalkCursor {
  return { namespace: { path: root }, parents: [] };
}

/** A namespace whose tables, views or children cannot be listed, although its parent lists it. */
export interface RefusedNamespace {
  path: NamespacePath;
  error: CodedError;
}

/** One batch of a walk. */
export interface Walked<T> {
  items: T[];
  /** Their contents are unknown: they count neither as present nor as gone. */
  refused: RefusedNamespace[];
  /** Namespaces that the filter leaves out with everything below them. Nothing was requested of them. */
  namespacesLeftOut: number;
  /** Objects of kinds that are not read. */
  otherKinds: number;
  /** Where to continue; absent if the walk is complete. */
  cursor?: WalkCursor;
}

/** Pages of children, by parent and token, of the parents where a walk stands. */
export type ChildrenPages = Map<string, Page<NamespacePath>>;

export interface WalkOptions {
  /** What it takes nothing of is not requested. */
  filter: Pick<RunFilter, 'mayTakeIn' | 'mayTakeBelow'>;
  /** The batches of one walk share it, so that none of its pages is requested again in each batch. */
  children: ChildrenPages;
  /** The walk ends with this many items. */
  limit: number;
  /** Called after each request. */
  onProgress: () => void;
  /** Whether to return what has been found so far. */
  isOver?: () => boolean;
  /** Whether the walk is not attempted again: then a namespace with a transient error is refused, if the others can be listed. */
  isLastAttempt: boolean;
}

/** They become part of an activity's result. */
const MAX_REFUSED = 20;
/** Requests of one batch: progress is stored only when the batch ends. */
const MAX_REQUESTS = 1_000;

/**
 * Tables of the upstream, depth first, starting at the cursor: a namespace's own tables before those of its children. Ends with `limit`
 * tables, after some hundred requests, or when the walk is complete. A table that the upstream lists twice among these is returned once. A
 * namespace below the walk's root that cannot be listed, or was dropped meanwhile, does not end the walk. The tables of a visited namespace
 * are not filtered.
 *
 * @throws CodedError DATA_LOSS if the upstream's pages repeat endlessly
 */
export async function walkTables(
  upstream: UpstreamCatalog,
  start: WalkCursor,
  options: WalkOptions,
): Promise<Walked<TableEntry>> {
  const list = (path: NamespacePath, page: PageRequest) => upstream.listTables(path, page);
  return walk(upstream, { what: 'tables', list }, start, options);
}

/** Views of the upstream, in the same way. */
export async function walkViews(
  upstream: UpstreamCatalog & Required<Pick<UpstreamCatalog, 'listViews'>>,
  start: WalkCursor,
  options: WalkOptions,
): Promise<Walked<ViewRef>> {
  const list = (path: NamespacePath, page: PageRequest) => upstream.listViews(path, page);
  return walk(upstream, { what: 'views', list }, start, options);
}

/**
 * All names in the listing of one namespace.
 *
 * @throws CodedError DATA_LOSS if the upstream's pages repeat endlessly
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

/** A paged request about one namespace. */
export interface Listing<T> {
  /** For people: `tables`. */
  what: string;
  list(path: NamespacePath, page: PageRequest): Promise<Page<T>>;
}

async function walk<T extends { namespace: NamespacePath; name: string }>(
  upstream: UpstreamCatalog,
  { what, list }: Listing<T>,
  start: WalkCursor,
  { filter, children: pages, limit, onProgress, isOver, isLastAttempt }: WalkOptions,
): Promise<Walked<T>> {
  const cursor: WalkCursor = structuredClone(start);
  const items = new Map<string, T>();
  const refused: RefusedNamespace[] = [];
  let requests = 0;
  let namespacesLeftOut = 0;
  let otherKinds = 0;
  const walked = () => ({ items: [...items.values()], refused, namespacesLeftOut, otherKinds });
  const isFull = () => refused.length >= MAX_REFUSED || requests >= MAX_REQUESTS || isOver?.();
  const proof = new NamespaceProof(upstream, onProgress);
  /** An empty page if a namespace below the root cannot be listed, or is gone. */
  const orNothing =
    <U>(path: NamespacePath, isRoot: boolean) =>
    async (error: unknown): Promise<Page<U>> => {
      if (isRoot || !(error instanceof CodedError) || !failsAlone(error, isLastAttempt)) throw error;
      // An upstream that cannot list the parent is away as a whole. What may not be read is there.
      const isThere =
        error.code === 'PERMISSION_DENIED' ||
        (await proof.isListed(path).catch(() => {
          throw error;
        }));
      if (isThere && refused.at(-1)?.path !== path) refused.push({ path, error });
      return { items: [] };
    };
  const takes = (path: NamespacePath) => filter.mayTakeIn(path) || filter.mayTakeBelow(path);
  if (cursor.namespace && cursor.parents.length === 0 && !takes(cursor.namespace.path)) {
    return { ...walked(), namespacesLeftOut: 1 };
  }

  for (;;) {
    const at = cursor.namespace;
    if (at) {
      if (filter.mayTakeIn(at.path)) {
        if (items.size >= limit || isFull()) return { ...walked(), cursor };
        requests++;
        const page = await list(at.path, { size: limit - items.size, token: at.token }).catch(
          orNothing<T>(at.path, cursor.parents.length === 0),
        );
        onProgress();
        otherKinds += page.otherKinds ?? 0;
        for (const item of page.items) items.set(JSON.stringify([item.namespace, item.name]), item);
        const next = nextPlace(at, page, what, at.path);
        cursor.namespace = next && { path: at.path, ...next };
        if (next) continue;
      }
      cursor.namespace = undefined;
      // Those of the root are counted, so that a run that finds nothing can name the reason.
      if (cursor.parents.length === 0 || filter.mayTakeBelow(at.path)) cursor.parents.push({ path: at.path, next: 0 });
    }
    const parent = cursor.parents.at(-1);
    if (!parent) return walked();
    const key = JSON.stringify([parent.path, parent.token]);
    let children = pages.get(key);
    if (!children) {
      // A namespace whose tables were refused is finished in the same batch, so that it is reported once.
      if (isFull() && refused.at(-1)?.path !== parent.path) return { ...walked(), cursor };
      requests++;
      const request = { size: NAMESPACE_PAGE, token: parent.token };
      children = await upstream
        .listNamespaces(parent.path, request)
        .catch(orNothing<NamespacePath>(parent.path, cursor.parents.length === 1));
      onProgress();
      pages.set(key, children);
    }
    const child = children.items[parent.next];
    if (child) {
      parent.next += 1;
      if (!isChild(child, parent.path)) continue;
      if (takes(child)) cursor.namespace = { path: child };
      else namespacesLeftOut += 1;
      continue;
    }
    cursor.parents.pop();
    pages.delete(key);
    const next = nextPlace(parent, children, 'namespaces', parent.path);
    if (next) cursor.parents.push({ path: parent.path, next: 0, ...next });
  }
}

/** Codes of errors that concern one namespace only, if its parent can be listed. */
const OWN_CODES: ReadonlySet<CodeName> = new Set([
  ...([
    'PERMISSION_DENIED',
    'NOT_FOUND',
    'INVALID_ARGUMENT',
    'FAILED_PRECONDITION',
    'UNIMPLEMENTED',
    'DATA_LOSS',
  ] as const),
]);
const TRANSIENT_CODES: ReadonlySet<CodeName> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED']);

/** Whether an error need not end the walk: others are retried first. */
export function failsAlone({ code }: CodedError, isLastAttempt: boolean): boolean {
  return OWN_CODES.has(code) || (isLastAttempt && TRANSIENT_CODES.has(code));
}

/** Servers without nesting return the namespaces of the root for every parent: these are visited as children of the root. */
function isChild(path: NamespacePath, parent: NamespacePath): boolean {
  if (path.length !== parent.length + 1 || parent.some((segment, i) => segment !== path[i])) return false;
  if (path.length <= MAX_LEVELS) return true;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `Namespace ${shortName(path)} is more than ${MAX_LEVELS} levels deep: the upstream's namespaces have no end, or too many levels.`,
  );
}
