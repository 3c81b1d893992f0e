import { sql } from 'kysely';
import { toDuration } from '../../../durations.ts';
import {
  type JobOutcome,
  JobResult,
  jobChangeKindFromJSON,
  jobChangeKindToJSON,
  jobResultFromJSON,
  jobResultToNumber,
} from '../../../generated/reconciler/v1/jobs.ts';
import { bytesOf, mapPage, type Page, readPage } from '../database/page-cut.ts';
import type { Scoped } from '../database/scoped.ts';

type Db = Scoped;

/**
 * Records what one step of a job did, by kind and name. A table may take several steps, on several workers at the same time, so each step
 * has rows of its own: an attempt that repeats a step replaces them, whatever other steps have recorded in between.
 */
export async function recordOutcomes(
  db: Db,
  jobId: string,
  step: string,
  outcomes: readonly JobOutcome[],
): Promise<void> {
  for (const outcome of outcomes) {
    const created = outcome.result === JobResult.JOB_RESULT_CREATED;
    const values = {
      destination: outcome.destination,
      result: jobResultToNumber(created ? JobResult.JOB_RESULT_UPDATED : outcome.result),
      created: created ? 1 : 0,
      duration_ms: durationMs(outcome),
      snapshots: Number(outcome.snapshotsIngested),
      files: Number(outcome.filesIngested),
      bytes_read: Number(outcome.bytesRead),
      requests: Number(outcome.upstreamRequests),
    };
    await db
      .insertInto('job_outcomes')
      .values({
        tenant_id: db.tenant,
        job_id: jobId,
        kind: jobChangeKindToJSON(outcome.kind),
        name: outcome.name,
        step,
        ...values,
      })
      .onConflict((conflict) => conflict.columns(['tenant_id', 'job_id', 'kind', 'name', 'step']).doUpdateSet(values))
      .execute();
  }
}

/** The last outcome of a page; the next page starts after it. */
export interface OutcomeCursor {
  kind: string;
  name: string;
}

/** Lists a page of at most `size` outcomes after `after`, ordered by kind and name; each is the sum of its steps. */
export async function listOutcomes(
  db: Db,
  jobId: string,
  size: number,
  after?: OutcomeCursor,
): Promise<Page<JobOutcome>> {
  let query = db.selectFrom('job_outcomes').where('tenant_id', '=', db.tenant).where('job_id', '=', jobId);
  if (after) {
    query = query.where(({ eb, refTuple, tuple }) => eb(refTuple('kind', 'name'), '>', tuple(after.kind, after.name)));
  }
  const outcomes = query
    .select(['kind', 'name'])
    .select(({ fn }) => [
      fn.max('destination').as('destination'),
      fn.max('result').as('result'),
      fn.max('created').as('created'),
      fn.sum<number>('duration_ms').as('duration_ms'),
      fn.sum<number>('snapshots').as('snapshots'),
      fn.sum<number>('files').as('files'),
      fn.sum<number>('bytes_read').as('bytes_read'),
      fn.sum<number>('requests').as('requests'),
    ])
    .groupBy(['kind', 'name'])
    .orderBy('kind')
    .orderBy('name');
  const bytes = sql<number>`max(${bytesOf('kind', 'name', 'destination')})`;
  return mapPage(await readPage(outcomes, bytes, size), (row) => ({
    kind: jobChangeKindFromJSON(row.kind),
    name: row.name,
    destination: row.destination,
    result: resultOf(row),
    duration: toDuration(Number(row.duration_ms) / 1000),
    snapshotsIngested: BigInt(row.snapshots),
    filesIngested: BigInt(row.files),
    bytesRead: BigInt(row.bytes_read),
    upstreamRequests: BigInt(row.requests),
  }));
}

function resultOf({ result, created }: { result: number; created: number }): JobResult {
  const known = jobResultFromJSON(result);
  return known === JobResult.JOB_RESULT_UPDATED && created === 1 ? JobResult.JOB_RESULT_CREATED : known;
}

function durationMs({ duration }: JobOutcome): number {
  return duration ? Number(duration.seconds) * 1000 + Math.round(duration.nanos / 1e6) : 0;
}
