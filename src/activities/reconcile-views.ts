import { activityInfo } from '@temporalio/activity';
import type { ViewRef } from '../connectors/spi.ts';
import type { ViewsHeartbeat, ViewsInput, ViewsOutcome, WalkCursor } from '../contract/activities.ts';
import type { TableFailure } from '../contract/job.ts';
import { nameFilter } from '../name-patterns.ts';
import { ChangeList } from './dry-run/change-list.ts';
import { ingestViews, viewText } from './ingest/ingest-views.ts';
import { listFailedTables } from './listing/list-failed-tables.ts';
import { namespaceRefusal } from './listing/namespace-refusal.ts';
import { takesViews } from './listing/view-source.ts';
import type { Walked } from './listing/walk-namespaces.ts';
import { walkFrom, walkViews } from './listing/walk-namespaces.ts';
import { destinationOf, namespaceText, scopeTakes } from './options/destination.ts';
import { recordJob } from './record-job.ts';
import { activeCheck, activeConnector, isPaused } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { withHeartbeat } from './runtime/heartbeat.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { requestsMade } from './runtime/request-count.ts';

/** Views a page: what an attempt that broke off has to do again. */
const PAGE = 100;
/** Failures that the answer holds, which stays in the workflow's history. All of them are in the job's record. */
const FAILURES_TOLD = 20;
const MESSAGE_LIMIT = 1_000;

type Done = ViewsOutcome & { cursor?: WalkCursor };

/**
 * Brings in the upstream's views, all in one activity: they are small, and there are far fewer of them than tables. A next attempt goes
 * on with the page that was under way.
 */
export async function reconcileViews(deps: ActivityDeps, input: ViewsInput): Promise<ViewsOutcome> {
  const resume = (activityInfo().heartbeatDetails as ViewsHeartbeat | undefined)?.views as Done | undefined;
  let done = resume;
  try {
    const connector = await activeConnector(deps, input.connectorId);
    return await withHeartbeat(`Views of ${connector.uri}`, async ({ beat, signal }) => {
      await recordJob(deps, input.record);
      await using source = await openUpstream(deps, connector);
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
      const changes = input.dryRun ? new ChangeList(deps, connector) : undefined;
      while (done.cursor && takesViews(source, connector, input)) {
        await check();
        const walked: Walked<ViewRef> = await (input.retryOf
          ? listFailedTables(deps, input.retryOf, 'views', done.cursor)
          : walkViews(source, done.cursor, PAGE, heartbeat.beat));
        const { items: views, refused: refusedOnes, cursor } = walked;
        const taken = views.filter((view) => filter.includes(view) && takes(destinationOf(connector, view)));
        const refused = refusedOnes.filter(({ path }) => filter.mayContain(path));
        const { changed, failures } = await ingestViews(
          { deps, connector, source, full: input.full, heartbeat, changes },
          taken,
        );
        const failed: TableFailure[] = failures.map(({ view, code, message }) => ({
          table: viewText(view),
          code,
          message: message.slice(0, MESSAGE_LIMIT),
          failedAtMs: Date.now(),
        }));
        for (const one of refused)
          failed.push({ ...namespaceRefusal(one), table: `views of ${namespaceText(one.path)}` });
        if (failed.length > 0) await recordJob(deps, { ...input.record, failures: failed });
        done = {
          cursor,
          scanned: done.scanned + taken.length,
          changed: done.changed + changed,
          errors: done.errors + failed.length,
          failures: [...done.failures, ...failed].slice(0, FAILURES_TOLD),
          ...(done.refused || refused.length > 0 ? { refused: true } : {}),
        };
        heartbeat.beat();
      }
      const { cursor: _, ...outcome } = done;
      return { ...outcome, upstreamRequests: requestsMade(source.usage) };
    });
  } catch (error) {
    // The connector was paused on the way: the workflow goes on from there later.
    if (isPaused(error) && done) return done;
    throw error;
  }
}
