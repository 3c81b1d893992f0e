import type { UpstreamCatalog } from '../../connectors/spi.ts';
import type { NamespacePath } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import type { UpstreamTable } from '../../generated/reconciler/internal/v1/bindings.ts';
import { formatName, shellWord } from '../../names.ts';
import { type Listing, listAllNames } from '../listing/walk-namespaces.ts';
import type { Heartbeat } from '../runtime/heartbeat.ts';
import { type Binding, type Bindings, BOUND_PAGE } from './bindings.ts';

/** Names asked of the upstream at once. */
const NAMES_PAGE = 1000;

/** How the upstream lists the names of a namespace. */
export interface NameListing extends Listing<{ name: string }> {
  /** The run has told of namespaces that may not be listed: they are passed over. */
  refused?: boolean;
  /**
   * Of a dry run: lists the names of the other kind. A table whose name a view has by now (or the other way round) has given way to it in
   * a run that writes, and is neither there nor gone.
   */
  listOther?: Listing<{ name: string }>['list'];
}

/** Undefined where the upstream has none of these. */
export function listingOf(source: UpstreamCatalog, what: 'tables' | 'views'): NameListing['list'] | undefined {
  if (what === 'tables') return (path, page) => source.listTables(path, page);
  return source.listViews?.bind(source);
}

/** How much may go at once. */
export interface MostGone {
  /** Of those that there were before the run, or are now where that is not known. Absent: all may. */
  share?: number;
  /** Tables or views before the run, those that were missing already left out. */
  before?: number;
  connectorName: string;
}

/**
 * Marks what a complete listing of its namespace does not have any more: first all of it is counted, then it is marked, so that nothing is
 * where too much is gone. Nothing is marked where a listing fails, which ends it. Each pass can be run again at any point.
 *
 * @param mark gives how many were marked
 * @returns how many were marked
 * @throws CodedError FAILED_PRECONDITION where more than the share is gone
 */
export async function markMissing(
  ones: Bindings,
  listing: NameListing,
  most: MostGone,
  mark: (gone: Binding[]) => Promise<number>,
  heartbeat: Heartbeat,
): Promise<number> {
  let [bound, gone] = [0, 0];
  let first: UpstreamTable | undefined;
  for await (const page of goneUpstream(ones, listing, heartbeat)) {
    bound += page.bound;
    gone += page.gone.length;
    first ??= page.gone[0]?.upstream;
  }
  const of = most.before || bound;
  const refuseMoreThanShare = (count: number) => {
    if (most.share !== undefined && count / of > most.share) throw tooMany(count, of, first, listing.what, most);
  };
  if (gone === 0) return 0;
  refuseMoreThanShare(gone);
  let [seen, marked] = [0, 0];
  for await (const page of goneUpstream(ones, listing, heartbeat)) {
    // The listing is another one than was counted: it is trusted no further.
    seen += page.gone.length;
    refuseMoreThanShare(seen);
    if (page.gone.length > 0) marked += await mark(page.gone);
  }
  return marked;
}

/**
 * Page by page, those that a complete listing of their namespace does not have, and of how many. A listing that is refused counts as one
 * that has all, where the run has told of refused namespaces already. The names of one namespace at a time are held in memory.
 */
export async function* goneUpstream(
  ones: Bindings,
  listing: NameListing,
  heartbeat: Heartbeat,
): AsyncGenerator<{ bound: number; gone: Binding[] }> {
  let pageToken = '';
  let namespace: { key: string; names?: Set<string> } | undefined;
  do {
    const { bound, nextPageToken } = await ones.list({ pageSize: BOUND_PAGE, pageToken });
    const gone: Binding[] = [];
    for (const one of bound) {
      const { upstream } = one;
      if (!upstream) continue;
      const key = JSON.stringify(upstream.namespacePath);
      if (namespace?.key !== key)
        namespace = { key, names: await namesThere(upstream.namespacePath, listing, heartbeat) };
      if (namespace.names && !namespace.names.has(upstream.name)) gone.push(one);
    }
    yield { bound: bound.length, gone };
    heartbeat.beat();
    pageToken = nextPageToken;
  } while (pageToken);
}

/** All names of a namespace; none where the namespace itself is gone, undefined where they may not be listed. */
async function namesThere(
  path: NamespacePath,
  listing: NameListing,
  heartbeat: Heartbeat,
): Promise<Set<string> | undefined> {
  try {
    const names = await listAllNames(path, listing, NAMES_PAGE, () => heartbeat.beat());
    if (!listing.listOther) return names;
    const other = { what: listing.what, list: listing.listOther };
    for (const name of await listAllNames(path, other, NAMES_PAGE, () => heartbeat.beat())) names.add(name);
    return names;
  } catch (error) {
    if (error instanceof CodedError && error.code === 'NOT_FOUND' && path.length > 0) return new Set();
    if (error instanceof CodedError && error.code === 'PERMISSION_DENIED' && listing.refused) return undefined;
    throw error;
  }
}

function tooMany(
  count: number,
  of: number,
  first: UpstreamTable | undefined,
  what: string,
  { share = 0, connectorName }: MostGone,
): CodedError {
  const name = formatName([...(first?.namespacePath ?? []), first?.name ?? '']);
  return new CodedError(
    'FAILED_PRECONDITION',
    `${count} of ${of} ${what} are gone upstream, ${name} first: more than the share of ${share} that may go at once. Nothing is marked or dropped. If they are gone on purpose: reconciler connector trigger ${shellWord(connectorName)} --allow-missing, or give the connector a larger --missing-max-share.`,
  );
}
