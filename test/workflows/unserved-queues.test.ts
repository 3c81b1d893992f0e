import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { UnservedQueues } from '../../src/workflows/unserved-queues.ts';

const MINUTE_MS = 60_000;
const START = Date.parse('2026-11-30T08:00:00Z');

beforeEach(() => {
  jest.useFakeTimers({ now: START });
});
afterEach(() => {
  jest.useRealTimers();
});

const pass = (minutes: number) => jest.advanceTimersByTime(minutes * MINUTE_MS);

it('counts a queue from when the step began to wait, five minutes before it timed out', () => {
  const queues = new UnservedQueues();
  pass(5);
  expect(queues.add('far')).toBe(true);
  pass(5);
  expect(queues.add('far')).toBe(true);
  expect(queues.longest).toEqual({ name: 'far', since: new Date(START) });
  expect(queues.served('far')).toBe(true);
  expect(queues.longest).toBeUndefined();
});

it('does not count a queue whose workers finished another step while the step waited', () => {
  const queues = new UnservedQueues();
  pass(3);
  expect(queues.served('busy')).toBe(false);
  pass(2);
  expect(queues.add('busy')).toBe(false);
  expect(queues.longest).toBeUndefined();
  // The next attempt waits from 08:05 on, and nothing is finished any more.
  pass(5);
  expect(queues.add('busy')).toBe(true);
  expect(queues.longest).toEqual({ name: 'busy', since: new Date(START + 5 * MINUTE_MS) });
});

it('tells the queues apart', () => {
  const queues = new UnservedQueues();
  pass(4);
  queues.served('scan');
  pass(1);
  expect(queues.add('ingest')).toBe(true);
  expect(queues.add('scan')).toBe(false);
});

it('gives up after a day, also over several runs', () => {
  const first = new UnservedQueues();
  pass(5);
  first.add('far');
  pass(23 * 60);
  const next = new UnservedQueues(first.carry());
  next.add('far');
  expect(next.givenUp).toBeUndefined();
  pass(60);
  expect(next.givenUp).toEqual({ name: 'far', since: new Date(START) });
});
