import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { displayWidth, firstWords } from '../../src/cli/io/display-width.ts';
import { Pace } from '../../src/cli/job/pace.ts';
import { progressLine } from '../../src/cli/job/progress-line.ts';
import { progressView } from '../../src/cli/job/progress-view.ts';
import { JobCounters, JobState, ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';
import { fakeOnly } from '../jest/fake-timers.ts';
import { stubEnv, unstubAllEnvs } from '../jest/stub-env.ts';

beforeEach(() => stubEnv('NO_COLOR', '1'));
afterEach(unstubAllEnvs);

/** A stream that keeps what is written to it; a terminal if it has a width. */
function screen(columns?: number): { stream: NodeJS.WriteStream; text(): string } {
  let text = '';
  const stream = new Writable({
    write(chunk, _, done) {
      text += chunk;
      done();
    },
  });
  const size =
    columns === undefined ? {} : { isTTY: true, columns, rows: 24, cursorTo() {}, clearLine() {}, moveCursor() {} };
  return { stream: Object.assign(stream, size) as unknown as NodeJS.WriteStream, text: () => text };
}

const job = (scanned: bigint, changed: bigint, more: Partial<JobCounters> = {}) =>
  ReconcileJob.create({
    state: JobState.JS_RUNNING,
    phase: 'scanning',
    counters: JobCounters.fromPartial({
      tablesScanned: scanned,
      tablesChanged: changed,
      snapshotsIngested: 5n,
      filesIngested: 1_234n,
      bytesRead: 1_048_576n,
      ...more,
    }),
  });

it('is a bar on a terminal', () => {
  const { stream, text } = screen(120);
  const view = progressView(stream);
  view.show(job(0n, 0n));
  view.show(job(10n, 5n, { errors: 1n }));
  view.end();
  expect(text()).toContain('6 of 10 tables found  1 failed  scanning  5 snapshots  1,234 files  1.0 MiB read');
  expect(text()).toMatch(/█+░+/);
  expect(text()).not.toMatch(/█ 0 of 0/);
});

it('keeps tables, rate, time left, failures and phase, in this order, at any width', () => {
  fakeOnly(['performance', 'Date']);
  try {
    const weights = [/12,345(\/| of )40,000( tables)?/, /345(\/s| tables\/s)/, /1m20s left/, /123 failed/, /scanning/];
    for (let columns = 60; columns <= 200; columns++) {
      const { stream, text } = screen(columns);
      const view = progressView(stream);
      const at = (changed: bigint) => job(20_000n, changed, { tablesExpected: 40_000n, errors: 123n });
      view.show(at(8_772n));
      jest.advanceTimersByTime(10_000);
      view.show(at(12_222n));
      // Between the start of the line and the clearing of what is to its right.
      const line = text().split('\u001b[1G').at(-1)?.split('\u001b[0K')[0] ?? '';
      view.end();
      expect(displayWidth(line)).toBeLessThan(columns);
      for (const part of weights) expect(line).toMatch(part);
      expect(line.includes('1.0 MiB read')).toBe(columns >= 105);
    }
  } finally {
    jest.useRealTimers();
  }
});

it('leaves out what weighs least first, and cuts no number', () => {
  const parts = [
    { weight: 1, text: 'a bar' },
    { weight: 9, text: '12,345 of 40,000 tables', short: '12,345/40,000' },
    { weight: 8, text: '345 tables/s', short: '345/s' },
    { weight: 7, text: '1h20m left' },
  ];
  const at = (columns: number) => progressLine(parts, { isTTY: true, columns });
  expect(at(60)).toBe('a bar  12,345 of 40,000 tables  345 tables/s  1h20m left');
  expect(at(45)).toBe('a bar  12,345/40,000  345/s  1h20m left');
  expect(at(33)).toBe('12,345/40,000  345/s  1h20m left');
  expect(at(30)).toBe('a bar  12,345/40,000  345/s');
  expect(at(27)).toBe('12,345/40,000  345/s');
  expect(at(15)).toBe('12,345/40,000');
});

it('cuts a phase between words', () => {
  const lineAt = (columns: number) => {
    const { stream, text } = screen(columns);
    const view = progressView(stream);
    view.show({ ...job(400n, 0n), phase: 'scanning and ingesting tables' });
    view.end();
    return text();
  };
  expect(lineAt(60)).toContain('  0/400 found  scanning…  5 snapshots');
  expect(lineAt(120)).toContain('  0 of 400 tables found  scanning and ingesting tables  5 snapshots');
  expect(firstWords('scanning and ingesting tables', 24)).toBe('scanning and ingesting…');
  expect(firstWords('scanning and', 5)).toBe('scan…');
});

it('shows once, above the bar, why a job waits if the line has no room for it', () => {
  // Commands are shown as they work in this shell.
  stubEnv('PATH', '/nowhere');
  const waiting = {
    ...job(0n, 0n),
    phase:
      "waiting since 13:23 UTC: no worker polls task queue 'eu-scan'. Start one with `reconciler worker --task-queue eu`",
  };
  const shownAt = (columns: number) => {
    const { stream, text } = screen(columns);
    const view = progressView(stream);
    for (let n = 0; n < 3; n++) view.show(waiting);
    view.show(job(1n, 0n));
    view.end();
    return text();
  };
  const narrow = shownAt(80);
  expect(narrow.split("waiting since 13:23 UTC: no worker polls task queue 'eu-scan'. Start one with\n")).toHaveLength(
    2,
  );
  expect(narrow).toContain('\n  `npx reconciler worker --task-queue eu`\n');
  expect(narrow).toContain('waiting since 13:23 UTC\u001b');
  expect(shownAt(200)).not.toContain('Start one with\n');
});

it('is a line in a pipe, without control characters, and not for every poll', () => {
  const { stream, text } = screen();
  const view = progressView(stream);
  for (let n = 0n; n < 10n; n++) view.show(job(10n, n));
  view.end();
  expect(text()).toBe('scanning: 0 of 10 tables found, 5 snapshots, 1,234 files, 1.0 MiB read\n');
});

it('shows the expected number of tables, and each failure above the bar', () => {
  const { stream, text } = screen(160);
  const view = progressView(stream);
  view.show(job(10n, 5n, { tablesExpected: 40n }));
  view.failed({
    table: 'sales.orders',
    code: 'DATA_LOSS',
    message: 'broken\u001b[2J',
    kind: 'JOB_FAILURE_KIND_TABLE',
  } as never);
  view.show(job(20n, 9n, { tablesExpected: 40n, errors: 1n }));
  view.end();
  expect(text()).toContain('10 of 40 tables');
  expect(text()).toContain('failed: sales.orders: DATA_LOSS: broken\\x1b[2J\n');
});

it('shows the time left, as a minimum while tables are still being found', () => {
  fakeOnly(['performance', 'Date']);
  try {
    const lastLine = (tablesExpected: bigint) => {
      const { stream, text } = screen();
      const view = progressView(stream);
      view.show(job(100n, 0n, { tablesExpected }));
      jest.advanceTimersByTime(5_000);
      view.show(job(100n, 50n, { tablesExpected }));
      return text().trim().split('\n').at(-1);
    };
    expect(lastLine(0n)).toMatch(/50 of 100 tables found, .*, 10 tables\/s, at least 5.0s left$/);
    expect(lastLine(200n)).toMatch(/50 of 200 tables, .*, 10 tables\/s, 15.0s left$/);
  } finally {
    jest.useRealTimers();
  }
});

it('computes the pace over the last 15 seconds', () => {
  const pace = new Pace();
  pace.add(0, 0);
  expect(pace.rate()).toBeUndefined();
  pace.add(10, 500);
  expect(pace.rate()).toBeUndefined();
  pace.add(100, 10_000);
  expect(pace.rate()).toBe(10);
  for (let second = 11; second <= 60; second++) pace.add(100 + (second - 10) * 50, second * 1_000);
  expect(pace.rate()).toBeCloseTo(50, 5);
  pace.add(100 + 50 * 50, 90_000);
  expect(pace.rate()).toBeLessThan(1);
});
