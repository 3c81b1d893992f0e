import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@temporalio/client';
import { isTimeZone } from '../../../src/catalog/validation/time-zone.ts';
import { type DesiredSchedule, type ScheduleControl, UNREADABLE } from '../../../src/contract/schedule-control.ts';
import { SEARCH_ATTRIBUTES } from '../../../src/contract/search-attributes.ts';
import { parseCron } from '../../../src/temporal/cron.ts';
import { EncryptionCodec } from '../../../src/temporal/payload-codec.ts';
import { temporalSchedules } from '../../../src/temporal/schedule-control.ts';
import { poll } from '../../jest/poll.ts';
import { TemporalServer } from '../stack/temporal-server.ts';

let temporal: TemporalServer;
beforeAll(async () => {
  temporal = await TemporalServer.start();
});
afterAll(() => temporal[Symbol.asyncDispose]());

/** Returns the calendar that the server derives from a schedule's spec, and the next run; undefined if the server rejects the spec. */
async function parsedByServer(spec: object) {
  const action = { type: 'startWorkflow' as const, workflowType: 'none', taskQueue: 'none' };
  let handle: Awaited<ReturnType<typeof temporal.client.schedule.create>>;
  try {
    handle = await temporal.client.schedule.create({ scheduleId: 'spec', spec, action, state: { paused: true } });
  } catch (error) {
    // The SDK throws this error for a spec that the server rejects as invalid.
    expect(error).toBeInstanceOf(TypeError);
    return undefined;
  }
  const { raw, info } = await handle.describe();
  await handle.delete();
  return { calendar: raw.schedule?.spec?.structuredCalendar?.[0], next: info.nextActionTimes[0] };
}

const GOOD = [
  '* * * * *',
  '0 6 * * 1-5',
  '*/15 * * * *',
  '5/15 * * * *',
  '1,2,3-5/2 0,12 * * *',
  '*/100 * * * *',
  '05 06 07 08 *',
  '0 0 * * 7',
  '0 0 * * 5-7',
  '0 0 * * 0-7',
  '0 0 * * 1-7/2',
  '0 0 * * SUN,tue',
  '0 0 * * mo-fr',
  '0 0 * jan-mar,Dece *',
  '0 0 31 2 *',
  '  0   6 * * *  ',
  '@yearly',
  '@annually',
  '@monthly',
  '@weekly',
  '@daily',
  '@midnight',
  '@hourly',
];
const BAD = [
  '',
  '* * * *',
  '60 * * * *',
  '* 24 * * *',
  '0 0 0 * *',
  '0 0 32 * *',
  '0 0 * 13 *',
  '0 0 * 0 *',
  '0 0 * * 8',
  '0 0 * * sat-sun',
  '5-1 * * * *',
  '*/0 * * * *',
  '*/00 * * * *',
  '*/x * * * *',
  '1/2/3 * * * *',
  '*-5 * * * *',
  '-5 * * * *',
  '1-2-3 * * * *',
  '1, * * * *',
  'H * * * *',
  '* * L * *',
  '* * ? * *',
  '0 6 * ja *',
  '0 6 * * s',
  '0x5 * * * *',
  '@DAILY',
  '@reboot',
];
/** The server accepts these, but they are not calendars of five fields, or they contain what the policy has a separate field for. */
const REJECTED_ONLY_HERE = [
  '@every 1h',
  '* * * * * *',
  '0 * * * * * *',
  'TZ=Europe/Vienna 0 6 * * *',
  '0 6 * * * # early',
];

