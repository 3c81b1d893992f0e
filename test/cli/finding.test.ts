import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { similarTo } from '../../src/cli/io/did-you-mean.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { type Harness, runCli, startHarness } from './harness.ts';

let cli: Harness;
beforeEach(async () => {
  cli = await startHarness();
});
afterEach(async () => {
  await cli[Symbol.asyncDispose]();
});

async function createNamespaces(...paths: string[][]): Promise<void> {
  const { catalogs, namespaces } = cli.clients;
  const { catalogId } = await catalogs.createCatalog({ catalog: { displayName: 'main', description: 'of all' } });
  for (const path of paths) await namespaces.createNamespace({ namespace: { catalogId, path } });
}

describe('catalog list', () => {
  it('lists the catalogs as names contain them', async () => {
    expect((await cli.run('catalog', 'list')).stderr).toContain('no catalogs yet');
    await createNamespaces();
    await cli.clients.catalogs.createCatalog({ catalog: { displayName: 'my catalog' } });
    const { stdout } = await cli.run('catalog', 'list');
    expect(stdout).toMatch(/^CATALOG +CREATED +DESCRIPTION\nmain +\S+Z +of all\n"my catalog" +\S+Z\n$/);
    expect((await cli.run('catalog', 'list', '--json')).json.map((c) => c.displayName)).toEqual(['main', 'my catalog']);
  });
});

describe('an unknown name', () => {
  it('of a connector is answered with similar ones', async () => {
    for (const name of ['lake', 'lakehouse', 'prod']) await cli.create(name);
    const { code, stderr } = await cli.run('connector', 'get', 'lkae');
    expect(code).toBe(1);
    expect(stderr).toContain("hint: did you mean 'lake'? `reconciler connector list` shows what exists\n");
    expect((await cli.run('connector', 'get', 'zzzzzz')).stderr).toContain('hint: `reconciler connector list` shows');
  });

  it('of a catalog, a namespace or a table is answered with whole names', async () => {
    await createNamespaces(['sales'], ['my ns', 'eu']);
    const hint = async (...args: string[]) => /hint: (.*)/.exec((await cli.run(...args)).stderr)?.[1];
    expect(await hint('table', 'list', 'mian.sales')).toBe(
      "did you mean 'main.sales'? `reconciler catalog list` shows what exists",
    );
    expect(await hint('table', 'list', 'main.slaes')).toBe(
      "did you mean 'main.sales'? `reconciler namespace list main` shows what exists",
    );
    expect(await hint('view', 'list', 'main."my ns".ue')).toContain(`did you mean 'main."my ns".eu'?`);
    expect(await hint('table', 'get', 'main.sales.orders')).toBe(
      '`reconciler table list main.sales` shows what exists',
    );
  });

  it('is shown as a shell needs it', async () => {
    await createNamespaces(['my ns']);
    expect((await cli.run('table', 'list', 'main."my ns"')).code).toBe(0);
    expect((await cli.run('table', 'list', '"my catalog"')).stderr).toContain(
      `\`reconciler namespace list '"my catalog"'\` lists them`,
    );
  });

  it('of a command is answered with a similar one', async () => {
    const hint = 'hint: add --help to see the options\n';
    expect((await runCli(['conector', 'list'])).stderr).toBe(
      `error: unknown command 'conector'; did you mean 'connector'?\n${hint}`,
    );
    expect((await runCli(['job', 'lst'])).stderr).toBe(`error: unknown command 'lst'; did you mean 'list'?\n${hint}`);
    expect((await runCli(['job', 'list', '--limt', '3'])).stderr).toContain(
      "unknown option '--limt'; did you mean '--limit'?\n",
    );
  });

  it('of a catalog command does not start the service', async () => {
    const { code, stdout, stderr } = await runCli(['catalog', 'lst']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(
      /^error: unknown command 'lst'; did you mean 'list'\?\nhint: `reconciler catalog` alone runs/,
    );
  });

  it('of a shell, a state or a time is named once, with what is possible', async () => {
    const first = async (...args: string[]) => (await runCli(args)).stderr.split('\n')[0];
    expect(await first('completion', 'tcsh')).toBe("error: <shell> 'tcsh' is not one of bash, zsh, fish");
    expect(await first('job', 'list', '--state', 'faild')).toBe(
      "error: --state 'faild' is not one of queued, running, succeeded, failed, cancelled, or several of them, separated by commas",
    );
    expect(await first('job', 'list', '--since', 'yesterday')).toBe(
      "error: --since 'yesterday' is neither a time, such as 2026-07-01T12:00:00Z, nor how long ago it was: 15m, 2h, 7d",
    );
  });

  it('is similar if few characters differ, or if one begins with the other', () => {
    expect(similarTo('ordres', ['orders', 'order_items', 'returns'])).toEqual(['orders']);
    expect(similarTo('orders', ['orders_2024', 'ORDERS'])).toEqual(['ORDERS', 'orders_2024']);
    expect(similarTo('x', ['abc', 'yz'])).toEqual([]);
  });
});

describe('job list', () => {
  it('selects by state and time', async () => {
    await cli.create('lake');
    const run = async (state: JobState) => {
      cli.jobs.outcome = undefined;
      const jobId = (await cli.run('connector', 'trigger', 'lake', '--full')).stdout.trim();
      await cli.jobs.finish(jobId, { state, message: 'done' });
      return jobId;
    };
    const [failed, succeeded] = [await run(JobState.JS_FAILED), await run(JobState.JS_SUCCEEDED)];
    const ids = async (...args: string[]) => (await cli.run('job', 'list', ...args, '--json')).json.map((j) => j.jobId);
    expect(await ids('--state', 'failed')).toEqual([failed]);
    expect(await ids('--state', 'Failed,succeeded', '--since', '1h')).toEqual([succeeded, failed]);
    expect(await ids('--since', '2999-01-01')).toEqual([]);
    expect((await cli.run('job', 'list', '--state', 'running')).stderr).toBe('no such jobs\n');
    expect(await cli.run('job', 'list', '--state', 'done')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("'done' is not one of queued, running, succeeded, failed, cancelled"),
    });
    expect(await cli.run('job', 'list', '--since', 'yesterday')).toMatchObject({ code: 2 });
  });
});

describe('colours', () => {
  const failure = async (env: Record<string, string>) => {
    return (await runCli(['connector', 'get', 'x'], { RECONCILER_ADDRESS: cli.address, ...env })).stderr;
  };

  it('are off in a pipe, on with FORCE_COLOR, and off with NO_COLOR', async () => {
    const [error, hint] = (await failure({ FORCE_COLOR: '1' })).split('\n');
    expect(error).toContain('\u001b[31merror:\u001b[39m ');
    expect(hint).toContain('\u001b[2mhint: ');
    expect(await failure({ FORCE_COLOR: '1', NO_COLOR: '1' })).toMatch(/^error: .*\nhint: /);
    expect(await failure({ FORCE_COLOR: '0' })).toMatch(/^error: .*\nhint: /);
  });

  it('are those of other errors for wrong usage', async () => {
    const { stderr } = await runCli(['job', 'lst'], { FORCE_COLOR: '1' });
    const [error, hint] = stderr.split('\n');
    expect(error).toContain('\u001b[31merror:\u001b[39m unknown command');
    expect(hint).toContain('\u001b[2mhint: ');
  });
});
