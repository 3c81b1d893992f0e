import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobFailureKind, JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { type Harness, startHarness } from './harness.ts';

let cli: Harness;
let running: string;
beforeAll(async () => {
  cli = await startHarness();
  await cli.create('lake');
  cli.jobs.outcome = undefined;
  running = (await cli.run('connector', 'trigger', 'lake')).stdout.trim();
});
afterAll(async () => cli[Symbol.asyncDispose]());

it('shows the live counters of a running job', async () => {
  const { code, stdout } = await cli.run('job', 'get', running);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^tables +1,234 scanned, 7 changed, 0 unchanged$/m);
  expect(stdout).toMatch(/^ingested +9 snapshots, 10 files, 2\.0 KiB of metadata read$/m);
  expect((await cli.run('job', 'get', running, '--json')).json[0]).toMatchObject({
    jobId: running,
    state: 'JS_RUNNING',
    errors: '0',
  });
});

it('lists jobs, newest first, optionally those of one connector', async () => {
  await cli.create('idle');
  const { stdout } = await cli.run('job', 'list');
  expect(stdout).toMatch(/^JOB +CONNECTOR +STATE +CREATED +RAN FOR +CHANGED +ERRORS +MESSAGE/);
  expect(stdout).toContain(running);
  expect((await cli.run('job', 'list', '--connector', 'lake', '--json')).json.map((j) => j.jobId)).toEqual([running]);
  const none = await cli.run('job', 'list', '--connector', 'idle');
  expect(none).toMatchObject({ code: 0, stdout: '' });
  expect(none.stderr).toContain('no jobs yet');
});

it('lists and shows the jobs of a deleted connector', async () => {
  await cli.create('short-lived');
  cli.jobs.outcome = { state: JobState.JS_FAILED, message: 'in vain', failures: [{ table: 's.t', code: 'DATA_LOSS' }] };
  const { stdout, code } = await cli.run('connector', 'trigger', 'short-lived', '--wait');
  cli.jobs.outcome = undefined;
  expect(code).toBe(1);
  expect((await cli.run('connector', 'delete', 'short-lived')).code).toBe(0);
  const { json } = await cli.run('job', 'list', '--connector', 'short-lived', '--json');
  expect(json).toMatchObject([{ connectorName: 'short-lived', state: 'JS_FAILED', message: 'in vain' }]);
  const [{ jobId }] = json;
  expect(stdout).toContain(jobId);
  expect((await cli.run('job', 'get', jobId)).stdout).toContain('in vain');
  expect((await cli.run('job', 'failures', jobId)).stdout).toContain('s.t');
  const retry = await cli.run('job', 'retry', jobId);
  expect(retry.stderr).toBe(`error: job ${jobId} cannot be retried: its connector 'short-lived' was deleted\n`);
  const unknown = await cli.run('job', 'list', '--connector', 'never-there');
  expect(unknown).toMatchObject({ code: 1, stdout: '' });
  expect(unknown.stderr).toContain('never-there');
});

it('ends the watching at Ctrl-C, not the job', async () => {
  const watching = cli.run('job', 'watch', running);
  await new Promise((resolve) => setTimeout(resolve, 300));
  process.emit('SIGINT');
  const { code, stdout, stderr } = await watching;
  expect(code).toBe(130);
  expect(stdout).toBe('');
  expect(stderr).toContain('stopped watching; the job continues');
  expect((await cli.run('job', 'get', running, '--json')).json[0].state).toBe('JS_RUNNING');
});

it('watches until the job ends', async () => {
  const watching = cli.run('job', 'watch', running, '--json');
  await new Promise((resolve) => setTimeout(resolve, 300));
  await cli.jobs.finish(running, { state: JobState.JS_SUCCEEDED, message: 'done' });
  const { code, json } = await watching;
  expect(code).toBe(0);
  expect(json).toMatchObject([{ jobId: running, state: 'JS_SUCCEEDED' }]);
});

