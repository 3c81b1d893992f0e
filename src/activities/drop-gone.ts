import { activityInfo } from '@temporalio/activity';
import type { UpstreamCatalog } from '../connectors/spi.ts';
import type { DropInput, DropOutcome, HeartbeatDetails } from '../contract/activities.ts';
import { addCounts, type Counters } from '../contract/job.ts';
import { missingPolicy } from '../contract/missing-policy.ts';
import { toDuration } from '../durations.ts';
import { NotATableError } from '../formats/not-a-table.ts';
import type { Binding, UpstreamName } from '../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../generated/reconciler/v1/connectors.ts';
import { plural } from '../text.ts';
import { type ChangeList, openChangeList } from './dry-run/change-list.ts';
import { goneChange } from './dry-run/object-changes.ts';
import { NamespaceProof } from './listing/namespace-proof.ts';
import { openBindings } from './missing/bindings.ts';
import { goneUpstream, listingOf } from './missing/mark-missing.ts';
import { resolveCaptureOptions } from './options/capture-options.ts';
import { activeConnector } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { type Heartbeat, withHeartbeat } from './runtime/heartbeat.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { requestsMade } from './runtime/request-count.ts';

/** Snapshots per call. */
const SNAPSHOT_PAGE = 100;

/**
 * Drops objects that have been marked missing or expired for as long as the connector's policy requires: tables and views that a complete
 * listing of their namespace still does not have, and snapshots. To be called after marking, which limits how many objects are dropped at
 * once. It can be repeated at any point. A dry run records what it would drop.
 */
export async function dropGone(deps: ActivityDeps, input: DropInput): Promise<DropOutcome> {
  const { connectorId, refused, views } = input;
  const earlier = activityInfo().heartbeatDetails as HeartbeatDetails | undefined;
  // What an earlier attempt has dropped is not found again. In a dry run everything is found again.
  const counts: Counters = (!input.dryRun && earlier?.counts) || {};
  const connector = await activeConnector(deps, connectorId);
  const { action, dropAfterSeconds } = missingPolicy(connector);
  if (action !== 'DROP' || resolveCaptureOptions(connector, input).mode === 'CAPTURE_ONLY') return { counts };
  return withHeartbeat(`Dropping what is gone from ${connector.uri}`, input, async ({ beat, signal }) => {
    const heartbeat = { signal, beat: () => beat({ counts: { ...counts } }) };
    await using upstream = await openUpstream(deps, connector);
    const proof = new NamespaceProof(upstream, () => heartbeat.beat());
    const changes = openChangeList(deps, connector, input);
    const snapshotChanges = changes && recordSnapshots(changes, connector);
    for (const what of views ? (['tables', 'views'] as const) : (['tables'] as const)) {
      const list = listingOf(upstream, what);
      // If a single table is selected, nothing is listed.
      if (!list || connector.source?.table) continue;
      const bindings = openBindings(deps, connector, what, dropAfterSeconds);
      const listOther = changes && views ? listingOf(upstream, what === 'tables' ? 'views' : 'tables') : undefined;
      const isOther = what === 'tables' ? (name: UpstreamName) => isNoTable(upstream, name) : undefined;
      const listing = { what, refused, list, listOther, proof, isOther };
      for await (const { gone } of goneUpstream(bindings, listing, heartbeat)) {
        signal.throwIfAborted();
        if (gone.length === 0) continue;
        const drop = () => dropBindings(deps, connector, what, gone);
        addCounts(counts, {
          [`${what}Dropped`]: await (changes ? recordGone(changes, connector, what, gone) : drop()),
        });
      }
    }
    for await (const expired of dropExpired(deps, connector, heartbeat, changes !== undefined)) {
      addCounts(counts, { snapshotsDropped: expired.snapshots });
      await snapshotChanges?.(expired);
    }
    await snapshotChanges?.();
    await changes?.flush();
    return { counts: { ...counts, upstreamRequests: requestsMade(upstream.usage) } };
  });
}

/** Whether a missing table that is listed is something else now, such as a view in a folder. Otherwise it may be back. */
async function isNoTable(upstream: UpstreamCatalog, { namespacePath, name }: UpstreamName): Promise<boolean> {
  try {
    await using _ = await upstream.openTable({ namespace: namespacePath, name });
    return false;
  } catch (error) {
    return error instanceof NotATableError;
  }
}

async function recordGone(
  changes: ChangeList,
  connector: Connector,
  what: 'tables' | 'views',
  gone: readonly Binding[],
): Promise<number> {
  for (const { upstream: upstreamName } of gone) {
    await changes.add(goneChange(connector, what, upstreamName, 'DROP', 'missing for long enough'));
  }
  return gone.length;
}

async function dropBindings(
  { catalog }: ActivityDeps,
  connector: Connector,
  what: 'tables' | 'views',
  gone: readonly Binding[],
): Promise<number> {
  const ids = gone.map(({ objectId }) => objectId);
  const { dropped } = await catalog.reconciliation.dropMissing({
    connectorId: connector.connectorId,
    missingFor: toDuration(missingPolicy(connector).dropAfterSeconds),
    ...(what === 'tables' ? { tableIds: ids } : { viewIds: ids }),
  });
  return Number(dropped);
}

interface ExpiredSnapshots {
  upstreamName?: UpstreamName;
  snapshots: number;
}

/** Drops expired snapshots, or only finds them with `validateOnly`. The last table of a page may be continued on the next. */
async function* dropExpired(
  { catalog }: ActivityDeps,
  connector: Connector,
  heartbeat: Heartbeat,
  validateOnly: boolean,
): AsyncGenerator<ExpiredSnapshots> {
  let pageToken = '';
  do {
    heartbeat.signal.throwIfAborted();
    const { tables, nextPageToken } = await catalog.reconciliation.dropExpiredSnapshots({
      connectorId: connector.connectorId,
      expiredFor: toDuration(missingPolicy(connector).dropAfterSeconds),
      pageSize: SNAPSHOT_PAGE,
      pageToken,
      validateOnly,
    });
    for (const { upstream, snapshots } of tables) yield { upstreamName: upstream, snapshots: Number(snapshots) };
    heartbeat.beat();
    pageToken = nextPageToken;
  } while (pageToken);
}

/** Records expired snapshots as one change per table. Called without any, at the end, it records the last table. */
function recordSnapshots(changes: ChangeList, connector: Connector): (expired?: ExpiredSnapshots) => Promise<void> {
  let table: ExpiredSnapshots | undefined;
  return async (expired) => {
    if (table && expired && JSON.stringify(table.upstreamName) === JSON.stringify(expired.upstreamName)) {
      table.snapshots += expired.snapshots;
      return;
    }
    if (table) {
      const reason = `${plural(table.snapshots, 'snapshot')} expired for long enough`;
      const change = goneChange(connector, 'tables', table.upstreamName, 'DROP', reason);
      await changes.add({ ...change, kind: 'SNAPSHOTS' });
    }
    table = expired;
  };
}