describe('cron expressions', () => {
  it.each(GOOD)('are parsed as by the server: %s', async (cron) => {
    const { calendar } = (await parsedByServer({ cronExpressions: [cron] })) ?? {};
    for (const [field, values] of Object.entries(parseCron(cron))) {
      const theirs = new Set<number>();
      for (const range of calendar?.[field as 'hour'] ?? []) {
        const start = range.start ?? 0;
        for (let value = start; value <= Math.max(start, range.end ?? 0); value += range.step || 1) theirs.add(value);
      }
      expect({ [field]: values }).toEqual({ [field]: [...theirs].sort((a, b) => a - b) });
    }
  });

  it.each(BAD)('are rejected, as by the server: %s', async (cron) => {
    expect(await parsedByServer({ cronExpressions: [cron] })).toBeUndefined();
    expect(() => parseCron(cron)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it.each(REJECTED_ONLY_HERE)('are rejected although the server accepts them: %s', async (cron) => {
    expect(await parsedByServer({ cronExpressions: [cron] })).toBeDefined();
    expect(() => parseCron(cron)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

describe('time zones', () => {
  const known = [
    ...Intl.supportedValuesOf('timeZone'),
    ...['UTC', 'Etc/UTC', 'Etc/GMT+1', 'Etc/GMT-14', 'US/Pacific', 'Asia/Kolkata', 'Europe/Kyiv', 'America/Nuuk'],
    ...['America/Argentina/Buenos_Aires', 'Asia/Ho_Chi_Minh', 'America/Indiana/Indianapolis'],
  ];
  it('that are accepted are known to the server', async () => {
    expect(known.filter((name) => !isTimeZone(name))).toEqual([]);
    const unknown: string[] = [];
    for (const timezone of known) {
      if (!(await parsedByServer({ cronExpressions: ['@daily'], timezone }))) unknown.push(timezone);
    }
    // Up to four zones may be newer than the server's time zone data.
    expect(unknown.slice(4)).toEqual([]);
  }, 300_000);

  const refused = [
    'europe/vienna',
    'Europe/vienna',
    'EUROPE/VIENNA',
    'ASIA/KOLKATA',
    'utc',
    'PST',
    'JST',
    'Europe/Wien',
  ];
  it.each([...refused, '+01:00', 'Z', 'Europe', '../etc', 'SystemV/EST5', ' UTC', 'Asia/kolkata'])(
    'are rejected, as by the server: %s',
    async (timezone) => {
      expect(await parsedByServer({ cronExpressions: ['@daily'], timezone })).toBeUndefined();
      expect(isTimeZone(timezone)).toBe(false);
    },
  );
});

describe('schedules of connectors', () => {
  const desired = (id: string, fields: Partial<DesiredSchedule> = {}): DesiredSchedule => ({
    catalogId: 'svc_ours',
    tenant: 'default',
    connector: { id, name: 'lake' },
    jobIdPrefix: 'reconcile-lake-abc123',
    intervalSeconds: 3600,
    offsetSeconds: 0,
    cron: [],
    timeZone: '',
    jitterSeconds: 0,
    pausedBecause: '',
    ...fields,
  });
  const control = () => temporalSchedules(async () => temporal.client);

  it.each<[string, Partial<DesiredSchedule>]>([
    ['an interval', {}],
    ['an interval with an offset', { offsetSeconds: 754 }],
    // A summary that is cut within an emoji must not be sent with half of it.
    ['a long name', { connector: { id: 'con_alongname', name: '🦆'.repeat(64) } }],
    ['a calendar', { intervalSeconds: 0, cron: ['0 6 * * 1-5', '@weekly', '0 0 * * 5-7'], timeZone: 'Europe/Vienna' }],
    ['jitter and a start time', { jitterSeconds: 90, notBefore: new Date('2031-02-03T04:05:06.789Z') }],
    ['a pause', { pausedBecause: 'The connector is paused.' }],
  ])('are read back unchanged: %s', async (name, fields) => {
    const id = `con_${name.replace(/[^a-z]/g, '')}`;
    expect(await control().describe(id, desired(id, fields))).toBeUndefined();
    expect(await control().put(desired(id, fields))).toBe('made');
    expect(await control().describe(id, desired(id, fields))).toMatchObject({
      matchesDesired: true,
      paused: name === 'a pause',
      lastJobId: '',
      nextRunAt: name === 'a pause' ? undefined : expect.any(Date),
    });
    expect(await control().put(desired(id, fields))).toBe('unchanged');
    for (const change of [
      { intervalSeconds: 7200, cron: [] },
      { intervalSeconds: 3600, offsetSeconds: 755, cron: [] },
      { jitterSeconds: 7 },
      { jobIdPrefix: 'reconcile-sea' },
    ]) {
      expect(await control().describe(id, desired(id, { ...fields, ...change }))).toMatchObject({
        matchesDesired: false,
      });
    }
    expect(await control().put(desired(id, { ...fields, connector: { id, name: 'sea' } }))).toBe('changed');
    expect(await control().put(desired(id, fields))).toBe('changed');
    expect(await control().remove(id, 'svc_ours')).toBe(true);
    expect(await control().remove(id, 'svc_ours')).toBe(false);
  });

  it('start at most one reconcile of their connector at a time', async () => {
    await control().put(desired('con_action'));
    const { action, policies } = await temporal.client.schedule.getHandle('reconcile-con_action').describe();
    expect(action).toMatchObject({
      workflowType: 'reconcile',
      taskQueue: 'reconciler',
      workflowId: 'reconcile-lake-abc123',
      args: [{ connector: 'con_action', connectorName: 'lake', trigger: 'schedule' }],
      staticSummary: 'Reconcile of lake',
      staticDetails: expect.stringContaining('con_action'),
      searchAttributes: {
        ReconcilerConnector: ['lake'],
        ReconcilerTenant: ['default'],
        ReconcilerMode: ['incremental'],
        ReconcilerTrigger: ['schedule'],
        ReconcilerDryRun: [false],
        ReconcilerPaused: [false],
      },
      memo: {
        connector: 'lake',
        connectorId: 'con_action',
        trigger: 'schedule',
        request: '{"connector":"con_action","connectorName":"lake","trigger":"schedule"}',
      },
      priority: { priorityKey: 3, fairnessKey: 'con_action' },
    });
    expect(policies).toEqual({ overlap: 'SKIP', catchupWindow: 86_400_000, pauseOnFailure: false });
    await control().remove('con_action', 'svc_ours');
  });

  it('name their connector beside its id', async () => {
    const id = 'con_named';
    const handle = temporal.client.schedule.getHandle(`reconcile-${id}`);
    const shown = async () => {
      const { state, typedSearchAttributes } = await handle.describe();
      return [state.note, typedSearchAttributes.get(SEARCH_ATTRIBUTES.connector)];
    };
    await control().put(desired(id));
    expect(await shown()).toEqual(['Reconciles connector lake.', 'lake']);
    await control().put(desired(id, { connector: { id, name: 'sea' }, pausedBecause: 'The connector is paused.' }));
    // Temporal changes the attributes with a delay.
    await poll(shown, { timeout: 30_000 }).toEqual(['Reconciles connector sea. The connector is paused.', 'sea']);
    // In the UI's list of schedules, people filter by them.
    const query = "ReconcilerConnector = 'sea'";
    const found = async () => {
      const ids: string[] = [];
      for await (const { scheduleId } of temporal.client.schedule.list({ query })) ids.push(scheduleId);
      return ids;
    };
    await poll(found, { timeout: 30_000 }).toEqual([`reconcile-${id}`]);
    await control().remove(id, 'svc_ours');
  });

  it('start workflows with their memo, attributes and priority', async () => {
    const [id, name] = ['con_starts', "the new lake's (b)"];
    await control().put(desired(id, { connector: { id, name }, jobIdPrefix: `reconcile-${id}` }));
    await temporal.client.schedule.getHandle(`reconcile-${id}`).trigger();
    const started = async () => {
      const { recentActions } = (await temporal.client.schedule.getHandle(`reconcile-${id}`).describe()).info;
      return recentActions[0]?.action.workflow.workflowId ?? '';
    };
    await poll(started, { timeout: 30_000 }).not.toBe('');
    const run = await temporal.client.workflow.getHandle(await started()).describe();
    const { memo, priority, typedSearchAttributes } = run;
    expect(memo).toMatchObject({ connector: name, connectorId: id, trigger: 'schedule' });
    expect(priority).toMatchObject({ priorityKey: 3, fairnessKey: id });
    expect(typedSearchAttributes.get(SEARCH_ATTRIBUTES.trigger)).toBe('schedule');
    // The query of the link in its details finds it.
    const [, link = ''] = /\[all its runs\]\(([^)]*)\)/.exec((await run.staticDetails()) ?? '') ?? [];
    const query = new URL(link, 'http://ui').searchParams.get('query') ?? '';
    const count = async () => (await temporal.client.workflow.count(query)).count;
    await poll(count, { timeout: 30_000 }).toBe(1);
    await control().remove(id, 'svc_ours');
  });

  it('are reported as different whichever part of them has been changed', async () => {
    await control().put(desired('con_drift'));
    const handle = temporal.client.schedule.getHandle('reconcile-con_drift');
    const drifts: Parameters<typeof handle.update>[0][] = [
      (now) => ({ ...now, state: { paused: true, note: 'by hand' } }),
      (now) => ({ ...now, state: { remainingActions: 3 } }),
      (now) => ({ ...now, spec: { ...now.spec, calendars: [{ hour: 3 }] } }),
      (now) => ({ ...now, spec: { ...now.spec, skip: [{ hour: 3 }] } }),
      (now) => ({ ...now, spec: { ...now.spec, endAt: new Date('2040-01-01') } }),
      (now) => ({ ...now, policies: { ...now.policies, overlap: 'ALLOW_ALL' } }),
      (now) => ({ ...now, action: { ...now.action, args: [{ connector: 'con_drift', full: true }] } }),
      (now) => ({ ...now, action: { ...now.action, taskQueue: 'other' } }),
      (now) => ({ ...now, action: { ...now.action, memo: { ...now.action.memo, connector: 'sea' } } }),
      (now) => ({ ...now, action: { ...now.action, priority: { priorityKey: 1, fairnessKey: 'con_drift' } } as never }),
      (now) => ({ ...now, action: { ...now.action, priority: { priorityKey: 3, fairnessKey: 'all' } } as never }),
      (now) => ({ ...now, action: { ...now.action, staticDetails: 'other' } }),
      (now) => ({ ...now, spec: { ...now.spec, intervals: [{ every: 3_600_000, offset: 60_000 }] } }),
      (now) => ({ ...now, state: { ...now.state, note: 'by hand' } }),
    ];
    for (const drift of drifts) {
      await handle.update(drift);
      expect(await control().describe('con_drift', desired('con_drift'))).toMatchObject({ matchesDesired: false });
      expect(await control().put(desired('con_drift'))).toBe('changed');
      expect(await control().describe('con_drift', desired('con_drift'))).toMatchObject({ matchesDesired: true });
    }
    await control().remove('con_drift', 'svc_ours');
  });

  it('are neither changed nor removed if their memo names another catalog', async () => {
    const theirs = desired('con_copied', { catalogId: 'svc_theirs' });
    expect(await control().put(theirs)).toBe('made');
    const before = await temporal.client.schedule.getHandle('reconcile-con_copied').describe();
    expect(before.memo).toEqual({ catalogId: 'svc_theirs', tenant: 'default' });
    expect(await control().put(desired('con_copied', { intervalSeconds: 60 }))).toBe('foreign');
    expect(await control().remove('con_copied', 'svc_ours')).toBe(false);
    const after = await temporal.client.schedule.getHandle('reconcile-con_copied').describe();
    expect(after.raw.conflictToken).toEqual(before.raw.conflictToken);
    expect(await control().describe('con_copied', theirs)).toMatchObject({
      catalogId: 'svc_theirs',
      matchesDesired: true,
    });
    expect(await control().remove('con_copied', 'svc_theirs')).toBe(true);
  });

  it('are listed with their owner, unless that is encrypted with an unknown key', async () => {
    const withKey = (id: string) => {
      const codec = new EncryptionCodec(new Map([[id, Buffer.alloc(32, id)]]));
      const client = new Client({ connection: temporal.client.connection, dataConverter: { payloadCodecs: [codec] } });
      return temporalSchedules(async () => client);
    };
    await withKey('a').put(desired('con_secret', { catalogId: 'svc_theirs' }));
    const owner = (control: ScheduleControl) =>
      poll(async () => (await control.list(100, '')).schedules.find((s) => s.connectorId === 'con_secret')?.catalogId, {
        timeout: 30_000,
      });
    await owner(withKey('a')).toBe('svc_theirs');
    await owner(withKey('b')).toBe(UNREADABLE);
    await withKey('a').remove('con_secret', 'svc_theirs');
  });

  it('are listed in pages, without foreign schedules', async () => {
    const ids = ['con_l1', 'con_l2', 'con_l3', 'con_l4', 'con_l5'];
    for (const id of ids) await control().put(desired(id));
    const foreign = { type: 'startWorkflow' as const, workflowType: 'other', taskQueue: 'q' };
    for (const scheduleId of ['reconcile-the-books', 'reconcile-con_theirs'])
      await temporal.client.schedule.create({ scheduleId, spec: {}, action: foreign });
    const listed = async () => {
      const pages: string[][] = [];
      let pageToken = '';
      do {
        const { schedules, nextPageToken } = await control().list(2, pageToken);
        expect(schedules.every(({ catalogId }) => catalogId === 'svc_ours')).toBe(true);
        pages.push(schedules.map(({ connectorId }) => connectorId));
        pageToken = nextPageToken;
      } while (pageToken !== '');
      return pages;
    };
    // Temporal's list is eventually consistent.
    await poll(async () => (await listed()).flat().sort(), { timeout: 30_000 }).toEqual(ids);
    expect((await listed()).every((page) => page.length <= 2)).toBe(true);
  });
});
