import { activityInfo } from '@temporalio/activity';
import type { ViewRef } from '../connectors/spi.ts';
import type { ViewsHeartbeat, ViewsInput, ViewsOutcome } from '../contract/activities.ts';
import { addCounts, type Counters, type TableFailure } from '../contract/job.ts';
import { addToChecksum, NO_NAMES } from '../contract/name-checksum.ts';
import { upstreamNameHash } from '../upstream-name-hash.ts';
import { openChangeList } from './dry-run/change-list.ts';
import { ingestViews, viewText } from './ingest/ingest-views.ts';
import { listFailedTables } from './listing/list-failed-tables.ts';
import { namespaceRefusal } from './listing/namespace-refusal.ts';
import { takesViews } from './listing/view-source.ts';
import { type RefusedNamespace, type Walked, walkFrom, walkViews } from './listing/walk-namespaces.ts';
import { isNothingGoneAfter } from './missing/nothing-gone.ts';
import { namespaceText } from './options/destination.ts';
import { runFilter } from './options/run-filter.ts';
import { OutcomeList } from './outcomes/outcome-list.ts';
import { recordJob } from './record-job.ts';
import { activeCheck, activeConnector, isPaused } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { isLastAttempt } from './runtime/failures.ts';
import { withHeartbeat } from './runtime/heartbeat.ts';
import { jobFailure } from './runtime/job-failure.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { requestsMade } from './runtime/request-count.ts';

/** Views per page: what a broken attempt has to do again. */
const PAGE = 100;
/** Failures in the outcome, which becomes part of the workflow's history. The job's record has all of them. */
const MAX_FAILURES = 20;

/**
 * Ingests the upstream's views, as far as a slice allows: they are small, and there are far fewer of them than tables. The next attempt
 * continues with the page that was not finished.
 */
export async function reconcileViews(deps: ActivityDeps, input: ViewsInput): Promise<ViewsOutcome> {
  let done = (activityInfo().heartbeatDetails as ViewsHeartbeat | undefined)?.views;
  try {
    const connector = await activeConnector(deps, input.connectorId);
    const continues = ({ cursor }: ViewsOutcome) => cursor !== undefined;
    return await withHeartbeat(
      `Views of ${connector.uri}`,
      { ...input, continues },
      async ({ beat, signal, isOver }) => {
        await recordJob(deps, input);
        await using upstream = await openUpstream(deps, connector);
        const first = input.cursor ?? walkFrom(connector.source?.namespacePath ?? []);
        done ??= { cursor: first, counts: {}, failures: [], listed: NO_NAMES };
        const heartbeat = { signal, beat: () => beat({ counts: done!.counts, views: done! } satisfies ViewsHeartbeat) };
        const filter = runFilter(connector, input.scope);
        const children = new Map();
        const check = activeCheck(deps, input.connectorId);
        const changes = openChangeList(deps, connector, input);
        const outcomes = new OutcomeList(deps);
        while (done.cursor && takesViews(upstream, connector, input)) {
          await check();
          const page: Walked<ViewRef> = await (input.retryOf
            ? listFailedTables(deps, input.retryOf, 'views', done.cursor)
            : walkViews(upstream, done.cursor, {
                filter,
                children,
                limit: PAGE,
                onProgress: heartbeat.beat,
                isLastAttempt: isLastAttempt(),
              }));
          const { refused } = page;
          const taken = page.items.filter(filter.includes);
          const { changed, failures } = await ingestViews(
            { deps, connector, upstream, full: input.full, heartbeat, changes, outcomes },
            taken,
          );
          await outcomes.flush();
          const failed = [
            ...failures.map((failure) => jobFailure(viewText(failure.view), failure)),
            ...refused.map(viewsRefusal),
          ];
          if (failed.length > 0) await recordJob(deps, { record: { ...input.record, failures: failed } });
          const counts: Counters = { ...done.counts };
          addCounts(counts, { viewsScanned: taken.length, viewsChanged: changed, errors: failed.length });
          done = {
            cursor: page.cursor,
            counts,
            failures: [...done.failures, ...failed].slice(0, MAX_FAILURES),
            listed: addToChecksum(
              done.listed,
              ...taken.map(({ namespace, name }) => upstreamNameHash(namespace, name)),
            ),
            ...(done.refused || refused.length > 0 ? { refused: true } : {}),
          };
          heartbeat.beat();
          if (isOver?.()) break;
        }
        // The connector may have changed since the job began.
        if (!takesViews(upstream, connector, input)) done = { ...done, cursor: undefined };
        const isLast = done.cursor === undefined;
        return {
          ...done,
          counts: { ...done.counts, upstreamRequests: requestsMade(upstream.usage) },
          ...(isLast && (await isNothingGoneAfter(deps, connector, input, 'views', done)) ? { nothingGone: true } : {}),
        };
      },
    );
  } catch (error) {
    // The connector was paused on the way: the workflow continues from here later.
    if (isPaused(error) && done) return done;
    throw error;
  }
}

function viewsRefusal(refused: RefusedNamespace): TableFailure {
  return { ...namespaceRefusal(refused), table: `views of ${namespaceText(refused.path)}` };
}
