import type { Kysely } from 'kysely';
import type { ReconcileRequest } from '../../contract/job.ts';
import { isEnded } from '../../contract/progress-message.ts';
import { CodedError } from '../../errors.ts';
import { JobFailureKind, JobState, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { shellWord } from '../../names.ts';
import type { Schema } from '../store/database/schema.ts';
import * as store from '../store/jobs/jobs.ts';

const SINGLE = [JobFailureKind.JOB_FAILURE_KIND_TABLE, JobFailureKind.JOB_FAILURE_KIND_VIEW];

/**
 * Input of the workflow that tries again what failed in a job: just its failed tables and views, or all that the job was asked for where
 * more than those failed.
 *
 * @throws CodedError FAILED_PRECONDITION where nothing failed or the job has not ended
 */
export async function retryRequestOf(trx: Kysely<Schema>, job: ReconcileJob): Promise<ReconcileRequest> {
  const { jobId, connectorId, connectorName, fullRescan, requestJson, state } = job;
  if (!isEnded(state)) {
    throw new CodedError('FAILED_PRECONDITION', `job ${jobId} has not ended: it can be retried when it has`);
  }
  const kinds = await store.failureKinds(trx, jobId);
  if (kinds.length === 0 && state !== JobState.JS_FAILED) {
    const how = state === JobState.JS_CANCELLED ? 'was cancelled' : 'succeeded';
    const again = `reconciler connector trigger ${shellWord(connectorName)}`;
    throw new CodedError(
      'FAILED_PRECONDITION',
      `nothing failed in job ${jobId}, which ${how}; run it anew with ${again}`,
    );
  }
  // Records of older versions do not have it.
  const asked = requestJson === '' ? { full: fullRescan } : (JSON.parse(requestJson) as ReconcileRequest);
  const again: ReconcileRequest = { ...asked, connector: connectorId, trigger: 'retry' };
  const single = kinds.length > 0 && kinds.every((kind) => SINGLE.includes(kind));
  return single ? { ...again, retryOf: jobId } : again;
}
