import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { claimLost } from './behaviours.ts';
import { ReconcileEnvironment } from './reconcile-environment.ts';
import { StubUpstream } from './stub-upstream.ts';

let environment: ReconcileEnvironment;
beforeAll(async () => {
  // So that a few pages fill a history.
  environment = await ReconcileEnvironment.start('limit.historyCount.suggestContinueAsNew=60');
});
afterAll(() => environment?.[Symbol.asyncDispose]());

const restoredAtMs = Date.UTC(2026, 10, 30);
const RESTORED = 'The catalog was restored from a backup (2026-11-30T00:00:00.000Z) after this job began';

/** An upstream whose catalog is restored in a step of the job. */
function restoredIn(step: string, ...pages: ConstructorParameters<typeof StubUpstream>): StubUpstream {
  const upstream = new StubUpstream(...pages);
  return upstream.on(step, (call) => {
    upstream.unverifiedSinceMs = restoredAtMs;
    return claimLost(call);
  });
}

describe('the first job after the catalog was restored', () => {
  it('verifies what it reads, over all its runs, and reports that at its end', async () => {
    const pages = Array.from({ length: 12 }, (_, i) => ({ [`c${i}`]: 'changed', [`u${i}`]: 'unchanged' }) as const);
    const upstream = new StubUpstream(...pages);
    upstream.unverifiedSinceMs = restoredAtMs;
    const { failure } = await environment.reconcile(upstream);
    expect(failure).toBeUndefined();
    expect(upstream.inputsOf('beginJob').length).toBeGreaterThan(1);
    const read = [...upstream.inputsOf('scanTables'), ...upstream.inputsOf('ingestTable')];
    expect(read.length).toBe(24);
    expect(new Set(read.map(({ full }) => full))).toEqual(new Set([true]));
    expect(upstream.inputsOf('endJob')).toMatchObject([{ bind: { unverifiedSinceMs: restoredAtMs } }]);
    expect(upstream.records.at(-1)?.message).toContain('; verified in full, since the catalog was restored');
  });

  it('reports nothing if it is dry', async () => {
    const upstream = new StubUpstream({ a: 'changed' });
    upstream.unverifiedSinceMs = restoredAtMs;
    await environment.reconcile(upstream, { dryRun: true });
    expect(upstream.inputsOf('ingestTable')).toMatchObject([{ full: true }]);
    expect(upstream.inputsOf('endJob')[0]).not.toHaveProperty('bind');
  });
});

describe('a job during which the catalog is restored', () => {
  it.each(['scanTables', 'ingestTable a', 'reconcileMissing tables'])('ends in %s', async (step) => {
    const upstream = restoredIn(step, { a: 'changed' });
    const { failure } = await environment.reconcile(upstream);
    expect(failure).toMatchObject({ type: 'RECONCILE_FAILED', message: expect.stringContaining(RESTORED) });
    expect(upstream.steps.slice(-3)).toEqual([step, 'beginJob', 'endJob JS_FAILED']);
    expect(upstream.inputsOf('endJob')).toMatchObject([{ epoch: 2, record: { failures: [{ code: 'ABORTED' }] } }]);
    expect(upstream.inputsOf('endJob')[0]).not.toHaveProperty('bind');
  });

  it('ends if it has continued as new since', async () => {
    const pages = Array.from({ length: 12 }, (_, i) => ({ [`c${i}`]: 'changed', [`u${i}`]: 'unchanged' }) as const);
    const upstream = new StubUpstream(...pages);
    const began: number[] = [];
    upstream.on(
      'beginJob',
      () => void began.push(0),
      () => {
        upstream.unverifiedSinceMs = restoredAtMs;
      },
    );
    const { failure } = await environment.reconcile(upstream);
    expect(failure?.message).toContain(RESTORED);
    expect(upstream.steps.slice(-2)).toEqual(['beginJob', 'endJob JS_FAILED']);
  });

  it('ends as it would have if it has nothing left to do', async () => {
    const upstream = restoredIn('endJob JS_SUCCEEDED', { a: 'changed' });
    const { failure } = await environment.reconcile(upstream);
    expect(failure).toBeUndefined();
    expect(upstream.steps.slice(-3)).toEqual(['endJob JS_SUCCEEDED', 'beginJob', 'endJob JS_SUCCEEDED']);
    // It has not verified anything.
    expect(upstream.inputsOf('endJob').at(-1)?.bind).not.toHaveProperty('unverifiedSinceMs');
  });
});
