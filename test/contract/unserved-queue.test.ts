import { describe, expect, it } from '@jest/globals';
import { gaveUpText, noWorkerText, stepNotTakenText, workerCommand } from '../../src/contract/unserved-queue.ts';

describe('noWorkerText', () => {
  const since = new Date('2026-11-30T14:02:59Z');
  it.each([
    ['2026-11-30T14:03:30Z', '14:02 UTC'],
    ['2026-11-30T14:15:10Z', '14:02 UTC (12 min)'],
    ['2026-11-30T17:15:10Z', '14:02 UTC (3 h)'],
    ['2026-12-01T14:15:10Z', '2026-11-30 14:02 UTC (24 h)'],
    ['2026-12-04T14:15:10Z', '2026-11-30 14:02 UTC (4 d)'],
  ])('at %s says: since %s', (now, text) => {
    expect(noWorkerText({ name: 'far', since }, new Date(now))).toBe(
      `waiting since ${text}: no worker polls task queue 'far'. Start one with \`reconciler worker --task-queue far\``,
    );
  });

  it('differs in the workflow, which cannot ask for pollers', () => {
    const queue = { name: 'far-scan', since };
    expect(stepNotTakenText(queue, new Date('2026-11-30T14:15:10Z'))).toBe(
      "waiting since 14:02 UTC (12 min): no worker has taken a step of the job: all are busy, or none polls task queue 'far-scan'. Start one with `reconciler worker --task-queue far`",
    );
    expect(gaveUpText(queue, new Date('2026-12-01T14:15:10Z'))).toBe(
      "no worker has taken a step of the job from task queue 'far-scan' since 2026-11-30 14:02 UTC (24 h). Start one with `reconciler worker --task-queue far`, and trigger again",
    );
  });

  it.each([
    ['reconciler', 'reconciler worker'],
    ['reconciler-scan', 'reconciler worker'],
    ['reconciler-ingest', 'reconciler worker'],
    ['eu', 'reconciler worker --task-queue eu'],
    ['eu-scan', 'reconciler worker --task-queue eu'],
    ['my queue', "reconciler worker --task-queue 'my queue'"],
  ])('a worker for %s is started with: %s', (queue, command) => {
    expect(workerCommand(queue)).toBe(command);
  });
});
