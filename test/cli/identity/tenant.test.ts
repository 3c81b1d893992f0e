import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Harness, startHarness } from '../harness.ts';

let cli: Harness;
beforeAll(async () => {
  cli = await startHarness();
});
afterAll(async () => cli[Symbol.asyncDispose]());

describe('reconciler tenant', () => {
  it('creates a tenant with all its fields, and shows them', async () => {
    const fields = ['--description', 'ACME Corp.', '--namespace', 'acme-jobs', '--task-queue', 'acme'];
    const limits = ['--max-requests', '20', '--max-streams', '4', '--max-connectors', '10', '--max-tables', '1000'];
    const more = ['--max-files', '1000000', '--max-jobs', '5'];
    const { code, stdout } = await cli.run('tenant', 'create', 'acme', ...fields, ...limits, ...more);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Temporal namespace +acme-jobs\ntask queue +acme\ncalls per second +20\n/m);
    expect(stdout).toMatch(/^data and delete files +1,000,000$/m);
    expect((await cli.run('tenant', 'get', 'acme', '--json')).json[0]).toMatchObject({
      tenantId: 'acme',
      temporalNamespace: 'acme-jobs',
      taskQueue: 'acme',
      limits: {
        ...{ requestsPerSecond: 20, openStreams: 4, runningJobs: 5 },
        ...{ connectors: '10', tables: '1000', files: '1000000' },
      },
    });
  });

  it('shows what a limit is if it is not set', async () => {
    await cli.run('tenant', 'create', 'plain');
    const { stdout } = await cli.run('tenant', 'get', 'plain');
    expect(stdout).toMatch(/^calls per second +200 \(default\)$/m);
    expect(stdout).toMatch(/^Temporal namespace +that of the catalog service$/m);
  });

  it('changes only what options name, and resets with 0', async () => {
    await cli.run('tenant', 'create', 'changing', '--description', 'before', '--max-jobs', '5', '--max-tables', '7');
    const { code, stdout } = await cli.run('tenant', 'update', 'changing', '--max-jobs', '0', '--task-queue', 'eu');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^description +before$/m);
    expect(stdout).toMatch(/^jobs that run or wait +50 \(default\)$/m);
    expect(stdout).toMatch(/^tables +7$/m);
    expect(stdout).toMatch(/^task queue +eu$/m);
    const stale = await cli.run('tenant', 'update', 'changing', '--max-jobs', '1', '--etag', 'old');
    expect(stale).toMatchObject({ code: 1, stderr: expect.stringContaining('someone else changed it') });
    expect(await cli.run('tenant', 'update', 'changing')).toMatchObject({
      code: 2,
      stderr: 'error: there is nothing to change\nhint: name at least one field, such as --max-jobs 20\n',
    });
  });

  it('lists tenants', async () => {
    await cli.run('tenant', 'create', 'listed', '--description', 'for the list');
    const { stdout } = await cli.run('tenant', 'list');
    expect(stdout).toMatch(/^TENANT +NAMESPACE +TASK QUEUE +CREATED +DESCRIPTION\n/);
    expect(stdout).toMatch(/^default +shared +common /m);
    expect(stdout).toMatch(/^listed +shared +common +\S+ +for the list$/m);
    expect((await cli.run('completion', 'names', 'tenant')).stdout.split('\n')).toContain('listed');
  });

  it('deletes a tenant only if that is confirmed, and suggests what may have been meant', async () => {
    await cli.run('tenant', 'create', 'leaving');
    expect(await cli.run('tenant', 'delete', 'leaving')).toMatchObject({
      code: 2,
      stderr: "error: this would delete the tenant 'leaving' with its tokens\nhint: add --yes to delete it\n",
    });
    expect((await cli.run('tenant', 'get', 'leavin')).stderr).toMatch(/hint: did you mean 'leaving'\?/);
    expect(await cli.run('tenant', 'delete', 'leaving', '--yes')).toMatchObject({
      code: 0,
      stdout: 'deleted leaving\n',
    });
    expect((await cli.run('tenant', 'get', 'leaving')).code).toBe(1);
    expect((await cli.run('tenant', 'delete', 'default', '--yes')).code).toBe(1);
  });

  it('names a limit that is no number', async () => {
    const { code, stderr } = await cli.run('tenant', 'create', 'x', '--max-jobs', 'many');
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--max-jobs 'many' is not a whole number from 0 to 2147483647"),
    });
  });
});

describe('--tenant', () => {
  it('and RECONCILER_TENANT select the tenant of a call', async () => {
    await cli.run('tenant', 'create', 'one');
    await cli.create('lake', '--tenant', 'one');
    expect((await cli.run('connector', 'list', '--tenant', 'one', '--json')).json).toMatchObject([
      { displayName: 'lake' },
    ]);
    expect((await cli.run('connector', 'list', '--json')).json).toEqual([]);
    expect((await cli.run('connector', 'list', '--tenant', 'ONE')).code).toBe(2);
  });
});
