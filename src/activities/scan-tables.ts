import type { TableEntry, UpstreamCatalog } from '../connectors/spi.ts';
import type { CaptureOptions, ScanInput, ScanPage } from '../contract/activities.ts';
import { addToChecksum, NO_NAMES } from '../contract/name-checksum.ts';
import { type Binding, ObjectKind } from '../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../generated/reconciler/v1/connectors.ts';
import { nameFilter } from '../name-patterns.ts';
import { upstreamNameHash } from '../upstream-name-hash.ts';
import { listFailedTables } from './listing/list-failed-tables.ts';
import { namespaceRefusal } from './listing/namespace-refusal.ts';
import { takesViews } from './listing/view-source.ts';
import type { Walked } from './listing/walk-namespaces.ts';
import { walkFrom, walkTables } from './listing/walk-namespaces.ts';
import { resolveCaptureOptions } from './options/capture-options.ts';
import { covers } from './options/coverage.ts';
import { destinationOf, hasMoved, scopeTakes } from './options/destination.ts';
import { recordJob } from './record-job.ts';
import { activeConnector } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { isRetryAfter } from './runtime/failures.ts';
import { type Heartbeat, withHeartbeat } from './runtime/heartbeat.ts';
import { inParallel } from './runtime/in-parallel.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { requestsMade } from './runtime/request-count.ts';

/** Tables that are listed, looked up and asked at once. */
const BATCH = 100;
/** A page ends when it has found so many changed tables, so that they are ingested while the next ones are looked at, … */
const PAGE_CHANGED_LIMIT = 100;
/** … or when it has looked at so many, listed or not taken: an attempt that broke off does all of it again, … */
const PAGE_LISTED_LIMIT = 1000;
/** … or when it took so long, since counters stand still meanwhile, … */
const PAGE_MS_LIMIT = 5_000;
/** … or when its result, which stays in the workflow's history, is this big. */
const PAGE_BYTES_LIMIT = 64 * 1024;
/** Cheap questions asked of the upstream at the same time, where a listing has no fingerprints. */
const QUESTIONS = 8;

/**
 * Asks of one page of upstream tables which have changed since they were brought in. Writes nothing but the job's record. A page has more
 * tables the fewer of them have changed: an unchanged table shall cost as little history as can be.
 */
export async function scanTables(deps: ActivityDeps, input: ScanInput): Promise<ScanPage> {
  const connector = await activeConnector(deps, input.connectorId);
  return withHeartbeat(`Listing tables of ${connector.uri}`, async (heartbeat) => {
    await recordJob(deps, input.record);
    await using source = await openUpstream(deps, connector);
    const began = performance.now();
    let page = await scanBatch(deps, input, connector, source, heartbeat);
    while (
      page.cursor &&
      page.changed.length < PAGE_CHANGED_LIMIT &&
      page.scanned + page.filtered < PAGE_LISTED_LIMIT &&
      performance.now() - began < PAGE_MS_LIMIT &&
      JSON.stringify([page.changed, page.refused]).length < PAGE_BYTES_LIMIT
    ) {
      heartbeat.signal.throwIfAborted();
      page = joined(page, await scanBatch(deps, { ...input, cursor: page.cursor }, connector, source, heartbeat));
    }
    return {
      ...page,
      upstreamRequests: requestsMade(source.usage),
      ...(takesViews(source, connector, input) ? { hasViews: true } : {}),
    };
  });
}

