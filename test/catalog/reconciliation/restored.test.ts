import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { connectorSpec, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const RESTORED_AT = new Date('2026-11-30T12:00:00.123Z');

/** A connector of a catalog that was restored. */
async function unverified(): Promise<string> {
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
  markRestored(connectorId, RESTORED_AT);
  return connectorId;
}
function markRestored(connectorId: string, at: Date): void {
  const sqlite = new Sqlite(catalog.file, { timeout: 5_000 });
  sqlite.prepare('update connectors set unverified_since = ? where connector_id = ?').run(at.getTime(), connectorId);
  sqlite.close();
}

let jobs = 0;
/** Runs a job with a request, and returns what its claim returned. */
async function run(
  connectorId: string,
  request: object,
  {
    verifiedSince = RESTORED_AT as Date | 'none',
    state = JobState.JS_SUCCEEDED,
    dryRun = false,
    startedAt = undefined as Date | undefined,
  } = {},
) {
  const job = {
    jobId: `job-${++jobs}`,
    connectorId,
    dryRun,
    requestJson: JSON.stringify({ connector: connectorId, ...request }),
    startedAt,
  };
  const runId = `run-${jobs}`;
  const { unverifiedSince } = await catalog.clients.reconciliation.claimConnector({ connectorId, job, runId });
  await catalog.clients.reconciliation.endJob({
    job: { ...job, state },
    connectorId,
    runId,
    ...(verifiedSince !== 'none' && { verifiedSince }),
  });
  const { full } = await catalog.clients.connectors.getReconcileJob({ jobId: job.jobId });
  return { unverifiedSince, full };
}
const isUnverified = async (connectorId: string) =>
  (await run(connectorId, {}, { verifiedSince: 'none' })).unverifiedSince;

describe('a connector of a catalog that was restored', () => {
  it.each([
    ['succeeded', JobState.JS_SUCCEEDED],
    ['failed partly', JobState.JS_FAILED],
  ])('is verified by a complete job that %s', async (_, state) => {
    const connectorId = await unverified();
    expect(await run(connectorId, { trigger: 'schedule', allowMissing: true }, { state })).toEqual({
      unverifiedSince: RESTORED_AT,
      full: true,
    });
    expect(await run(connectorId, {})).toEqual({ unverifiedSince: undefined, full: false });
  });

  it.each<[string, object, object]>([
    ['with a scope', { scope: { table: 'orders' } }, {}],
    ['that retries another', { retryOf: 'job' }, {}],
    ['with a mode of its own', { mode: 'METADATA_ONLY' }, {}],
    ['with snapshots of its own', { snapshots: { kind: 'CURRENT' } }, {}],
    ['that is dry', { dryRun: true }, { dryRun: true }],
    ['that did not go through', {}, { verifiedSince: 'none' }],
    ['that began after an earlier restore', {}, { verifiedSince: new Date('2026-11-29') }],
  ])('is not verified by a job %s', async (_, request, options) => {
    const connectorId = await unverified();
    expect(await run(connectorId, request, options)).toEqual({ unverifiedSince: RESTORED_AT, full: true });
    expect(await isUnverified(connectorId)).toEqual(RESTORED_AT);
  });

  it('does not make a job a full one that had begun before', async () => {
    const connectorId = await unverified();
    const startedAt = new Date(RESTORED_AT.getTime() - 60_000);
    const options = { startedAt, verifiedSince: 'none' as const };
    expect(await run(connectorId, {}, options)).toEqual({ unverifiedSince: RESTORED_AT, full: false });
  });

  it('gets a full retry of what failed in the job that verified it', async () => {
    const connectorId = await unverified();
    const job = { jobId: 'job-partly', connectorId, requestJson: JSON.stringify({ connector: connectorId }) };
    const runId = 'run-partly';
    await catalog.clients.reconciliation.claimConnector({ connectorId, job, runId });
    const failures = [
      { table: 'a.b', code: 'DATA_LOSS', message: 'truncated', kind: 'JOB_FAILURE_KIND_TABLE' as never },
    ];
    const end = { job: { ...job, state: JobState.JS_FAILED }, failures, connectorId, runId };
    await catalog.clients.reconciliation.endJob({ ...end, verifiedSince: RESTORED_AT });
    const { jobId } = await catalog.clients.jobs.retryReconcileJob({ jobId: job.jobId });
    const { requestJson } = await catalog.clients.connectors.getReconcileJob({ jobId });
    expect(JSON.parse(requestJson)).toMatchObject({ full: true, retryOf: 'job-partly' });
  });
});
