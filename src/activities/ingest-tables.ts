import { activityInfo, CancelledFailure } from '@temporalio/activity';
import { isClaimLost } from '../catalog-client/claim.ts';
import type {
  IngestPackInput,
  PackHeartbeat,
  PackOutcome,
  TableHeartbeat,
  TableOutcome,
} from '../contract/activities.ts';
import { addCounts } from '../contract/job.ts';
import { openChangeList } from './dry-run/change-list.ts';
import { outcomeOf } from './ingest/ingest-progress.ts';
import { ingestTable } from './ingest/ingest-table.ts';
import { OutcomeList } from './outcomes/outcome-list.ts';
import { DestinationNamespaces } from './plan/destination-namespaces.ts';
import { activeCheck, activeUnlessCounted, isPaused } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { isCatalogAway, isRetried, isRetryAfter, UPSTREAM_ATTEMPTS } from './runtime/failures.ts';
import { type Heartbeat, withHeartbeat } from './runtime/heartbeat.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { isStoppedByPerson } from './runtime/paused-activity.ts';
import { SPLIT } from './runtime/split-size.ts';

/**
 * Brings a pack of tables up to date, one after the other, for a fraction of the history events, as far as a slice allows. A table that fails,
 * that has a snapshot to be split, or that takes long, is left to the workflow, which runs it again by itself.
 */
export async function ingestTables(deps: ActivityDeps, input: IngestPackInput): Promise<PackOutcome> {
  const resume = activityInfo().heartbeatDetails as PackHeartbeat | undefined;
  const outcomes = new OutcomeList(deps, resume?.recorded);
  const pack = await ingestPack(deps, input, resume, outcomes);
  await outcomes.flush();
  return pack;
}

async function ingestPack(
  deps: ActivityDeps,
  input: IngestPackInput,
  resume: PackHeartbeat | undefined,
  outcomes: OutcomeList,
): Promise<PackOutcome> {
  const pack: PackOutcome = resume?.outcome ?? { counts: {}, done: 0, again: [] };
  let signal: AbortSignal | undefined;
  let last: TableHeartbeat | undefined;
  try {
    const continues = () => pack.done < input.tables.length || pack.again.some(({ cursor }) => cursor !== undefined);
    await withHeartbeat(`A pack of ${input.tables.length} tables`, { ...input, continues }, async (heartbeat) => {
      const begun = resume?.table;
      const connector = await activeUnlessCounted(deps, input.connectorId, pack.done > 0 || begun !== undefined);
      if (!connector) {
        if (begun) addOutcome(pack, outcomeOf(begun));
        return;
      }
      const changes = openChangeList(deps, connector, input);
      const namespaces = new DestinationNamespaces(deps, connector, changes);
      await using upstream = await openUpstream(deps, connector);
      const check = activeCheck(deps, input.connectorId);
      const split = input.split ? (deps.splitSize ?? SPLIT) : undefined;
      const shared = { ...input, deps, connector, upstream, namespaces, changes, split, outcomes };
      signal = heartbeat.signal;
      let earlier = begun;
      while (pack.done < input.tables.length) {
        heartbeat.signal.throwIfAborted();
        await check();
        const table = input.tables[pack.done]!;
        last = earlier;
        try {
          const beats = inPack(heartbeat, pack, outcomes, (details) => {
            last = details ?? last;
          });
          const outcome = await ingestTable({ ...shared, heartbeat: beats, table, resume: earlier });
          addOutcome(pack, outcome);
        } catch (error) {
          // Without the catalog or the claim, or throttled, every table of the pack would fail: the pack waits, or ends, instead.
          if (heartbeat.signal.aborted || isCatalogAway(error) || isClaimLost(error) || isRetryAfter(error))
            throw error;
          leave(pack, last);
        }
        earlier = undefined;
        heartbeat.beat({ counts: { ...pack.counts }, outcome: pack, ...pending(outcomes) } satisfies PackHeartbeat);
        if (heartbeat.isOver?.()) break;
      }
    });
    return pack;
  } catch (error) {
    const isCancelled = error instanceof CancelledFailure;
    if (isStoppedByPerson(error)) throw error;
    // The connector was paused, or the job cancelled, on the way: what is done counts. The workflow runs the others later, if at all.
    if (pack.done > 0 && (isPaused(error) || isCancelled)) return pack;
    // A table that hangs neither delays the tables after it nor discards those before it.
    if (signal?.aborted && !isCancelled && pack.done < input.tables.length) return leave(pack, last);
    // No attempt follows: what is done counts, too. The others get an activity of their own, which may fail with nothing done.
    if (pack.done > 0 && !isClaimLost(error) && !isRetried(error, activityInfo().attempt, UPSTREAM_ATTEMPTS))
      return pack;
    throw error;
  }
}

/** The heartbeat of a table of the pack: its counts are added to the pack's. */
function inPack(
  { signal, isOver, beat }: Heartbeat,
  pack: PackOutcome,
  outcomes: OutcomeList,
  note: (details: TableHeartbeat | undefined) => void,
): Heartbeat {
  return {
    signal,
    isOver,
    beat(details) {
      note(details as TableHeartbeat | undefined);
      const counts = { ...pack.counts };
      addCounts(counts, details?.counts ?? {});
      const table = details as TableHeartbeat | undefined;
      beat({ counts, outcome: pack, table, ...pending(outcomes) } satisfies PackHeartbeat);
    },
  };
}

const pending = ({ recorded }: OutcomeList) => (recorded.length > 0 ? { recorded: [...recorded] } : {});

function addOutcome(pack: PackOutcome, { changed, counts, cursor, split, failure }: TableOutcome): void {
  addCounts(pack.counts, counts);
  if (cursor || split) {
    // Its groups are planned again when it is run by itself.
    pack.again.push({ table: pack.done, ...(cursor && { cursor }), ...(changed && { changed }) });
  } else if (failure) {
    pack.failures = [...(pack.failures ?? []), failure];
  } else {
    addCounts(pack.counts, { [changed ? 'tablesChanged' : 'tablesUnchanged']: 1 });
  }
  pack.done += 1;
}

/** The next table is run by itself, with retries of its own. It still reports what it has found to be unreadable, which is stored by now. */
function leave(pack: PackOutcome, last: TableHeartbeat | undefined): PackOutcome {
  const unreadable = last?.cursor?.unreadable;
  pack.again.push({ table: pack.done, ...(unreadable && { cursor: { unreadable } }) });
  pack.done += 1;
  return pack;
}
