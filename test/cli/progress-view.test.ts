import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { progressView } from '../../src/cli/job/progress-view.ts';
import { JobState, ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';

/** Keeps what is written; a terminal if it has a width. */
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

const job = (scanned: bigint, changed: bigint, more: Partial<ReconcileJob> = {}) =>
  ReconcileJob.create({
    state: JobState.JS_RUNNING,
    phase: 'scanning',
    tablesScanned: scanned,
    tablesChanged: changed,
    snapshotsIngested: 5n,
    filesIngested: 1_234n,
    bytesRead: 1_048_576n,
    ...more,
  });

it('is a bar on a terminal', () => {
  const { stream, text } = screen(120);
  const view = progressView(stream);
  view.show(job(0n, 0n));
  view.show(job(10n, 5n, { errors: 1n }));
  view.end();
  expect(text()).toContain('6 of 10 tables  5 snapshots, 1,234 files, 1.0 MiB read, 1 failed  scanning');
  expect(text()).toMatch(/█+░+/);
  expect(text()).not.toMatch(/█ 0 of 0/);
});

it('is a line elsewhere, without control characters, and not for every question', () => {
  const { stream, text } = screen();
  const view = progressView(stream);
  for (let n = 0n; n < 10n; n++) view.show(job(10n, n));
  view.end();
  expect(text()).toBe('scanning: 0 of 10 tables, 5 snapshots, 1,234 files, 1.0 MiB read\n');
});
