import type { NamespacePath } from '../connectors/spi.ts';
import { CodedError } from '../errors.ts';
import type { UpstreamTable } from '../generated/reconciler/v1/reconciliation.ts';
import type { Heart } from './heart.ts';
import { type Listing, listAllNames } from './walk-tables.ts';

const PAGE = 1000;

/** Tables or views that a connector has brought in. */
export interface BoundOnes {
  /** Those not marked yet that the connector takes, sorted by upstream namespace. */
  list(page: { pageSize: number; pageToken: string }): Promise<{
    bound: { id: string; upstream?: UpstreamTable }[];
    nextPageToken: string;
  }>;
  /** @returns how many were marked */
  mark(ids: string[]): Promise<bigint>;
}

/**
 * Marks what a complete listing of its namespace does not have any more. Nothing is marked where a listing fails, which ends it;
 * one that is refused does not where the run has told of refused namespaces already (`listing.refused`). The names of one namespace at
 * a time are held in memory.
 *
 * @returns how many were marked
 */
export async function markMissing(
  ones: BoundOnes,
  listing: Listing<{ name: string }> & { refused?: boolean },
  heart: Heart,
): Promise<number> {
  let marked = 0;
  let pageToken = '';
  let namespace: { key: string; names?: Set<string> } | undefined;
  do {
    const { bound, nextPageToken } = await ones.list({ pageSize: PAGE, pageToken });
    const gone: string[] = [];
    for (const { id, upstream } of bound) {
      if (!upstream) continue;
      const key = JSON.stringify(upstream.namespacePath);
      if (namespace?.key !== key) namespace = { key, names: await namesThere(upstream.namespacePath, listing, heart) };
      if (namespace.names && !namespace.names.has(upstream.name)) gone.push(id);
    }
    if (gone.length > 0) marked += Number(await ones.mark(gone));
    heart.beat();
    pageToken = nextPageToken;
  } while (pageToken);
  return marked;
}

/** All names of a namespace; none where the namespace itself is gone, undefined where they may not be listed. */
async function namesThere(
  path: NamespacePath,
  listing: Listing<{ name: string }> & { refused?: boolean },
  heart: Heart,
): Promise<Set<string> | undefined> {
  try {
    return await listAllNames(path, listing, PAGE, () => heart.beat());
  } catch (error) {
    if (error instanceof CodedError && error.code === 'NOT_FOUND' && path.length > 0) return new Set();
    if (error instanceof CodedError && error.code === 'PERMISSION_DENIED' && listing.refused) return undefined;
    throw error;
  }
}
