import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { ProgressReports, type SendReport } from '../../../src/activities/runtime/progress-reports.ts';
import type { Counters, ProgressReport } from '../../../src/contract/job.ts';
import { fakeOnly } from '../../jest/fake-timers.ts';

const JOB = { workflowId: 'job', runId: 'run' };

/** What was sent: seconds since the test began, run and report. */
let sent: [second: number, runId: string, report: ProgressReport][];
let send: jest.Mock<SendReport>;
let reports: ProgressReports;
let began: number;
beforeEach(() => {
  fakeOnly(['Date', 'setInterval', 'clearInterval']);
  began = Date.now();
  sent = [];
  send = jest.fn(async ({ runId }, report) => {
    sent.push([Math.round((Date.now() - began) / 1000), runId, structuredClone(report)]);
  });
  reports = new ProgressReports((run, report) => send(run, report));
});
afterEach(() => void jest.useRealTimers());

const pass = (seconds: number) => jest.advanceTimersByTime(seconds * 1000);

/** A step that counts a file per second, from as many as it has. */
function counting(name: string, run = JOB) {
  const step = reports.track(run, name);
  let filesIngested = 0;
  return {
    ...step,
    work(seconds: number) {
      for (let i = 0; i < seconds; i++) {
        pass(1);
        filesIngested += 1;
        step.update({ filesIngested });
      }
    },
  };
}

it('does not report short steps', () => {
  for (let i = 0; i < 10; i++) {
    const step = counting(`s${i}`);
    step.work(8);
    step.end();
  }
  expect(sent).toEqual([]);
});

it('reports a long step after nine seconds, and then every ten', () => {
  const step = counting('s');
  step.work(40);
  expect(sent.map(([second, run]) => [second, run])).toEqual([9, 19, 29, 39].map((second) => [second, 'run']));
  const files = sent.map(([, , report]) => report.s?.filesIngested);
  expect(files).toEqual([8, 18, 28, 38]);
});

it('reports all steps of a job with one signal when one of them is long', () => {
  const [one, two] = [reports.track(JOB, 'one'), reports.track(JOB, 'two')];
  one.update({ filesIngested: 1 });
  two.update({ filesIngested: 2 });
  pass(5);
  const three = reports.track(JOB, 'three');
  three.update({ filesIngested: 3 });
  pass(4);
  const all = { one: { filesIngested: 1 }, two: { filesIngested: 2 }, three: { filesIngested: 3 } };
  expect(sent).toEqual([[9, 'run', all]]);
  three.update({ filesIngested: 4 });
  pass(9);
  expect(sent).toHaveLength(1);
  pass(1);
  expect(sent.slice(1)).toEqual([[19, 'run', { three: { filesIngested: 4 } }]]);
});

it('reports nothing without a change, nor the same again', () => {
  const [step, idle] = [reports.track(JOB, 's'), reports.track(JOB, 'idle')];
  const update = (counts: Counters) => step.update({ ...counts });
  update({ filesIngested: 1 });
  pass(9);
  expect(sent).toEqual([[9, 'run', { s: { filesIngested: 1 } }]]);
  for (let i = 0; i < 30; i++) {
    pass(1);
    update({ filesIngested: 1 });
  }
  expect(sent).toHaveLength(1);
  update({ filesIngested: 2 });
  pass(1);
  expect(sent.slice(1)).toEqual([[40, 'run', { s: { filesIngested: 2 } }]]);
  idle.end();
});

it('reports nothing after the end, and keeps no timer', () => {
  const [one, two] = [counting('one'), counting('two')];
  one.work(9);
  expect(sent).toHaveLength(1);
  one.end();
  two.work(1);
  one.update({ filesIngested: 100 });
  two.work(20);
  expect(sent.slice(1).map(([, , report]) => Object.keys(report))).toEqual([['two'], ['two']]);
  two.end();
  expect(jest.getTimerCount()).toBe(0);
  // A later step is tracked again.
  counting('three').work(9);
  expect(sent.at(-1)?.[2]).toHaveProperty('three');
});

it('keeps the report of the next attempt when the last one ends later', () => {
  const last = counting('s');
  const next = counting('s');
  last.end();
  next.work(9);
  expect(sent).toHaveLength(1);
});

it.each([
  ['fails', async () => Promise.reject(new Error('Temporal is away'))],
  ['never ends', () => new Promise<void>(() => {})],
])('goes on if sending %s', async (_, failing) => {
  const step = counting('s');
  send.mockImplementation(async (_, report) => {
    sent.push([0, 'run', report]);
    await failing();
  });
  step.work(29);
  await Promise.resolve();
  expect(sent).toHaveLength(3);
});

it('sends each job its own reports, and at its own times', () => {
  const one = counting('s');
  pass(5);
  const other = counting('t', { workflowId: 'other', runId: 'run of other' });
  one.update({ filesIngested: 1 });
  other.update({ filesIngested: 2 });
  pass(20);
  expect(sent).toEqual([
    [9, 'run', { s: { filesIngested: 1 } }],
    [14, 'run of other', { t: { filesIngested: 2 } }],
  ]);
  one.update({ filesIngested: 3 });
  one.end();
  pass(20);
  expect(sent).toHaveLength(2);
});
