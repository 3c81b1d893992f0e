import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { GuardedCatalog } from '../../catalog/auth/clients.ts';
import { waitFor } from '../../jest/wait-for.ts';
import { runCli } from '../harness.ts';

let guarded: GuardedCatalog;
beforeAll(async () => {
  guarded = await GuardedCatalog.start();
});
afterAll(async () => guarded[Symbol.asyncDispose]());

const run = (...args: string[]) =>
  runCli(args, { RECONCILER_ADDRESS: guarded.catalog.address, RECONCILER_DATA_DIR: guarded.catalog.directory });
const create = (name: string) =>
  run('connector', 'create', name, '--kind', 'iceberg', '--uri', 'file:///x', '--destination-catalog', 'main');

describe('reconciler audit', () => {
  it('lists who changed what, newest first', async () => {
    await create('lake');
    await run('connector', 'update', 'lake', '--description', 'changed');
    const { code, stdout } = await run('audit');
    expect(code).toBe(0);
    const [titles, newest, before] = stdout.split('\n');
    expect(titles).toMatch(/^AT +SUBJECT +CALL +RESOURCE +RESULT +FIELDS +FROM +TRACE$/);
    expect(newest).toMatch(/^\S+Z +owner of \S+ +UpdateConnector +con_\S+ +ok +description +127\.0\.0\.1:\d+ +-$/);
    expect(before).toMatch(/ CreateConnector +lake +ok /);
  });

  it('shows calls that were refused', async () => {
    const { json } = await run('token', 'create', 'reader', '--role', 'reader', '--json');
    const env = { RECONCILER_ADDRESS: guarded.catalog.address, RECONCILER_TOKEN: json[0].secret };
    expect((await runCli(['connector', 'delete', 'lake'], env)).code).toBe(1);
    // Refusals are written in batches.
    const { stdout } = await waitFor(
      async () => {
        const ran = await run('audit', '--subject', 'reader');
        expect(ran.stdout).not.toBe('');
        return ran;
      },
      { timeout: 10_000 },
    );
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(stdout).toMatch(/reader +DeleteConnector +\S+ +refused/);
  });

  it('filters by time, subject and resource', async () => {
    await create('other');
    const calls = async (...args: string[]) =>
      (await run('audit', '--json', ...args)).json.map(({ method }) => method.split('/')[1]);
    expect(await calls('--resource', 'other')).toEqual(['CreateConnector']);
    expect(await calls('--resource', 'other', '--from', '1h')).toEqual(['CreateConnector']);
    expect(await calls('--resource', 'other', '--until', '1h')).toEqual([]);
    expect(await calls('--subject', 'nobody')).toEqual([]);
    expect((await run('audit', '--subject', 'nobody')).stderr).toBe('no such events\n');
    expect((await run('audit', '--from', 'yesterday')).code).toBe(2);
  });

  it('says that there are more events than it shows', async () => {
    const { stdout, stderr } = await run('audit', '--limit', '1');
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(stderr).toBe('There are more than 1; --limit shows more of them.\n');
  });

  it('lists the events that belong to no tenant with --platform', async () => {
    await run('tenant', 'create', 'acme');
    expect((await run('audit', '--platform')).stdout).toMatch(/ CreateTenant +acme +ok /);
    expect((await run('audit')).stdout).not.toContain('CreateTenant');
  });
});
