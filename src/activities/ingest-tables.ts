import { activityInfo, CancelledFailure } from '@temporalio/activity';
import type { IngestHeartbeat, IngestPackInput, TableOutcome } from '../contract/activities.ts';
import { ChangeList } from './dry-run/change-list.ts';
import { DestinationNamespaces } from './ingest/destination-namespaces.ts';
import { ingestTable } from './ingest/ingest-table.ts';
import { activeCheck, activeConnector, isPaused } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { describeError, isCatalogAway, isRetryAfter } from './runtime/failures.ts';
import { withHeartbeat } from './runtime/heartbeat.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { SPLIT } from './runtime/split-size.ts';

/**
 * Brings a pack of tables up to date, one after the other, for a tenth of the history events. The outcomes stand in the
 * tables' order; a table that fails, or that has a snapshot to be split, is told in its outcome, and the workflow runs it again by itself.
 */
export async function ingestTables(deps: ActivityDeps, input: IngestPackInput): Promise<TableOutcome[]> {
  const last = activityInfo().heartbeatDetails as IngestHeartbeat | undefined;
  const done: TableOutcome[] = last?.done ?? [];
  let working: AbortSignal | undefined;
  try {
    return await withHeartbeat(`A pack of ${input.tables.length} tables`, async (heartbeat) => {
      const connector = await activeConnector(deps, input.connectorId);
      const changes = input.dryRun ? new ChangeList(deps, connector) : undefined;
      const namespaces = new DestinationNamespaces(deps, connector, changes);
      await using source = await openUpstream(deps, connector);
      const check = activeCheck(deps, input.connectorId);
      working = heartbeat.signal;
      for (const table of input.tables.slice(done.length)) {
        heartbeat.signal.throwIfAborted();
        await check();
        const before = total(done);
        const beat = (now: IngestHeartbeat) =>
          heartbeat.beat({
            snapshots: before.snapshots + now.snapshots,
            files: before.files + now.files,
            bytesRead: before.bytesRead + now.bytesRead,
            done,
          });
        try {
          done.push(
            await ingestTable({
              deps,
              connector,
              source,
              heartbeat: { signal: heartbeat.signal, beat: (d) => beat(d as IngestHeartbeat) },
              ...input,
              table,
              namespaces,
              changes,
              split: input.split ? (deps.splitSize ?? SPLIT) : undefined,
            }),
          );
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
    // A table that hangs holds up none behind it, nor takes along what is done.
    if (working?.aborted && !isCancelled && done.length < input.tables.length) return [...done, failed(error)];
    throw error;
  }
}

function failed(error: unknown): TableOutcome {
  return { changed: false, snapshots: 0, files: 0, bytesRead: 0, failure: describeError(error) };
}

function total(outcomes: TableOutcome[]): IngestHeartbeat {
  const sum = { snapshots: 0, files: 0, bytesRead: 0 };
  for (const { snapshots, files, bytesRead } of outcomes) {
    sum.snapshots += snapshots;
    sum.files += files;
    sum.bytesRead += bytesRead;
  }
  return sum;
}
