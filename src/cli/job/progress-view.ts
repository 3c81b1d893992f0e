import { Presets, SingleBar } from 'cli-progress';
import { JobState, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { bytes, count, word } from '../format.ts';

/** Shows how a job gets on. */
export interface ProgressView {
  show(job: ReconcileJob): void;
  /** Takes the bar away. */
  end(): void;
}

/** A bar on a terminal; elsewhere a line whenever something changed, at most one in two seconds. */
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
      format: '{bar} {value}/{total} tables  {amounts}  {phase}',
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
      const payload = { amounts: amounts(job), phase: phaseOf(job) };
      if (!started) single.start(found, done, payload);
      else {
        single.setTotal(found);
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
  let last = '';
  let lastAt = Number.NEGATIVE_INFINITY;
  return {
    show(job) {
      const { done, found } = tables(job);
      const line = `${phaseOf(job)}: ${count(done)} of ${count(found)} tables, ${amounts(job)}`;
      if (line === last || Date.now() - lastAt < LINE_EVERY_MS || job.finishedAt) return;
      stream.write(`${line}\n`);
      last = line;
      lastAt = Date.now();
    },
    end() {},
  };
}

function phaseOf(job: ReconcileJob): string {
  return job.state === JobState.JS_RUNNING && job.phase ? job.phase : word(job.state, 'JS_');
}
