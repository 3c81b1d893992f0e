import { activityInfo } from '@temporalio/activity';
import type { DropInput, DropOutcome } from '../contract/activities.ts';
import { toDuration } from '../durations.ts';
import type { Binding, UpstreamName } from '../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../generated/reconciler/v1/connectors.ts';
import { type Change, ChangeList, count } from './dry-run/change-list.ts';
import { goneChange } from './dry-run/dropped-change.ts';
import { openBindings } from './missing/bindings.ts';
import { goneUpstream, listingOf } from './missing/mark-missing.ts';
import { missingPolicy } from './missing/missing-policy.ts';
import { resolveCaptureOptions } from './options/capture-options.ts';
import { activeConnector } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { type Heartbeat, withHeartbeat } from './runtime/heartbeat.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { requestsMade } from './runtime/request-count.ts';

/** Snapshots a call. */
const SNAPSHOTS = 100;

/**
 * Drops what has been marked missing, or expired, for as long as the connector's policy says: tables and views that a complete listing of
 * their namespace still does not have, and snapshots. To be called after marking, which has bounded how much goes at once. It can be run
 * again at any point.
 */
export async function dropGone(deps: ActivityDeps, input: DropInput): Promise<DropOutcome> {
  const { connectorId, refused, views } = input;
  const dropped: DropOutcome = (activityInfo().heartbeatDetails as { dropped?: DropOutcome } | undefined)?.dropped ?? {
    tables: 0,
    views: 0,
    snapshots: 0,
  };
  const connector = await activeConnector(deps, connectorId);
  const { action, dropAfterSeconds } = missingPolicy(connector);
  if (action !== 'DROP' || resolveCaptureOptions(connector, input).mode === 'CAPTURE_ONLY') return dropped;
  return withHeartbeat(`Dropping what is gone from ${connector.uri}`, async ({ beat, signal }) => {
    const heartbeat = { signal, beat: () => beat({ dropped }) };
    await using source = await openUpstream(deps, connector);
    const changes = input.dryRun ? new ChangeList(deps, connector) : undefined;
    for (const what of views ? (['tables', 'views'] as const) : (['tables'] as const)) {
      const list = listingOf(source, what);
      // With a single table selected nothing is listed.
      if (!list || connector.source?.table) continue;
      const ones = openBindings(deps, connector, what, dropAfterSeconds);
      const listOther = changes && views ? listingOf(source, what === 'tables' ? 'views' : 'tables') : undefined;
      for await (const { gone } of goneUpstream(ones, { what, refused, list, listOther }, heartbeat)) {
        signal.throwIfAborted();
        if (gone.length > 0) dropped[what] += await drop(deps, connector, what, gone, changes);
      }
    }
    await dropSnapshots(deps, connector, heartbeat, changes, (snapshots) => {
      dropped.snapshots += snapshots;
    });
    await changes?.flush();
    return { ...dropped, upstreamRequests: requestsMade(source.usage) };
  });
}

async function drop(
  { catalog }: ActivityDeps,
  connector: Connector,
  what: 'tables' | 'views',
  gone: readonly Binding[],
  changes: ChangeList | undefined,
): Promise<number> {
  if (changes) {
    for (const one of gone) await changes.add(goneChange(connector, what, one, 'DROP', 'missing for long enough'));
    return gone.length;
  }
  const ids = gone.map(({ objectId }) => objectId);
  const { dropped } = await catalog.reconciliation.dropMissing({
    connectorId: connector.connectorId,
    missingFor: toDuration(missingPolicy(connector).dropAfterSeconds),
    ...(what === 'tables' ? { tableIds: ids } : { viewIds: ids }),
  });
  return Number(dropped);
}

async function dropSnapshots(
  { catalog }: ActivityDeps,
  connector: Connector,
  heartbeat: Heartbeat,
  changes: ChangeList | undefined,
  onDropped: (snapshots: number) => void,
): Promise<void> {
  /** Of a dry run: a page may end in the middle of a table. */
  let told: { upstream?: UpstreamName; snapshots: number } | undefined;
  const tell = async () => told && changes?.add(snapshotsChange(connector, told.upstream, told.snapshots));
  let pageToken = '';
  do {
    heartbeat.signal.throwIfAborted();
    const { tables, nextPageToken } = await catalog.reconciliation.dropExpiredSnapshots({
      connectorId: connector.connectorId,
      expiredFor: toDuration(missingPolicy(connector).dropAfterSeconds),
      pageSize: SNAPSHOTS,
      pageToken,
      dryRun: changes !== undefined,
    });
    for (const { upstream, snapshots } of tables) {
      onDropped(Number(snapshots));
      if (JSON.stringify(told?.upstream) !== JSON.stringify(upstream)) {
        await tell();
        told = { upstream, snapshots: 0 };
      }
      if (told) told.snapshots += Number(snapshots);
    }
    heartbeat.beat();
    pageToken = nextPageToken;
  } while (pageToken);
  await tell();
}

function snapshotsChange(connector: Connector, upstream: UpstreamName | undefined, snapshots: number): Change {
  const reason = `${count(snapshots, 'snapshot')} expired for long enough`;
  return { ...goneChange(connector, 'tables', { upstream }, 'DROP', reason), kind: 'SNAPSHOTS' };
}
