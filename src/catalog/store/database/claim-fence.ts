import { AsyncLocalStorage } from 'node:async_hooks';
import { CLAIM_METADATA, type Claim } from '../../../contract/claim.ts';
import { CodedError } from '../../../errors.ts';
import { currentCall } from '../../identity/current-call.ts';
import { isAnyone } from '../../identity/principal.ts';
import { compiledQuery } from './compiled-query.ts';
import type { Scoped } from './scoped.ts';

type Db = Scoped;

/** A write was refused, since its claim is not, or no longer, the connector's. The client receives the reason CLAIM_LOST. */
export class ClaimLost extends CodedError {
  constructor(message: string) {
    super('FAILED_PRECONDITION', message);
  }
}

const claims = new AsyncLocalStorage<Claim | undefined>();

/** The claim under which the current call writes; undefined if it need not have one. */
export const currentClaim = (): Claim | undefined => claims.getStore();

/** Does work whose writes are refused once the claim is lost. With undefined, writes are not checked: the catalog's own work has no claim. */
export function underClaim<T>(claim: Claim | undefined, work: () => T): T {
  return claims.run(claim, work);
}

/**
 * Checks that the call may write what a connector owns: a worker may for the job that has claimed the connector, an admin may through the public
 * services, and so may the catalog itself. Whether the claim is still held is checked when the transaction begins. A catalog that does not
 * authenticate needs no claim, since everybody could take one there.
 *
 * @param connectorId null for what no connector owns
 * @throws CodedError PERMISSION_DENIED
 */
export function requireClaimOn(connectorId: string | null): void {
  if (connectorId === null) return;
  const claim = currentClaim();
  if (claim !== undefined) {
    if (claim.connectorId === connectorId) return;
    throw denied(
      `has the claim on connector ${claim.connectorId} and not on ${connectorId}, which owns what it writes`,
    );
  }
  if (!needsClaim()) return;
  throw denied(
    `writes what connector ${connectorId} owns: only the job that has claimed the connector may, and sends its claim in the metadata ${CLAIM_METADATA}`,
  );
}

/**
 * Checks that the call may write the record of a job: with a claim, it must be that of the job; without one, the job must have none, or the
 * caller must be the run that has it and was not told. Call it in the transaction that writes.
 *
 * @param runId empty if the caller names none
 * @throws CodedError PERMISSION_DENIED
 */
export async function requireClaimOfJob(db: Db, jobId: string, runId = ''): Promise<void> {
  const claim = currentClaim();
  const query = db
    .selectFrom('connectors')
    .select(['connector_id', 'running_job_id', 'claim_run_id'])
    .where('tenant_id', '=', db.tenant);
  if (claim !== undefined) {
    const present = await query.where('connector_id', '=', claim.connectorId).executeTakeFirst();
    if (present === undefined || present.running_job_id === jobId || present.running_job_id === '') return;
    throw denied(`has the claim of job ${present.running_job_id} and writes about job ${jobId}`);
  }
  if (!needsClaim()) return;
  const held = await query.where('running_job_id', '=', jobId).executeTakeFirst();
  if (held === undefined || held.claim_run_id === runId) return;
  throw denied(`writes about job ${jobId}, which has claimed its connector, without the metadata ${CLAIM_METADATA}`);
}

/** Whether the call is a worker's, as far as it writes. */
function needsClaim(): boolean {
  const call = currentCall();
  if (call === undefined || isAnyone(call.principal)) return false;
  return call.method.startsWith('/reconciler.internal.') || !call.principal.roles.includes('admin');
}

function denied(what: string): CodedError {
  return new CodedError('PERMISSION_DENIED', `${currentCall()?.method.split('/').at(-1) ?? 'The call'} ${what}`);
}

const claimOf = compiledQuery((db, tenant: string, connectorId: string) =>
  db
    .selectFrom('connectors')
    .select(['running_job_id', 'claim_epoch', 'claim_run_id'])
    .where('tenant_id', '=', tenant)
    .where('connector_id', '=', connectorId),
);

/**
 * Checks that the claim is the connector's present one. Call it in the transaction that writes.
 *
 * @throws ClaimLost
 */
export async function requireClaim(db: Db, claim: Claim): Promise<void> {
  const [present] = await claimOf(db, db.tenant, claim.connectorId);
  const isHeld = present !== undefined && present.running_job_id !== '';
  if (isHeld && present.claim_epoch === claim.epoch && present.claim_run_id === claim.runId) return;
  const jobId = await jobOfRun(db, claim.runId);
  const newOwner = present?.running_job_id === jobId ? `another run of job ${jobId}` : `job ${present?.running_job_id}`;
  const fate = isHeld ? `has passed to ${newOwner}` : 'has ended';
  const run = jobId === undefined ? 'this run' : `this run of job ${jobId}`;
  throw new ClaimLost(`The claim on the connector ${fate}: ${run} may no longer write.`);
}

async function jobOfRun(db: Db, runId: string): Promise<string | undefined> {
  const query = db
    .selectFrom('job_runs')
    .select('job_id')
    .where('tenant_id', '=', db.tenant)
    .where('run_id', '=', runId);
  return (await query.orderBy('run_num', 'desc').limit(1).executeTakeFirst())?.job_id;
}
