import { activityInfo } from '@temporalio/activity';
import type { TableEntry, UpstreamCatalog } from '../connectors/spi.ts';
import type { CaptureOptions, ScanHeartbeat, ScanInput, ScanPage, WalkCursor } from '../contract/activities.ts';
import { addCounts } from '../contract/job.ts';
import { addToChecksum, NO_NAMES } from '../contract/name-checksum.ts';
import type { TableRef } from '../contract/upstream-names.ts';
import type { Binding } from '../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../generated/reconciler/v1/connectors.ts';
import { upstreamNameHash } from '../upstream-name-hash.ts';
import { listFailedTables } from './listing/list-failed-tables.ts';
import { namespaceRefusal } from './listing/namespace-refusal.ts';
import { takesViews } from './listing/view-source.ts';
import { type ChildrenPages, type Walked, walkFrom, walkTables } from './listing/walk-namespaces.ts';
import { lookUpBindings } from './missing/bindings.ts';
import { isNothingGoneAfter } from './missing/nothing-gone.ts';
import { resolveCaptureOptions } from './options/capture-options.ts';
import { covers } from './options/coverage.ts';
import { destinationOf, hasMoved } from './options/destination.ts';
import { type RunFilter, runFilter } from './options/run-filter.ts';
import { recordJob } from './record-job.ts';
import { activeUnlessCounted } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { isLastAttempt, isRetryAfter } from './runtime/failures.ts';
import { type Heartbeat, withHeartbeat } from './runtime/heartbeat.ts';
import { inParallel } from './runtime/in-parallel.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { requestsMade } from './runtime/request-count.ts';

/** Tables that are listed, looked up and checked at once. */
const BATCH = 100;
/** A page ends with this many changed tables, … */
const PAGE_CHANGED_LIMIT = 400;
/** … or this time after its first one was found, so that they are ingested while the next page is scanned, … */
const PAGE_CHANGED_MS = 5_000;
/** … or when its result, which becomes part of the workflow's history, is this big. */
const PAGE_BYTES_LIMIT = 64 * 1024;
/** Fingerprints requested from the upstream at the same time, if its listing has none. */
const PARALLEL = 8;

/** What the batches of one page share. */
interface ScanWalk {
  filter: RunFilter;
  children: ChildrenPages;
}

/** Only a listing has fingerprints. */
type ScannedTable = TableRef & Pick<TableEntry, 'fingerprint'>;

/**
 * Finds the tables of one page of the upstream that have changed since they were ingested. Writes nothing but the job's record. Pages grow
 * while few tables have changed, so that unchanged tables add almost nothing to the history. The next attempt continues with what the page
 * has so far.
 */
export async function scanTables(deps: ActivityDeps, input: ScanInput): Promise<ScanPage> {
  const resume = activityInfo().heartbeatDetails as ScanHeartbeat | undefined;
  const connector = await activeUnlessCounted(deps, input.connectorId, resume?.page.cursor !== undefined);
  if (!connector) return (resume as ScanHeartbeat).page;
  const continues = ({ cursor }: ScanPage) => cursor !== undefined;
  return withHeartbeat(
    `Listing tables of ${connector.uri}`,
    { ...input, continues },
    async ({ beat, signal, isOver }) => {
      await recordJob(deps, input);
      await using upstream = await openUpstream(deps, connector);
      const walk = { filter: runFilter(connector, input.scope), children: new Map() };
      let page = resume?.page;
      let changedAt = page?.changed.length ? performance.now() : undefined;
      const isFull = ({ changed, refused }: ScanPage) =>
        isOver?.() ||
        changed.length >= PAGE_CHANGED_LIMIT ||
        (changedAt !== undefined && performance.now() - changedAt >= PAGE_CHANGED_MS) ||
        JSON.stringify([changed, refused]).length >= PAGE_BYTES_LIMIT;
      while (!page || (page.cursor && !isFull(page))) {
        signal.throwIfAborted();
        const counted = page;
        const heartbeat = { signal, beat: () => beat(counted && { counts: counted.counts, page: counted }) };
        const cursor: WalkCursor | undefined = page ? page.cursor : input.cursor;
        const next = await scanBatch(deps, { ...input, cursor }, connector, upstream, walk, heartbeat);
        page = page ? joined(page, next) : next;
        if (page.changed.length > 0) changedAt ??= performance.now();
        beat({ counts: page.counts, page } satisfies ScanHeartbeat);
      }
      return {
        ...page,
        counts: { ...page.counts, upstreamRequests: requestsMade(upstream.usage) },
        ...(takesViews(upstream, connector, input) ? { hasViews: true } : {}),
        ...(!page.cursor && (await isNothingGoneAfter(deps, connector, input, 'tables', page))
          ? { nothingGone: true }
          : {}),
      };
    },
  );
}

