import { expect, it, jest } from '@jest/globals';
import { runInScope } from '../../src/storage/activity-scope.ts';
import { MemoryBudget } from '../../src/storage/memory-budget.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Reserves and notes it. */
async function reserve(budget: MemoryBudget, bytes: number, name: string, got: string[]) {
  const memory = await budget.reserve(bytes);
  got.push(name);
  return memory;
}

it('lets calls in while there is room, and the others in order', async () => {
  const budget = new MemoryBudget(10);
  const got: string[] = [];
  const a = await reserve(budget, 6, 'a', got);
  const b = await reserve(budget, 4, 'b', got);
  const c = reserve(budget, 5, 'c', got);
  // It would fit, but is not preferred to the one before it.
  const d = reserve(budget, 1, 'd', got);
  await settled();
  expect(got).toEqual(['a', 'b']);
  b[Symbol.dispose]();
  await settled();
  expect(got).toEqual(['a', 'b']);
  a[Symbol.dispose]();
  await settled();
  expect(got).toEqual(['a', 'b', 'c', 'd']);
  for (const memory of await Promise.all([c, d])) memory[Symbol.dispose]();
});

it('lets in only as many at once as fit together', async () => {
  const budget = new MemoryBudget(10);
  const got: string[] = [];
  const a = await reserve(budget, 10, 'a', got);
  const b = reserve(budget, 6, 'b', got);
  const c = reserve(budget, 6, 'c', got);
  await settled();
  a[Symbol.dispose]();
  // Comes while b is let in, and must not get ahead of it.
  const d = reserve(budget, 6, 'd', got);
  await settled();
  expect(got).toEqual(['a', 'b']);
  (await b)[Symbol.dispose]();
  await settled();
  expect(got).toEqual(['a', 'b', 'c']);
  (await c)[Symbol.dispose]();
  (await d)[Symbol.dispose]();
});

it('lets in the one behind a call that is cancelled, if that fits', async () => {
  const budget = new MemoryBudget(10);
  const a = await budget.reserve(6);
  const stopping = new AbortController();
  const scope = { keepAlive: () => {}, signal: stopping.signal };
  const large = runInScope(scope, () => budget.reserve(10));
  const got: string[] = [];
  const small = reserve(budget, 4, 'small', got);
  await settled();
  expect(got).toEqual([]);
  stopping.abort(new Error('cancelled'));
  await expect(large).rejects.toThrow('cancelled');
  await settled();
  expect(got).toEqual(['small']);
  for (const memory of [a, await small]) memory[Symbol.dispose]();
});

it('lets in alone what is larger than everything', async () => {
  const budget = new MemoryBudget(10);
  const got: string[] = [];
  const a = await reserve(budget, 1, 'a', got);
  const b = reserve(budget, 100, 'b', got);
  await settled();
  expect(got).toEqual(['a']);
  a[Symbol.dispose]();
  (await b)[Symbol.dispose]();
  expect(got).toEqual(['a', 'b']);
});

it('takes back what is not needed, and each part once', async () => {
  const budget = new MemoryBudget(10);
  const got: string[] = [];
  const a = await reserve(budget, 10, 'a', got);
  a.shrink(4);
  a.shrink(8);
  const b = await reserve(budget, 6, 'b', got);
  a[Symbol.dispose]();
  a[Symbol.dispose]();
  const c = reserve(budget, 5, 'c', got);
  await settled();
  expect(got).toEqual(['a', 'b']);
  b[Symbol.dispose]();
  (await c)[Symbol.dispose]();
});

it('keeps a waiting activity alive, and ends its wait when it is cancelled', async () => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'queueMicrotask', 'nextTick'] });
  try {
    const budget = new MemoryBudget(10);
    const a = await budget.reserve(10);
    const stopping = new AbortController();
    const keepAlive = jest.fn();
    const waiting = runInScope({ keepAlive, signal: stopping.signal }, () => budget.reserve(10));
    jest.advanceTimersByTime(21_000);
    expect(keepAlive).toHaveBeenCalledTimes(4);
    stopping.abort(new Error('cancelled'));
    await expect(waiting).rejects.toThrow('cancelled');
    const next = budget.reserve(10);
    a[Symbol.dispose]();
    (await next)[Symbol.dispose]();
  } finally {
    jest.useRealTimers();
  }
});
