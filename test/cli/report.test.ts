import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { toDuration } from '../../src/durations.ts';
import { JobChangeKind, type JobOutcome, JobResult, JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { type Harness, startHarness } from './harness.ts';

let cli: Harness;
let folder: string;
beforeEach(async () => {
  cli = await startHarness();
  folder = mkdtempSync(join(tmpdir(), 'report-'));
  await cli.create('lake');
});
afterEach(async () => {
  await cli[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const outcome = (name: string, more: Partial<JobOutcome> = {}): Partial<JobOutcome> => ({
  kind: JobChangeKind.JOB_CHANGE_KIND_TABLE,
  name,
  destination: `main.${name}`,
  result: JobResult.JOB_RESULT_UPDATED,
  duration: toDuration(1.5),
  snapshotsIngested: 2n,
  filesIngested: 30n,
  bytesRead: 1_000n,
  upstreamRequests: 4n,
  ...more,
});

/** A job that ends like this as soon as its outcomes are recorded. */
async function endedJob(outcomes: Partial<JobOutcome>[], state = JobState.JS_SUCCEEDED): Promise<string> {
  cli.jobs.outcome = undefined;
  const jobId = (await cli.run('connector', 'trigger', 'lake')).stdout.trim();
  await cli.clients.reconciliation.recordJobOutcomes({ jobId, step: 'run/1', outcomes });
  const failures = state === JobState.JS_FAILED ? [{ table: 'sales.broken', code: 'DATA_LOSS', message: 'a | b' }] : [];
  await cli.jobs.finish(jobId, { state, message: 'done', failures });
  return jobId;
}

it('lists what happened to each table, and the failures', async () => {
  const jobId = await endedJob(
    [
      outcome('sales.orders', { result: JobResult.JOB_RESULT_CREATED }),
      outcome('sales.gone', { result: JobResult.JOB_RESULT_DROPPED, duration: undefined, destination: '' }),
    ],
    JobState.JS_FAILED,
  );
  const { stdout } = await cli.run('job', 'report', jobId);
  expect(stdout).toContain('| sales.orders | table | created | 1.5s | 2 | 30 | 4 | main.sales.orders |\n');
  expect(stdout).toContain('| sales.gone | table | dropped | - | 2 | 30 | 4 | - |\n');
  expect(stdout).toContain('\n1 unchanged.\n');
  expect(stdout).toContain('| sales.broken | DATA\\_LOSS | a \\| b |\n');
  const { json } = await cli.run('job', 'report', jobId, '--format', 'json').then(({ stdout }) => ({
    json: JSON.parse(stdout),
  }));
  expect(json.job).toMatchObject({ jobId, state: 'JS_FAILED', tablesUnchanged: '1' });
  expect(json.tables.map((each: JobOutcome) => [each.name, each.result])).toEqual([
    ['sales.gone', 'JOB_RESULT_DROPPED'],
    ['sales.orders', 'JOB_RESULT_CREATED'],
  ]);
  expect(json.failures).toMatchObject([{ table: 'sales.broken', code: 'DATA_LOSS' }]);
});

it('reads all pages of the outcomes', async () => {
  const names = Array.from({ length: 1_200 }, (_, n) => `sales.t${String(n).padStart(5, '0')}`);
  const jobId = await endedJob(names.slice(0, 1_000).map((name) => outcome(name)));
  const rest = names.slice(1_000).map((name) => outcome(name));
  await cli.clients.reconciliation.recordJobOutcomes({ jobId, step: 'run/2', outcomes: rest });
  const { stdout } = await cli.run('job', 'report', jobId, '--json');
  expect(JSON.parse(stdout).tables.map(({ name }: JobOutcome) => name)).toEqual(names);
  expect((await cli.run('job', 'report', jobId)).stdout.match(/^\| sales\.t/gm)).toHaveLength(1_200);
});

it('is written at the end of a job that was waited for, also if it failed, and nothing else is left', async () => {
  const file = join(folder, 'report.json');
  cli.jobs.outcome = { state: JobState.JS_FAILED, message: 'no', failures: [{ table: 'a.b', code: 'DATA_LOSS' }] };
  const { code, stderr } = await cli.run('connector', 'trigger', 'lake', '--wait', '--report', file);
  expect(code).toBe(1);
  expect(stderr).toContain(`report: ${file}`);
  const written = JSON.parse(readFileSync(file, 'utf8'));
  expect(written.failures).toMatchObject([{ table: 'a.b' }]);
  const markdown = join(folder, 'retry.md');
  cli.jobs.outcome = { state: JobState.JS_SUCCEEDED, message: 'yes' };
  expect((await cli.run('job', 'retry', written.job.jobId, '--wait', '--report', markdown)).code).toBe(0);
  expect(readFileSync(markdown, 'utf8')).toMatch(/^# Job reconcile-lake-/);
  expect(readdirSync(folder).sort()).toEqual(['report.json', 'retry.md']);
});

it('is refused before the job starts if it could not be written', async () => {
  const without = await cli.run('connector', 'trigger', 'lake', '--report', join(folder, 'r.md'));
  expect(without).toMatchObject({ code: 2, stderr: expect.stringContaining('--report needs --wait') });
  const file = join(folder, 'no', 'r.md');
  expect(await cli.run('connector', 'trigger', 'lake', '--wait', '--report', file)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`--report ${file} cannot be written`),
  });
  expect(await cli.run('connector', 'trigger', 'lake', '--wait', '--report', folder)).toMatchObject({ code: 2 });
  expect(cli.jobs.started).toEqual([]);
  expect(existsSync(file)).toBe(false);
});