async function scanBatch(
  deps: ActivityDeps,
  input: ScanInput,
  connector: Connector,
  upstream: UpstreamCatalog,
  walk: ScanWalk,
  heartbeat: Heartbeat,
): Promise<ScanPage> {
  const listed = await listBatch(deps, upstream, connector, input, walk, heartbeat);
  const { refused, namespacesLeftOut, otherKinds } = listed;
  const capture = resolveCaptureOptions(connector, input);
  const named = listed.items.filter(walk.filter.includes);
  const isCaptureOnly = capture.mode === 'CAPTURE_ONLY';
  const allBound = input.full && !isCaptureOnly ? undefined : await lookUpBindings(deps, connector, 'tables', named);
  // Files are captured only of tables that the catalog has.
  const isTaken = (_: unknown, i: number) => !isCaptureOnly || Boolean(allBound?.[i]?.objectId);
  const [taken, bound] = [named.filter(isTaken), allBound?.filter(isTaken)];
  // A retry reads what failed, changed or not: an old snapshot may be readable by now.
  const all = input.full || input.retryOf;
  const changed =
    bound && !all ? await changedTables({ upstream, connector, capture, heartbeat }, taken, bound) : taken;
  return {
    cursor: listed.cursor,
    counts: {
      tablesScanned: taken.length,
      tablesUnchanged: taken.length - changed.length,
      tablesFiltered: listed.items.length - taken.length + otherKinds,
      ...(namespacesLeftOut > 0 ? { namespacesFiltered: namespacesLeftOut } : {}),
    },
    changed: changed.map(({ namespace, name }) => ({ namespace, name })),
    listed: addToChecksum(NO_NAMES, ...taken.map(({ namespace, name }) => upstreamNameHash(namespace, name))),
    ...(refused.length > 0 ? { refused: refused.map(namespaceRefusal) } : {}),
  };
}

/** A page with the batch after it. */
function joined(page: ScanPage, next: ScanPage): ScanPage {
  const refused = [...(page.refused ?? []), ...(next.refused ?? [])];
  const counts = { ...page.counts };
  addCounts(counts, next.counts);
  return {
    cursor: next.cursor,
    counts,
    changed: [...page.changed, ...next.changed],
    listed: addToChecksum(page.listed, next.listed),
    ...(refused.length > 0 ? { refused } : {}),
  };
}

async function listBatch(
  deps: ActivityDeps,
  upstream: UpstreamCatalog,
  connector: Connector,
  { retryOf, cursor }: ScanInput,
  walk: ScanWalk,
  heartbeat: Heartbeat,
): Promise<Walked<ScannedTable>> {
  if (retryOf) return listFailedTables(deps, retryOf, 'tables', cursor);
  const root = connector.source?.namespacePath ?? [];
  const only = connector.source?.table;
  if (only) {
    const items = [{ namespace: root, name: only }];
    return { items, refused: [], namespacesLeftOut: 0, otherKinds: 0, cursor: undefined };
  }
  return walkTables(upstream, cursor ?? walkFrom(root), {
    ...walk,
    limit: BATCH,
    onProgress: () => heartbeat.beat(),
    isLastAttempt: isLastAttempt(),
  });
}

/** The tables that have changed since they were ingested, or were not ingested yet. */
async function changedTables(
  {
    upstream,
    connector,
    capture,
    heartbeat,
  }: { upstream: UpstreamCatalog; connector: Connector; capture: CaptureOptions; heartbeat: Heartbeat },
  tables: ScannedTable[],
  bound: Binding[],
): Promise<ScannedTable[]> {
  if (capture.mode === 'CAPTURE_ONLY') {
    // Without a fingerprint, the table was not ingested completely, and its coverage is not valid yet.
    return tables.filter((_, i) => !bound[i]?.fingerprint || !covers(bound[i].coverage, capture));
  }
  const changed: boolean[] = [];
  await inParallel(tables, PARALLEL, async (table, i) => {
    const before = bound[i];
    changed[i] =
      !before?.objectId ||
      before.missing ||
      !before.fingerprint ||
      !covers(before.coverage, capture) ||
      hasMoved(before, destinationOf(connector, table)) ||
      // A table whose fingerprint cannot be read is ingested, to fail by itself with its own message and retries.
      (table.fingerprint ?? (await upstream.fingerprint(table, before.fingerprint).catch(rethrowIfRetryAfter))) !==
        before.fingerprint;
    heartbeat.beat();
  });
  return tables.filter((_, i) => changed[i]);
}

function rethrowIfRetryAfter(error: unknown): undefined {
  if (isRetryAfter(error)) throw error;
}
