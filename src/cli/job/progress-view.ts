import { Presets, SingleBar } from 'cli-progress';
import { countersOf } from '../../contract/progress-message.ts';
import { type JobFailure, JobState, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { bytes, count, duration, printable, word } from '../io/format.ts';
import { Pace } from './pace.ts';

/** Shows the progress of a job. */
export interface ProgressView {
  show(job: ReconcileJob): void;
  /** Shows one failure above the progress. */
  failed(failure: JobFailure): void;
  /** Removes the bar. */
  end(): void;
}

/** A bar on a terminal; otherwise one line per phase, and one every two seconds within a phase if something changed. */
export function progressView(stream: NodeJS.WriteStream): ProgressView {
  return stream.isTTY ? bar(stream) : linesOn(stream);
}

/**
 * How many tables are done, and how many there are: those found so far or, if that is known and more, as many as the
 * connector had before. The total grows while the upstream is listed.
 */
function tables(job: ReconcileJob): { done: number; total: number; counting: boolean } {
  const c = countersOf(job);
  const done = Number(c.tablesChanged + c.tablesUnchanged + c.errors);
  const found = Number(c.tablesScanned);
  const total = Math.max(found, Number(c.tablesExpected));
  return { done: Math.min(done, found), total, counting: c.tablesExpected === 0n };
}

function amounts(job: ReconcileJob): string {
  const c = countersOf(job);
  const parts = [
    `${count(c.snapshotsIngested)} snapshots`,
    `${count(c.filesIngested)} files`,
    `${bytes(c.bytesRead)} read`,
  ];
  if (c.errors > 0n) parts.push(`${count(c.errors)} failed`);
  return parts.join(', ');
}

/** `42 tables/s, 1m20s left`, without what is not known yet. While tables are still being found, the time left is a minimum. */
function paceText(pace: Pace, { done, total, counting }: ReturnType<typeof tables>): string {
  const rate = pace.rate();
  if (rate === undefined) return '';
  const atLeast = counting ? 'at least ' : '';
  const left = rate > 0 && total > done ? `, ${atLeast}${duration(((total - done) / rate) * 1000)} left` : '';
  return `${rate < 10 ? rate.toFixed(1) : count(Math.round(rate))} tables/s${left}`;
}

function failureLine({ table, code, message }: JobFailure): string {
  return `failed: ${printable(table || 'the job')}: ${code}: ${printable(message)}`;
}

function bar(stream: NodeJS.WriteStream): ProgressView {
  const pace = new Pace();
  const single = new SingleBar(
    {
      stream,
      format: '{bar} {tables}  {amounts}  {phase}',
      hideCursor: true,
      clearOnComplete: true,
      barsize: 24,
      linewrap: false,
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  let current: { total: number; done: number; payload: object } | undefined;
  return {
    show(job) {
      const now = tables(job);
      const { done, total, counting } = now;
      pace.add(done);
      const speed = paceText(pace, now);
      const payload = {
        tables: `${count(done)} of ${count(total)} tables${counting ? ' found' : ''}${speed && `  ${speed}`}`,
        amounts: amounts(job),
        phase: phaseOf(job),
      };
      const before = current;
      // A bar with a total of 0 would be drawn full.
      current = { total: Math.max(total, 1), done, payload };
      if (!before) return single.start(current.total, done, payload);
      single.setTotal(current.total);
      single.update(done, payload);
    },
    failed(failure) {
      // The bar is removed, the line printed, and the bar drawn again below it.
      if (current) single.stop();
      stream.write(`${failureLine(failure)}\n`);
      if (current) single.start(current.total, current.done, current.payload);
    },
    end() {
      if (current) single.stop();
      current = undefined;
    },
  };
}

const LINE_EVERY_MS = 2_000;

function linesOn(stream: NodeJS.WriteStream): ProgressView {
  const pace = new Pace();
  let last = { phase: '', line: '', at: 0 };
  return {
    show(job) {
      if (job.finishedAt) return;
      const now = tables(job);
      const { done, total, counting } = now;
      pace.add(done);
      const phase = phaseOf(job);
      const parts = [`${count(done)} of ${count(total)} tables${counting ? ' found' : ''}`, amounts(job)];
      const line = total === 0 ? phase : `${phase}: ${parts.join(', ')}`;
      if (phase === last.phase && (line === last.line || Date.now() - last.at < LINE_EVERY_MS)) return;
      const speed = paceText(pace, now);
      stream.write(`${line}${speed && total > 0 ? `, ${speed}` : ''}\n`);
      last = { phase, line, at: Date.now() };
    },
    failed(failure) {
      stream.write(`${failureLine(failure)}\n`);
    },
    end() {},
  };
}

function phaseOf(job: ReconcileJob): string {
  if (job.state === JobState.JS_RUNNING && job.phase) return job.phase;
  const state = word(job.state, 'JS_');
  return job.state === JobState.JS_QUEUED && job.message ? `${state}: ${job.message}` : state;
}
