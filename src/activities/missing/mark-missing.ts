import type { UpstreamCatalog } from '../../connectors/spi.ts';
import type { NamespacePath } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import type { Binding, UpstreamName } from '../../generated/reconciler/internal/v1/bindings.ts';
import { formatName } from '../../names.ts';
import { shellWord } from '../../text.ts';
import type { NamespaceProof } from '../listing/namespace-proof.ts';
import { failsAlone, type Listing, listAllNames } from '../listing/walk-namespaces.ts';
import { isLastAttempt } from '../runtime/failures.ts';
import type { Heartbeat } from '../runtime/heartbeat.ts';
import { BINDINGS_PAGE, type Bindings, type Objects } from './bindings.ts';

/** Names per page of an upstream listing. */
const NAMES_PAGE = 1000;

/** How the upstream lists the names of a namespace. */
export interface NameListing extends Listing<{ name: string }> {
  /** Decides about a namespace that answers that it does not exist. */
  proof: NamespaceProof;
  /** The run has reported namespaces that may not be listed. They are skipped. */
  refused?: boolean;
  /**
   * In a dry run: lists the names of the other kind. If a view now has the name of a table (or the other way round), a run that writes would
   * already have replaced the table, so it counts neither as present nor as gone.
   */
  listOther?: Listing<{ name: string }>['list'];
  /** Whether what the listing names is something else all the same. Absent: the listing can tell. */
  isOther?(upstreamName: UpstreamName): Promise<boolean>;
}

/** Undefined if the upstream does not support these objects. */
export function listingOf(upstream: UpstreamCatalog, what: Objects): NameListing['list'] | undefined {
  if (what === 'tables') return (path, page) => upstream.listTables(path, page);
  return upstream.listViews?.bind(upstream);
}

/** How many objects may be gone at once. */
export interface MissingLimit {
  /** Share of the objects that existed before the run, or that exist now if that is unknown. Absent: all may be gone. */
  share?: number;
  /** Tables or views before the run, without those that were missing already. */
  before?: number;
  connectorName: string;
}

/**
 * Marks the objects that a complete listing of their namespace no longer has. They are counted in a first pass and marked in a second, so
 * that nothing is marked if too many are gone or a listing fails. Each pass can be repeated at any point.
 *
 * @param mark called for each page; the heartbeat follows
 * @throws CodedError FAILED_PRECONDITION if more than the share is gone
 */
export async function markMissing(
  bindings: Bindings,
  listing: NameListing,
  limit: MissingLimit,
  mark: (gone: Binding[]) => Promise<void>,
  heartbeat: Heartbeat,
): Promise<void> {
  let [bound, gone] = [0, 0];
  let first: UpstreamName | undefined;
  for await (const page of goneUpstream(bindings, listing, heartbeat)) {
    bound += page.bound;
    gone += page.gone.length;
    first ??= page.gone[0]?.upstream;
  }
  const total = limit.before || bound;
  const refuseMoreThanShare = (count: number) => {
    if (limit.share !== undefined && count / total > limit.share) {
      throw tooMany(count, total, first, listing.what, limit);
    }
  };
  if (gone === 0) return;
  refuseMoreThanShare(gone);
  let seen = 0;
  for await (const page of goneUpstream(bindings, listing, heartbeat)) {
    // The listing may have changed since the first pass, so the limit is checked again.
    seen += page.gone.length;
    refuseMoreThanShare(seen);
    if (page.gone.length > 0) await mark(page.gone);
  }
}

/**
 * Page by page, the bindings that a complete listing of their namespace does not have, and the number of bindings looked at. A refused
 * listing counts as one that has all of them if the run has reported refused namespaces already. The names of one namespace at a time are
 * held in memory.
 */
export async function* goneUpstream(
  bindings: Bindings,
  listing: NameListing,
  heartbeat: Heartbeat,
): AsyncGenerator<{ bound: number; gone: Binding[] }> {
  let pageToken = '';
  let namespace: { key: string; names?: Set<string> } | undefined;
  do {
    const page = await bindings.list({ pageSize: BINDINGS_PAGE, pageToken });
    const gone: Binding[] = [];
    for (const binding of page.bindings) {
      const { upstream } = binding;
      if (!upstream) continue;
      const key = JSON.stringify(upstream.namespacePath);
      if (namespace?.key !== key)
        namespace = { key, names: await listedNames(upstream.namespacePath, listing, heartbeat) };
      const { names } = namespace;
      if (names && (!names.has(upstream.name) || (await listing.isOther?.(upstream)))) gone.push(binding);
    }
    yield { bound: page.bindings.length, gone };
    heartbeat.beat();
    pageToken = page.nextPageToken;
  } while (pageToken);
}

/** All names in a namespace; none if the namespace itself is gone, undefined if they cannot be listed. */
async function listedNames(
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
    if (!(error instanceof CodedError) || path.length === 0) throw error;
    // The run has reported it, and so has a reason to fail.
    const isReported = (error: unknown) =>
      listing.refused && error instanceof CodedError && failsAlone(error, isLastAttempt());
    if (error.code === 'NOT_FOUND') {
      try {
        if (!(await listing.proof.isListed(path))) return new Set();
      } catch (error) {
        if (isReported(error)) return undefined;
        throw error;
      }
    }
    if (isReported(error)) return undefined;
    throw error;
  }
}

function tooMany(
  count: number,
  total: number,
  first: UpstreamName | undefined,
  what: string,
  { share = 0, connectorName }: MissingLimit,
): CodedError {
  const name = formatName([...(first?.namespacePath ?? []), first?.name ?? '']);
  return new CodedError(
    'FAILED_PRECONDITION',
    `${count} of ${total} ${what} are gone upstream, ${name} first: more than the share of ${share} that may go at once. Nothing is marked or dropped. If they were removed on purpose, run reconciler connector trigger ${shellWord(connectorName)} --allow-missing, or give the connector a larger --missing-max-share.`,
  );
}
