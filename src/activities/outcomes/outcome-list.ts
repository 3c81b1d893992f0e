import { activityInfo } from '@temporalio/activity';
import type { RecordedOutcome } from '../../contract/activities.ts';
import type { Counters } from '../../contract/job.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { toDuration } from '../../durations.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { JobChangeKind, JobOutcome, JobResult } from '../../generated/reconciler/v1/jobs.ts';
import { formatName } from '../../names.ts';
import { catalogNameOf, type TableDestination } from '../options/destination.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import { isCatalogAway } from '../runtime/failures.ts';

/** What an activity did to one table or view. */
export interface Outcome {
  kind: RecordedOutcome['kind'];
  result: RecordedOutcome['result'];
  connector: Connector;
  upstream: TableRef;
  /** Absent if it is not known here. */
  destination?: TableDestination;
  /** Milliseconds of `performance.now()` when it began. */
  began: number;
  counts: Counters;
}

/**
 * Collects what an activity did to tables and views, and records it with the job in one call. Unchanged ones are not recorded, so that they
 * cost no write. Recording an outcome twice has no effect.
 */
export class OutcomeList {
  readonly #deps: Pick<ActivityDeps, 'catalog' | 'logger'>;
  /** What the heartbeat carries, because an attempt that follows does not find it again. */
  readonly recorded: RecordedOutcome[];

  constructor(deps: Pick<ActivityDeps, 'catalog' | 'logger'>, recorded: readonly RecordedOutcome[] = []) {
    this.#deps = deps;
    this.recorded = [...recorded];
  }

  add({ kind, result, connector, upstream, destination, began, counts }: Outcome): void {
    this.recorded.push({
      kind,
      result,
      name: formatName([...upstream.namespace, upstream.name]),
      destination: destination
        ? formatName([catalogNameOf(connector), ...destination.namespacePath, destination.name])
        : '',
      ms: Math.round(performance.now() - began),
      counts,
    });
  }

  /**
   * Records what was added; to be called at the end, and between pages. An outcome that the catalog refuses is missing in the report: the
   * table is as it should be.
   */
  async flush(): Promise<void> {
    const outcomes = this.recorded.splice(0).map(messageOf);
    if (outcomes.length === 0) return;
    const { workflowExecution, activityId } = activityInfo();
    // An activity's id is the same in each of its attempts, and unique in its run.
    const step = `${workflowExecution?.runId}/${activityId}`;
    const { catalog, logger } = this.#deps;
    try {
      await catalog.reconciliation.recordJobOutcomes({ jobId: workflowExecution?.workflowId, step, outcomes });
    } catch (error) {
      if (isCatalogAway(error)) throw error;
      logger.warn({ err: error, outcomes: outcomes.length }, "outcomes could not be recorded for the job's report");
    }
  }
}

function messageOf({ kind, result, name, destination, ms, counts }: RecordedOutcome): JobOutcome {
  const { snapshotsIngested = 0, filesIngested = 0, bytesRead = 0, upstreamRequests = 0 } = counts;
  return JobOutcome.fromPartial({
    kind: JobChangeKind[`JOB_CHANGE_KIND_${kind}`],
    result: JobResult[`JOB_RESULT_${result}`],
    name,
    destination,
    duration: toDuration(ms / 1000),
    snapshotsIngested: BigInt(snapshotsIngested),
    filesIngested: BigInt(filesIngested),
    bytesRead: BigInt(bytesRead),
    upstreamRequests: BigInt(upstreamRequests),
  });
}