async function scanBatch(
  deps: ActivityDeps,
  input: ScanInput,
  connector: Connector,
  source: UpstreamCatalog,
  heartbeat: Heartbeat,
): Promise<ScanPage> {
  const listed = await listStretch(deps, source, connector, input, heartbeat);
  const takes = scopeTakes(input.scope);
  const filter = nameFilter(connector.source);
  const capture = resolveCaptureOptions(connector, input);
  const named = listed.items.filter((table) => filter.includes(table) && takes(destinationOf(connector, table)));
  // Of a namespace of which nothing is taken nobody misses the list.
  const refused = listed.refused.filter(({ path }) => filter.mayContain(path));
  const captureOnly = capture.mode === 'CAPTURE_ONLY';
  const all = input.full && !captureOnly ? undefined : await lookUp(deps, connector, named);
  // Files are captured of tables that the catalog has.
  const isTaken = (_: unknown, i: number) => !captureOnly || Boolean(all?.[i]?.objectId);
  const [taken, known] = [named.filter(isTaken), all?.filter(isTaken)];
  const changed =
    known && !input.full ? await changedOnes({ source, connector, capture, heartbeat }, taken, known) : taken;
  return {
    cursor: listed.cursor,
    scanned: taken.length,
    unchanged: taken.length - changed.length,
    filtered: listed.items.length - taken.length,
    changed: changed.map(({ namespace, name }) => ({ namespace, name })),
    listed: addToChecksum(NO_NAMES, ...taken.map(({ namespace, name }) => upstreamNameHash(namespace, name))),
    ...(refused.length > 0 ? { refused: refused.map(namespaceRefusal) } : {}),
  };
}

/** A page and the stretch behind it. */
function joined(page: ScanPage, next: ScanPage): ScanPage {
  const refused = [...(page.refused ?? []), ...(next.refused ?? [])];
  return {
    cursor: next.cursor,
    scanned: page.scanned + next.scanned,
    unchanged: page.unchanged + next.unchanged,
    filtered: page.filtered + next.filtered,
    changed: [...page.changed, ...next.changed],
    listed: addToChecksum(page.listed, next.listed),
    ...(refused.length > 0 ? { refused } : {}),
  };
}

async function listStretch(
  deps: ActivityDeps,
  source: UpstreamCatalog,
  connector: Connector,
  { retryOf, cursor }: ScanInput,
  heartbeat: Heartbeat,
): Promise<Walked<TableEntry>> {
  if (retryOf) return listFailedTables(deps, retryOf, 'tables', cursor);
  const root = connector.source?.namespacePath ?? [];
  const only = connector.source?.table;
  if (only) return { items: [{ namespace: root, name: only }], refused: [], cursor: undefined };
  return walkTables(source, cursor ?? walkFrom(root), BATCH, () => heartbeat.beat());
}

/** What the catalog knows of each table, in their order. */
async function lookUp(deps: ActivityDeps, { connectorId }: Connector, tables: TableEntry[]) {
  if (tables.length === 0) return [];
  const names = tables.map(({ namespace, name }) => ({ namespacePath: [...namespace], name }));
  const request = { connectorId, kind: ObjectKind.OBJECT_KIND_TABLE, names };
  return (await deps.catalog.bindings.lookupBindings(request)).bindings;
}

/** Those that have changed since they were brought in, or were not. */
async function changedOnes(
  {
    source,
    connector,
    capture,
    heartbeat,
  }: { source: UpstreamCatalog; connector: Connector; capture: CaptureOptions; heartbeat: Heartbeat },
  tables: TableEntry[],
  known: Binding[],
): Promise<TableEntry[]> {
  if (capture.mode === 'CAPTURE_ONLY') {
    // What has no fingerprint has not come in whole: its coverage says nothing yet.
    return tables.filter((_, i) => !known[i]?.fingerprint || !covers(known[i].coverage, capture));
  }
  const changed: boolean[] = [];
  await inParallel(tables, QUESTIONS, async (table, i) => {
    const before = known[i];
    changed[i] =
      !before?.objectId ||
      before.missing ||
      !before.fingerprint ||
      !covers(before.coverage, capture) ||
      hasMoved(before, destinationOf(connector, table)) ||
      // A table that cannot even be asked is brought in, to fail by itself with its own message and retries.
      (table.fingerprint ?? (await source.fingerprint(table, before.fingerprint).catch(rethrowIfRetryAfter))) !==
        before.fingerprint;
    heartbeat.beat();
  });
  return tables.filter((_, i) => changed[i]);
}

function rethrowIfRetryAfter(error: unknown): undefined {
  if (isRetryAfter(error)) throw error;
}
