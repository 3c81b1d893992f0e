import type { ReconcileRequest } from '../../contract/job.ts';
import { isEnded } from '../../contract/progress-message.ts';
import { CodedError } from '../../errors.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { JobFailureKind, JobState, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { shellWord } from '../../text.ts';
import { getConnector } from '../store/connectors/connectors.ts';
import type { Scoped } from '../store/database/scoped.ts';
import * as store from '../store/jobs/jobs.ts';

/** Failures of these kinds can be retried one by one. */
const OBJECTS = [JobFailureKind.JOB_FAILURE_KIND_TABLE, JobFailureKind.JOB_FAILURE_KIND_VIEW];

/** @throws CodedError FAILED_PRECONDITION, with the connector's name, if it was deleted since */
export async function connectorToRetry(
  trx: Scoped,
  { jobId, connectorId, connectorName }: ReconcileJob,
): Promise<Connector> {
  try {
    return await getConnector(trx, connectorId);
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== 'NOT_FOUND' || connectorName === '') throw error;
    throw new CodedError(
      'FAILED_PRECONDITION',
      `job ${jobId} cannot be retried: its connector '${connectorName}' was deleted`,
    );
  }
}

/**
 * The input of a workflow that retries the failures of a job: only the failed tables and views, or the whole job if anything else failed.
 *
 * @throws CodedError FAILED_PRECONDITION if nothing failed or the job has not ended
 */
export async function retryRequestOf(trx: Scoped, job: ReconcileJob, connector: Connector): Promise<ReconcileRequest> {
  const { jobId, connectorName, full, requestJson, state } = job;
  if (!isEnded(state)) {
    throw new CodedError('FAILED_PRECONDITION', `job ${jobId} has not ended; retry it after it has ended`);
  }
  const kinds = await store.failureKinds(trx, jobId);
  if (kinds.length === 0 && state !== JobState.JS_FAILED) {
    const how = state === JobState.JS_CANCELLED ? 'was cancelled' : 'succeeded';
    const command = `reconciler connector trigger ${shellWord(connectorName)}`;
    throw new CodedError(
      'FAILED_PRECONDITION',
      `nothing failed in job ${jobId}, which ${how}; to run it again: ${command}`,
    );
  }
  const asked = requestJson === '' ? {} : (JSON.parse(requestJson) as ReconcileRequest);
  // A job may verify everything without being asked to: the first one after the catalog was restored.
  const original = { ...asked, ...(full && { full }) };
  const { connectorId, displayName } = connector;
  const whole: ReconcileRequest = { ...original, connector: connectorId, connectorName: displayName, trigger: 'retry' };
  const onlyObjects = kinds.length > 0 && kinds.every((kind) => OBJECTS.includes(kind));
  return onlyObjects ? { ...whole, retryOf: jobId } : whole;
}
