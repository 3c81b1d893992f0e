import type { Scoped } from '../database/scoped.ts';

type Db = Scoped;

/** Who claims a connector. */
export interface Claimant {
  connectorId: string;
  jobId: string;
  runId: string;
}

export interface ClaimResult {
  /** The job that has the claim: the claimant or, if it has to wait, the job ahead of it. */
  holderJobId: string;
  /** 0 if the claimant has to wait. */
  epoch: number;
}

/**
 * Gives a job the claim on its connector, or puts it at the end of the connector's queue. A free connector goes to the first job in the
 * queue and to nobody else, so that jobs run in the order in which they arrived. Call it in a transaction.
 */
export async function takeClaim(db: Db, { connectorId, jobId, runId }: Claimant): Promise<ClaimResult> {
  const present = await db
    .selectFrom('connectors')
    .select(['running_job_id as holder', 'claim_epoch as epoch', 'claim_run_id as run'])
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .executeTakeFirstOrThrow();
  if (present.holder === jobId && present.run === runId) return { holderJobId: jobId, epoch: present.epoch };
  const ahead = present.holder || (await firstWaiter(db, connectorId)) || jobId;
  if (ahead !== jobId) {
    await db
      .insertInto('claim_waiters')
      .values({ tenant_id: db.tenant, connector_id: connectorId, job_id: jobId })
      .onConflict((conflict) => conflict.columns(['tenant_id', 'job_id']).doNothing())
      .execute();
    return { holderJobId: ahead, epoch: 0 };
  }
  const epoch = present.epoch + 1;
  await db
    .updateTable('connectors')
    .set({ running_job_id: jobId, claim_run_id: runId, claim_epoch: epoch })
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .execute();
  await leaveQueue(db, jobId);
  return { holderJobId: jobId, epoch };
}

/** Releases the connector if the job has claimed it, and removes the job from the queue. Without `connectorId`, any connector. */
export async function releaseClaim(db: Db, jobId: string, connectorId?: string): Promise<void> {
  await leaveQueue(db, jobId);
  let query = db
    .updateTable('connectors')
    .set({ running_job_id: '' })
    .where('tenant_id', '=', db.tenant)
    .where('running_job_id', '=', jobId);
  if (connectorId !== undefined) query = query.where('connector_id', '=', connectorId);
  await query.execute();
}

/** Removes a job that has ended from the queue of its connector. */
export async function leaveQueue(db: Db, jobId: string): Promise<void> {
  await db.deleteFrom('claim_waiters').where('tenant_id', '=', db.tenant).where('job_id', '=', jobId).execute();
}

/** The job that is to claim the connector next; undefined if a job has the claim or none waits. */
export async function nextClaimant(db: Db, connectorId: string): Promise<string | undefined> {
  const connector = await db
    .selectFrom('connectors')
    .select('running_job_id')
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .executeTakeFirst();
  return connector?.running_job_id === '' ? firstWaiter(db, connectorId) : undefined;
}

/** The job that has the claim, if any, and up to `limit` jobs that wait for it, in their order. */
export async function claimants(db: Db, connectorId: string, limit: number): Promise<string[]> {
  const connector = await db
    .selectFrom('connectors')
    .select('running_job_id')
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .executeTakeFirst();
  const rows = await waiters(db, connectorId, limit).execute();
  const waiting = rows.map(({ job_id }) => job_id);
  return connector?.running_job_id ? [connector.running_job_id, ...waiting] : waiting;
}

async function firstWaiter(db: Db, connectorId: string): Promise<string | undefined> {
  return (await waiters(db, connectorId, 1).executeTakeFirst())?.job_id;
}

function waiters(db: Db, connectorId: string, limit: number) {
  const query = db
    .selectFrom('claim_waiters')
    .select('job_id')
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId);
  return query.orderBy('waiter_num').limit(limit);
}
