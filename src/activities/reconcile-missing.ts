import type { MissingInput, MissingOutcome } from '../contract/activities.ts';
import type { Binding } from '../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../generated/reconciler/v1/connectors.ts';
import { ChangeList } from './dry-run/change-list.ts';
import { goneChange } from './dry-run/dropped-change.ts';
import { countBindings, openBindings } from './missing/bindings.ts';
import { listingOf, markMissing } from './missing/mark-missing.ts';
import { missingPolicy } from './missing/missing-policy.ts';
import { resolveCaptureOptions } from './options/capture-options.ts';
import { activeConnector } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { withHeartbeat } from './runtime/heartbeat.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { requestsMade } from './runtime/request-count.ts';

/**
 * Marks tables (or views) that are gone upstream: those bound to the connector that a complete listing of their namespace does
 * not have. To be called only after a run that was not narrowed and that found something.
 *
 * @returns how many were marked, with the requests that it took upstream
 * @throws CodedError FAILED_PRECONDITION, with nothing marked, where more are gone than the connector lets go at once
 */
export async function reconcileMissing(deps: ActivityDeps, input: MissingInput): Promise<MissingOutcome> {
  const { connectorId, views, viewsListed, listed, refused, before, allowMissing } = input;
  const connector = await activeConnector(deps, connectorId);
  const { action, maxShare, dropAfterSeconds } = missingPolicy(connector);
  // With a single table selected nothing is listed: when it is gone, bringing it in says so.
  if (connector.source?.table || action === 'KEEP') return { marked: 0 };
  if (resolveCaptureOptions(connector, input).mode === 'CAPTURE_ONLY') return { marked: 0 };
  const what = views ? 'views' : 'tables';
  // The run has listed what is bound, and nothing else.
  if (listed !== undefined && listed === (await countBindings(deps, connector, what)).checksum) return { marked: 0 };
  return withHeartbeat(`Looking for ${what} gone from ${connector.uri}`, async (heartbeat) => {
    await using source = await openUpstream(deps, connector);
    const list = listingOf(source, what);
    if (!list) return { marked: 0 };
    const most = { share: allowMissing ? undefined : maxShare, before, connectorName: connector.displayName };
    const bindings = openBindings(deps, connector, what);
    const atOnce = action === 'DROP' && dropAfterSeconds === 0;
    const changes = input.dryRun ? new ChangeList(deps, connector) : undefined;
    const mark = changes ? (gone: Binding[]) => tell(changes, connector, what, gone, atOnce) : bindings.mark;
    const listOther =
      input.dryRun && (views || viewsListed) ? listingOf(source, views ? 'tables' : 'views') : undefined;
    const marked = await markMissing(bindings, { what, refused, list, listOther }, most, mark, heartbeat);
    await changes?.flush();
    const dropped = input.dryRun && atOnce ? { dropped: marked } : {};
    return { marked, ...dropped, upstreamRequests: requestsMade(source.usage) };
  });
}

/** What would be marked. @returns how many */
async function tell(
  changes: ChangeList,
  connector: Connector,
  what: 'tables' | 'views',
  gone: readonly Binding[],
  atOnce: boolean,
): Promise<number> {
  const reason = 'its namespace does not list it any more';
  for (const one of gone) {
    const [action, why] = atOnce
      ? (['DROP', `${reason}, and it is dropped at once`] as const)
      : (['MARK_MISSING', reason] as const);
    await changes.add(goneChange(connector, what, one, action, why));
  }
  return gone.length;
}
