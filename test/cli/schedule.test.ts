import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { poll } from '../jest/poll.ts';
import { type Harness, startHarness } from './harness.ts';

let cli: Harness;
beforeAll(async () => {
  cli = await startHarness();
});
afterAll(async () => cli[Symbol.asyncDispose]());

const create: Harness['create'] = (...args) => cli.create(...args);
const policyOf = async (name: string) => (await cli.run('connector', 'get', name, '--json')).json[0].policy;
/** The status of all schedules, polled until Temporal has them. */
const statuses = () =>
  poll(async () => (await cli.run('schedule', 'list', '--json')).json.map((s) => s.status), {
    timeout: 10_000,
  });

it('reports that there is no schedule, and how to add one', async () => {
  await create('by hand');
  const { code, stdout, stderr } = await cli.run('schedule', 'list');
  expect([code, stdout]).toEqual([0, '']);
  expect(stderr).toContain('no schedules; add one with `reconciler connector update NAME --interval 15m`');
  expect((await cli.run('connector', 'get', 'by hand')).stdout).toMatch(/^schedule +by hand$/m);
});

it('shows when connectors run, and the next run', async () => {
  await create('often', '--interval', '90m', '--jitter', '5m');
  const weekly = ['--cron', '0 6 * * mon-fri', '--cron', '@weekly', '--time-zone', 'Europe/Vienna'];
  const { stdout } = await create('weekly', ...weekly, '--no-schedule');
  expect(stdout).toMatch(/^schedule +0 6 \* \* mon-fri and @weekly Europe\/Vienna \(off\)$/m);
  await statuses().toEqual(['SCHEDULE_STATUS_OK', 'SCHEDULE_STATUS_OK']);
  const rows = (await cli.run('schedule', 'list')).stdout.trimEnd().split('\n');
  expect(rows[0]).toMatch(/^CONNECTOR +WHEN +NEXT RUN +LAST RUN +LAST JOB +STATUS$/);
  expect(rows[1]).toMatch(/^often +every 90m +2030-01-01T06:00:00Z +- +- +ok$/);
  expect(rows[2]).toMatch(/^weekly +0 6 .* Europe\/Vienna +paused +- +- +ok$/);
  const { stdout: often } = await cli.run('connector', 'get', 'often');
  expect(often).toMatch(/^schedule +every 90m$/m);
  expect(often).toMatch(/^jitter +up to 5m$/m);
  expect(often).toMatch(/^next run +2030-01-01T06:00:00Z$/m);
  expect((await cli.run('connector', 'get', 'weekly')).stdout).toMatch(/^next run +none, paused$/m);
});

it('replaces an interval by a calendar, and the other way round', async () => {
  await cli.run('connector', 'update', 'often', '--cron', '@hourly');
  expect(await policyOf('often')).toMatchObject({ cron: ['@hourly'], interval: '0s', enabled: true });
  await cli.run('connector', 'update', 'often', '--interval', '10m');
  expect(await policyOf('often')).toMatchObject({ cron: [], interval: '600s', enabled: true });
  await cli.run('connector', 'update', 'often', '--interval', '0');
  expect(await policyOf('often')).toMatchObject({ interval: '0s', enabled: false });
  await cli.run('connector', 'update', 'often', '--cron', '@daily');
  await cli.run('connector', 'update', 'often', '--cron', '');
  expect(await policyOf('often')).toMatchObject({ cron: [], enabled: false });
  expect((await cli.run('connector', 'get', 'often')).stdout).toMatch(/^schedule +by hand$/m);
  await cli.run('connector', 'update', 'often', '--interval', '1h');
});

it('refuses an invalid calendar, and reports why', async () => {
  const { code, stderr } = await create('wrong', '--cron', '0 25 * * *', '--time-zone', 'europe/vienna');
  expect(code).toBe(2);
  expect(stderr).toContain("--cron '0 25 * * *': '25' is not a valid hour: use values from 0 to 23");
  expect(stderr).toContain("; --time-zone 'europe/vienna' is not an IANA name such as Europe/Vienna");
  expect((await cli.run('connector', 'get', 'wrong')).code).toBe(1);
});

it('repairs schedules, and shows what was wrong', async () => {
  await statuses().toEqual(['SCHEDULE_STATUS_OK', 'SCHEDULE_STATUS_OK']);
  const { kept } = cli.jobs.schedules;
  for (const [id, { connector }] of kept) if (connector.name === 'often') kept.delete(id);
  const gone = 'con_0000000000000000000000';
  kept.set(gone, { ...[...kept.values()][0]!, connector: { id: gone, name: 'gone' } });
  expect((await cli.run('connector', 'get', 'often')).stdout).toMatch(
    /^next run .*`reconciler schedule repair` corrects it/m,
  );
  const { code, stdout } = await cli.run('schedule', 'repair');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^often +every 1h .* missing$/m);
  expect(stdout).toMatch(new RegExp(`^${gone} .* surplus$`, 'm'));
  expect(stdout).toMatch(/^1 created, 0 changed, 1 removed, 1 already correct$/m);
  expect((await cli.run('schedule', 'repair')).stdout).toBe('0 created, 0 changed, 0 removed, 2 already correct\n');
  expect((await cli.run('schedule', 'repair', '--json')).json[0]).toMatchObject({ repaired: [], unchanged: '2' });
});

it('shows the schedules of other catalogs, and leaves them alone', async () => {
  const { kept } = cli.jobs.schedules;
  const [ours] = [...kept.values()];
  const id = 'con_1111111111111111111111';
  kept.set(id, { ...ours!, catalogId: 'svc_theirs', connector: { id, name: 'theirs' } });
  expect((await cli.run('schedule', 'list')).stdout).toMatch(new RegExp(`^${id} .* foreign$`, 'm'));
  const { stdout } = await cli.run('schedule', 'repair');
  expect(stdout).toBe('0 created, 0 changed, 0 removed, 2 already correct, 1 of another catalog left alone\n');
  kept.set(ours!.connector.id, { ...ours!, catalogId: 'svc_theirs' });
  expect((await cli.run('connector', 'get', ours!.connector.name)).stdout).toMatch(
    /^next run +none: the schedule with its id belongs to another catalog$/m,
  );
});
