import { activityInfo } from '@temporalio/activity';
import type { ViewRef } from '../connectors/spi.ts';
import type { ViewsHeartbeat, ViewsInput, ViewsOutcome, WalkCursor } from '../contract/activities.ts';
import type { TableFailure } from '../contract/job.ts';
import { nameFilter } from '../name-patterns.ts';
import { openChangeList } from './dry-run/change-list.ts';
import { ingestViews, viewText } from './ingest/ingest-views.ts';
import { listFailedTables } from './listing/list-failed-tables.ts';
import { namespaceRefusal } from './listing/namespace-refusal.ts';
import { takesViews } from './listing/view-source.ts';
import type { RefusedNamespace, Walked } from './listing/walk-namespaces.ts';
import { walkFrom, walkViews } from './listing/walk-namespaces.ts';
import { destinationOf, namespaceText, scopeTakes } from './options/destination.ts';
import { recordJob } from './record-job.ts';
import { activeCheck, activeConnector, isPaused } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { withHeartbeat } from './runtime/heartbeat.ts';
import { jobFailure } from './runtime/job-failure.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { requestsMade } from './runtime/request-count.ts';

/** Views per page: what a broken attempt has to do again. */
const PAGE = 100;
/** Failures in the outcome, which becomes part of the workflow's history. The job's record has all of them. */
const MAX_FAILURES = 20;

type Done = ViewsOutcome & { cursor?: WalkCursor };

/**
 * Ingests the upstream's views, all in one activity: they are small, and there are far fewer of them than tables. The next attempt
 * continues with the page that was not finished.
 */
export async function reconcileViews(deps: ActivityDeps, input: ViewsInput): Promise<ViewsOutcome> {
  let done = (activityInfo().heartbeatDetails as ViewsHeartbeat | undefined)?.views as Done | undefined;
  try {
    const connector = await activeConnector(deps, input.connectorId);
    return await withHeartbeat(`Views of ${connector.uri}`, async ({ beat, signal }) => {
      await recordJob(deps, input.record);
      await using upstream = await openUpstream(deps, connector);
      done ??= {
        cursor: input.cursor ?? walkFrom(connector.source?.namespacePath ?? []),
        scanned: 0,
        changed: 0,
        errors: 0,
        failures: [],
      };
      const heartbeat = { signal, beat: () => beat({ views: done! } satisfies ViewsHeartbeat) };
      const takes = scopeTakes(input.scope);
      const filter = nameFilter(connector.source);
      const check = activeCheck(deps, input.connectorId);
      const changes = openChangeList(deps, connector, input);
      while (done.cursor && takesViews(upstream, connector, input)) {
        await check();
        const page: Walked<ViewRef> = await (input.retryOf
          ? listFailedTables(deps, input.retryOf, 'views', done.cursor)
          : walkViews(upstream, done.cursor, PAGE, heartbeat.beat));
        const taken = page.items.filter((view) => filter.includes(view) && takes(destinationOf(connector, view)));
        const refused = page.refused.filter(({ path }) => filter.mayContain(path));
        const { changed, failures } = await ingestViews(
          { deps, connector, upstream, full: input.full, heartbeat, changes },
          taken,
        );
        const failed = [
          ...failures.map((failure) => jobFailure(viewText(failure.view), failure)),
          ...refused.map(viewsRefusal),
        ];
        if (failed.length > 0) await recordJob(deps, { ...input.record, failures: failed });
        done = {
          cursor: page.cursor,
          scanned: done.scanned + taken.length,
          changed: done.changed + changed,
          errors: done.errors + failed.length,
          failures: [...done.failures, ...failed].slice(0, MAX_FAILURES),
          ...(done.refused || refused.length > 0 ? { refused: true } : {}),
        };
        heartbeat.beat();
      }
      const { cursor: _, ...outcome } = done;
      return { ...outcome, upstreamRequests: requestsMade(upstream.usage) };
    });
  } catch (error) {
    // The connector was paused on the way: the workflow continues from here later.
    if (isPaused(error) && done) return done;
    throw error;
  }
}

function viewsRefusal(refused: RefusedNamespace): TableFailure {
  return { ...namespaceRefusal(refused), table: `views of ${namespaceText(refused.path)}` };
}
