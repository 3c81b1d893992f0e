import { AsyncLocalStorage } from 'node:async_hooks';
import type { Claim } from '../../../contract/claim.ts';
import { CodedError } from '../../../errors.ts';
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
