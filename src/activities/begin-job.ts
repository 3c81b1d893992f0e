import { activityInfo } from '@temporalio/activity';
import { isClaimLost, withClaim } from '../catalog-client/claim.ts';
import type { BeginInput, BegunJob } from '../contract/activities.ts';
import { claimConnector } from './begin/claim-connector.ts';
import { ensureDestination } from './begin/ensure-destination.ts';
import { resolveConnector } from './begin/resolve-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { describeError, isFinal } from './runtime/failures.ts';

/**
 * Resolves the job's connector, claims it for this run of the workflow, records that, and ensures the destination. All in one activity,
 * since each is billed.
 *
 * @returns without an epoch if another job is ahead: the workflow waits, and calls this again
 */
export async function beginJob(deps: ActivityDeps, input: BeginInput): Promise<BegunJob> {
  const { request, record, hasDestination, continued } = input;
  // Once it is resolved, the job keeps its connector, also if that gets another name.
  const named = record.connectorId === '' ? request : { ...request, connector: record.connectorId };
  const connector = await resolveConnector(deps, named);
  const { connectorId, name } = connector;
  const { runId = '' } = activityInfo().workflowExecution ?? {};
  const claim = await claimConnector(deps, { ...record, connectorId, connectorName: name }, request, {
    runId,
    continued,
  });
  if ('waitsFor' in claim) return { connector, waitsFor: claim.waitsFor };
  const { epoch, taskQueue, ...held } = claim;
  const begun = { connector: { ...connector, taskQueue: connector.taskQueue ?? taskQueue }, epoch, ...held };
  if (hasDestination) return begun;
  try {
    const { dryRun } = request;
    const ensure = () => ensureDestination(deps, { connectorId, dryRun });
    return { ...begun, destination: await withClaim({ connectorId, epoch, runId }, ensure) };
  } catch (error) {
    // The workflow has to learn of the claim, to release it.
    if (isFinal(error) && !isClaimLost(error)) return { ...begun, failure: describeError(error) };
    throw error;
  }
}
