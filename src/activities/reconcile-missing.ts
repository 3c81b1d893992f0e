import { activityInfo } from '@temporalio/activity';
import type { HeartbeatDetails, MissingInput, MissingOutcome } from '../contract/activities.ts';
import { missingPolicy } from '../contract/missing-policy.ts';
import type { Binding } from '../generated/reconciler/internal/v1/bindings.ts';
import { openChangeList } from './dry-run/change-list.ts';
import { goneChange } from './dry-run/object-changes.ts';
import { NamespaceProof } from './listing/namespace-proof.ts';
import { openBindings } from './missing/bindings.ts';
import { listingOf, markMissing } from './missing/mark-missing.ts';
import { isNothingGone } from './missing/nothing-gone.ts';
import { activeConnector } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { withHeartbeat } from './runtime/heartbeat.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { requestsMade } from './runtime/request-count.ts';

/**
 * Marks tables (or views) that are gone upstream: those bound to the connector that a complete listing of their namespace does not have. To
 * be called only after a run that was not narrowed and that found something. A dry run records what it would mark.
 *
 * @returns how many were marked, by earlier attempts too
 * @throws CodedError FAILED_PRECONDITION, with nothing marked, if more are gone than the connector allows at once
 */
export async function reconcileMissing(deps: ActivityDeps, input: MissingInput): Promise<MissingOutcome> {
  const { connectorId, views, viewsListed, refused, before, allowMissing } = input;
  const earlier = activityInfo().heartbeatDetails as HeartbeatDetails | undefined;
  const what = views ? 'views' : 'tables';
  // What an earlier attempt has marked is not found again. In a dry run everything is found again.
  let marked = (!input.dryRun && earlier?.counts[`${what}Missing`]) || 0;
  const counts = () => ({ [`${what}Missing`]: marked });
  const connector = await activeConnector(deps, connectorId);
  const { action, maxShare, dropAfterSeconds } = missingPolicy(connector);
  // The scan has checked that, too; since then, new tables have been bound.
  if (await isNothingGone(deps, connector, input, what, input.listed)) return { counts: counts() };
  return withHeartbeat(`Looking for ${what} gone from ${connector.uri}`, input, async ({ beat, signal }) => {
    const heartbeat = { signal, beat: () => beat({ counts: counts() }) };
    await using upstream = await openUpstream(deps, connector);
    const list = listingOf(upstream, what);
    if (!list) return { counts: counts() };
    const limit = { share: allowMissing ? undefined : maxShare, before, connectorName: connector.displayName };
    const bindings = openBindings(deps, connector, what);
    const isDropped = action === 'DROP' && dropAfterSeconds === 0;
    const changes = openChangeList(deps, connector, input);
    const record = async (gone: Binding[]) => {
      const reason = `its namespace no longer lists it${isDropped ? ', and it is dropped immediately' : ''}`;
      for (const { upstream: upstreamName } of gone) {
        await changes?.add(goneChange(connector, what, upstreamName, isDropped ? 'DROP' : 'MARK_MISSING', reason));
      }
      return gone.length;
    };
    const listOther = changes && (views || viewsListed) ? listingOf(upstream, views ? 'tables' : 'views') : undefined;
    const proof = new NamespaceProof(upstream, () => heartbeat.beat());
    const listing = { what, refused, list, listOther, proof };
    const mark = async (gone: Binding[]) => {
      marked += await (changes ? record(gone) : bindings.mark(gone));
    };
    await markMissing(bindings, listing, limit, mark, heartbeat);
    await changes?.flush();
    const dropped = changes && isDropped ? { [`${what}Dropped`]: marked } : {};
    return { counts: { ...counts(), ...dropped, upstreamRequests: requestsMade(upstream.usage) } };
  });
}
