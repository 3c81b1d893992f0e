import { Presets, SingleBar } from 'cli-progress';
import { JobState, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { bytes, count, word } from '../format.ts';

/** Shows how a job gets on. */
export interface ProgressView {
  show(job: ReconcileJob): void;
  /** Takes the bar away. */
  end(): void;
}

/** A bar on a terminal; elsewhere a line for every phase, and in it one in two seconds where something changed. */
export function progressView(stream: NodeJS.WriteStream): ProgressView {
  return stream.isTTY ? bar(stream) : linesOn(stream);
}

/** Tables that are done, of those that were found so far. The total grows while the upstream is listed. */
function tables(job: ReconcileJob): { done: number; found: number } {
  const done = Number(job.tablesChanged + job.tablesUnchanged + job.errors);
  return { done: Math.min(done, Number(job.tablesScanned)), found: Number(job.tablesScanned) };
}

function amounts(job: ReconcileJob): string {
  const parts = [
    `${count(job.snapshotsIngested)} snapshots`,
    `${count(job.filesIngested)} files`,
    `${bytes(job.bytesRead)} read`,
  ];
  if (job.errors > 0n) parts.push(`${count(job.errors)} failed`);
  return parts.join(', ');
}

function bar(stream: NodeJS.WriteStream): ProgressView {
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
  let started = false;
  return {
    show(job) {
      const { done, found } = tables(job);
      const payload = {
        tables: `${count(done)} of ${count(found)} tables`,
        amounts: amounts(job),
        phase: phaseOf(job),
      };
      // A bar of nothing would be full.
      const total = Math.max(found, 1);
      if (!started) single.start(total, done, payload);
      else {
        single.setTotal(total);
        single.update(done, payload);
      }
      started = true;
    },
    end() {
      if (started) single.stop();
      started = false;
    },
  };
}

const LINE_EVERY_MS = 2_000;

function linesOn(stream: NodeJS.WriteStream): ProgressView {
  let last = { phase: '', line: '', at: 0 };
  return {
    show(job) {
      if (job.finishedAt) return;
      const { done, found } = tables(job);
      const phase = phaseOf(job);
      const line = found === 0 ? phase : `${phase}: ${count(done)} of ${count(found)} tables, ${amounts(job)}`;
      if (phase === last.phase && (line === last.line || Date.now() - last.at < LINE_EVERY_MS)) return;
      stream.write(`${line}\n`);
      last = { phase, line, at: Date.now() };
    },
    end() {},
  };
}

function phaseOf(job: ReconcileJob): string {
  return job.state === JobState.JS_RUNNING && job.phase ? job.phase : word(job.state, 'JS_');
}