it('keeps watching while the catalog service restarts', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'restart-'));
  await using durable = await startHarness(join(folder, 'catalog.db'));
  await durable.create('lake');
  durable.jobs.outcome = undefined;
  const jobId = (await durable.run('connector', 'trigger', 'lake')).stdout.trim();
  const watching = durable.run('job', 'watch', jobId, '--json');
  await new Promise((resolve) => setTimeout(resolve, 300));
  await durable.restart(1_500);
  await durable.jobs.finish(jobId, { state: JobState.JS_SUCCEEDED, message: 'done' });
  const { code, json, stderr } = await watching;
  expect(code).toBe(0);
  expect(json).toMatchObject([{ jobId, state: 'JS_SUCCEEDED' }]);
  expect(stderr).toContain('the catalog service does not answer; retrying');
  rmSync(folder, { recursive: true });
});

it('retries what failed in a job', async () => {
  await cli.create('flaky');
  const kind = JobFailureKind.JOB_FAILURE_KIND_VIEW;
  const failures = [{ kind, table: 'view sales.v', code: 'DATA_LOSS', message: 'broken' }];
  const state = JobState.JS_FAILED;
  const failed = (await cli.run('connector', 'trigger', 'flaky', '--full')).stdout.trim();
  const early = await cli.run('job', 'retry', failed);
  expect(early.code).toBe(1);
  expect(early.stderr).toMatch(/^error: .*has not ended/m);
  await cli.jobs.finish(failed, { state, message: 'Partial failure (1): view sales.v: broken', failures });

  const { code, stdout, stderr } = await cli.run('job', 'retry', failed);
  expect(code).toBe(0);
  const jobId = stdout.trim();
  expect(stderr).toContain(`wait for it: reconciler job watch ${jobId}`);
  expect(cli.jobs.started.at(-1)).toMatchObject({ jobId, request: { retryOf: failed, full: true, trigger: 'retry' } });
  expect((await cli.run('job', 'get', jobId, '--json')).json[0]).toMatchObject({
    ...{ retryOfJobId: failed, trigger: 'JOB_TRIGGER_RETRY', full: true },
  });
  await cli.jobs.finish(jobId, { state, message: 'Partial failure (1): view sales.v: broken', failures });

  for (const [outcome, exit] of [
    [{ state, message: 'still broken', failures }, 1],
    [{ state: JobState.JS_SUCCEEDED, message: 'mended' }, 0],
  ] as const) {
    cli.jobs.outcome = { ...outcome, failures: [...failures.slice(0, exit)] };
    const waited = await cli.run('job', 'retry', failed, '--wait');
    expect(waited.code).toBe(exit);
    expect(waited.stdout).toMatch(new RegExp(`^message +${outcome.message}$`, 'm'));
  }
  const mended = cli.jobs.started.at(-1)!.jobId;
  const nothing = await cli.run('job', 'retry', mended);
  expect(nothing.code).toBe(1);
  expect(nothing.stderr).toMatch(/^error: .*nothing failed/m);
  cli.jobs.outcome = undefined;
});

it('cancels a job', async () => {
  const jobId = (await cli.run('connector', 'trigger', 'lake')).stdout.trim();
  const { code, json } = await cli.run('job', 'cancel', jobId, '--wait', '--json');
  expect(code).toBe(0);
  expect(json).toMatchObject([{ jobId, state: 'JS_CANCELLED' }]);
  expect((await cli.run('job', 'watch', jobId)).code).toBe(1);
});

it('exits with 1 for a job that does not exist', async () => {
  for (const command of ['get', 'watch', 'cancel', 'retry']) {
    const { code, stderr } = await cli.run('job', command, 'no-such-job');
    expect({ command, code }).toEqual({ command, code: 1 });
    expect(stderr).toMatch(/^error: .*no-such-job.*\nhint: `reconciler job list` shows what exists/);
  }
});
