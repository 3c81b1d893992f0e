import { SingleBar } from 'cli-progress';
import { countersOf } from '../../contract/progress-message.ts';
import { type JobFailure, JobState, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { asTyped } from '../io/as-typed.ts';
import { painter, type Tone, widthOf } from '../io/colour.ts';
import { displayWidth, firstWords, wrap } from '../io/display-width.ts';
import { bytes, count, duration, printable, word } from '../io/format.ts';
import { Pace } from './pace.ts';
import { type LinePart, progressLine } from './progress-line.ts';

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

function amounts(job: ReconcileJob): [snapshots: string, files: string, read: string] {
  const c = countersOf(job);
  return [`${count(c.snapshotsIngested)} snapshots`, `${count(c.filesIngested)} files`, `${bytes(c.bytesRead)} read`];
}

/** `3 failed`; empty if nothing has. */
function failedText(job: ReconcileJob): string {
  const { errors } = countersOf(job);
  return errors > 0n ? `${count(errors)} failed` : '';
}

/** How fast tables are done, and how long the rest takes; without what is not known yet. While tables are still being found, that is a minimum. */
function speedOf(pace: Pace, { done, total, counting }: ReturnType<typeof tables>) {
  const perSecond = pace.rate();
  if (perSecond === undefined) return undefined;
  const rate = perSecond < 10 ? perSecond.toFixed(1) : count(Math.round(perSecond));
  const left = perSecond > 0 && total > done ? `${duration(((total - done) / perSecond) * 1000)} left` : '';
  return {
    rate,
    leftText: left && (counting ? `at least ${left}` : left),
    leftShort: left && (counting ? `≥${left}` : left),
  };
}

function failureLine({ table, code, message }: JobFailure): string {
  return `failed: ${printable(table || 'the job')}: ${code}: ${asTyped(printable(message))}`;
}

const BAR_WIDTH = 24;
const SHORT_BAR_WIDTH = 8;

function barText(progress: number, width: number): string {
  const done = Math.round(Math.min(1, progress) * width);
  return '█'.repeat(done) + '░'.repeat(width - done);
}

/** Columns that a phase may take beside the counters. */
const MAX_PHASE_BESIDE = 30;

/** A phase with an explanation (`waiting since 13:23 UTC: no worker polls …`) that is too long for the line; undefined for others. */
function explanationOf(job: ReconcileJob, beside: boolean, width: number): string | undefined {
  const phase = phaseOf(job);
  const room = beside ? Math.min(MAX_PHASE_BESIDE, width - 1) : width - 1;
  return phase.includes(': ') && displayWidth(phase) > room ? phase : undefined;
}

function partsOf(job: ReconcileJob, pace: Pace, width: number): LinePart[] {
  const now = tables(job);
  const phase = explanationOf(job, now.total > 0, width) ? phaseOf(job).replace(/: .*/, '') : phaseOf(job);
  if (now.total === 0) return [{ weight: 1, text: phase, elastic: true, short: firstWords(phase, 12) }];
  const [done, total] = [count(now.done), count(now.total)];
  const found = now.counting ? ' found' : '';
  const speed = speedOf(pace, now);
  const [snapshots, files, read] = amounts(job);
  const progress = now.done / now.total;
  return [
    { weight: 4, text: barText(progress, BAR_WIDTH), short: barText(progress, SHORT_BAR_WIDTH) },
    { weight: 9, text: `${done} of ${total} tables${found}`, short: `${done}/${total}${found}` },
    { weight: 8, text: speed ? `${speed.rate} tables/s` : '', short: speed && `${speed.rate}/s` },
    { weight: 7, text: speed?.leftText ?? '', short: speed?.leftShort },
    { weight: 6, text: failedText(job), tone: 'bad' },
    { weight: 5, text: phase, short: firstWords(phase, 12), elastic: true },
    { weight: 3, text: snapshots },
    { weight: 2, text: files },
    { weight: 1, text: read },
  ];
}

function bar(stream: NodeJS.WriteStream): ProgressView {
  const pace = new Pace();
  const single = new SingleBar({
    stream,
    // The width is that of the moment, because the terminal may be resized.
    format: (_options, _params, { parts }: { parts: LinePart[] }) => progressLine(parts, stream),
    hideCursor: true,
    clearOnComplete: true,
    linewrap: false,
    gracefulExit: false,
  });
  const paint = painter(stream);
  let current: { parts: LinePart[] } | undefined;
  let explained: string | undefined;
  // The bar is removed, the text printed, and the bar drawn again below it.
  const printAbove = (text: string, tone: Tone) => {
    if (current) single.stop();
    const [first = '', ...more] = wrap(text, widthOf(stream) - INDENT.length);
    stream.write(`${[first, ...more.map((line) => INDENT + line)].map((line) => paint(tone, line)).join('\n')}\n`);
    if (current) single.start(1, 0, current);
  };
  return {
    show(job) {
      const { done, total } = tables(job);
      const explanation = explanationOf(job, total > 0, widthOf(stream));
      if (explanation !== undefined && explanation !== explained) printAbove(explanation, 'warning');
      explained = explanation;
      pace.add(done);
      const before = current;
      current = { parts: partsOf(job, pace, widthOf(stream)) };
      if (before) single.update(current);
      else single.start(1, 0, current);
    },
    failed(failure) {
      printAbove(failureLine(failure), 'bad');
    },
    end() {
      if (current) single.stop();
      current = undefined;
    },
  };
}

const INDENT = '  ';
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
      const parts = [
        `${count(done)} of ${count(total)} tables${counting ? ' found' : ''}`,
        ...amounts(job),
        failedText(job),
      ];
      const line = total === 0 ? phase : `${phase}: ${parts.filter(Boolean).join(', ')}`;
      if (phase === last.phase && (line === last.line || Date.now() - last.at < LINE_EVERY_MS)) return;
      const speed = total > 0 ? speedOf(pace, now) : undefined;
      const pacing = speed ? [`${speed.rate} tables/s`, speed.leftText].filter(Boolean).map((text) => `, ${text}`) : [];
      stream.write(`${line}${pacing.join('')}\n`);
      last = { phase, line, at: Date.now() };
    },
    failed(failure) {
      stream.write(`${painter(stream)('bad', failureLine(failure))}\n`);
    },
    end() {},
  };
}

function phaseOf(job: ReconcileJob): string {
  if (job.state === JobState.JS_RUNNING && job.phase) return asTyped(printable(job.phase));
  const state = word(job.state, 'JS_');
  return job.state === JobState.JS_QUEUED && job.message ? `${state}: ${asTyped(printable(job.message))}` : state;
}
