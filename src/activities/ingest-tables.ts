import { activityInfo, CancelledFailure } from '@temporalio/activity';
import type { IngestHeartbeat, IngestPackInput, TableOutcome } from '../contract/activities.ts';
import { openChangeList } from './dry-run/change-list.ts';
import { ingestTable } from './ingest/ingest-table.ts';
import { DestinationNamespaces } from './plan/destination-namespaces.ts';
import { activeCheck, activeConnector, isPaused } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { describeError, isCatalogAway, isRetried, isRetryAfter, UPSTREAM_ATTEMPTS } from './runtime/failures.ts';
import { withHeartbeat } from './runtime/heartbeat.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { SPLIT } from './runtime/split-size.ts';

/**
 * Brings a pack of tables up to date, one after the other, for a tenth of the history events. The outcomes are in the order of the tables.
 * A table that fails, or that has a snapshot to be split, is reported in its outcome, and the workflow runs it again by itself.
 */
export async function ingestTables(deps: ActivityDeps, input: IngestPackInput): Promise<TableOutcome[]> {
  const resume = activityInfo().heartbeatDetails as IngestHeartbeat | undefined;
  const done: TableOutcome[] = resume?.done ?? [];
  let signal: AbortSignal | undefined;
  try {
    return await withHeartbeat(`A pack of ${input.tables.length} tables`, async (heartbeat) => {
      const connector = await activeConnector(deps, input.connectorId);
      const changes = openChangeList(deps, connector, input);
      const namespaces = new DestinationNamespaces(deps, connector, changes);
      await using upstream = await openUpstream(deps, connector);
      const check = activeCheck(deps, input.connectorId);
      const split = input.split ? (deps.splitSize ?? SPLIT) : undefined;
      signal = heartbeat.signal;
      for (const table of input.tables.slice(done.length)) {
        heartbeat.signal.throwIfAborted();
        await check();
        const before = total(done);
        const beat = (details: unknown) => heartbeat.beat({ ...sum(before, details as IngestHeartbeat), done });
        const tableHeartbeat = { signal: heartbeat.signal, beat };
        const shared = { deps, connector, upstream, namespaces, changes, split };
        try {
          done.push(await ingestTable({ ...input, ...shared, heartbeat: tableHeartbeat, table }));
        } catch (error) {
          // Without the catalog, or throttled, every table of the pack would fail: the pack waits instead.
          if (heartbeat.signal.aborted || isCatalogAway(error) || isRetryAfter(error)) throw error;
          done.push(failed(error));
        }
        heartbeat.beat({ ...total(done), done });
      }
      return done;
    });
  } catch (error) {
    // Paused or cancelled on the way: what is done counts. The workflow runs the others later, unless it was cancelled itself.
    const isCancelled = error instanceof CancelledFailure;
    if (done.length > 0 && (isPaused(error) || isCancelled)) return done;
    // A table that hangs neither delays the tables after it nor discards those before it.
    if (signal?.aborted && !isCancelled && done.length < input.tables.length) return [...done, failed(error)];
    // No attempt follows: what is done counts, too. The others get an activity of their own, which may fail with nothing done.
    if (done.length > 0 && !isRetried(error, activityInfo().attempt, UPSTREAM_ATTEMPTS)) return done;
    throw error;
  }
}

function failed(error: unknown): TableOutcome {
  return { changed: false, snapshots: 0, files: 0, bytesRead: 0, failure: describeError(error) };
}

type Counts = Pick<IngestHeartbeat, 'snapshots' | 'files' | 'bytesRead'>;

function total(outcomes: TableOutcome[]): Counts {
  return outcomes.reduce<Counts>(sum, { snapshots: 0, files: 0, bytesRead: 0 });
}

function sum(a: Counts, b: Counts): Counts {
  return {
    snapshots: a.snapshots + b.snapshots,
    files: a.files + b.files,
    bytesRead: a.bytesRead + b.bytesRead,
  };
}
