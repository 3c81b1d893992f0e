import { jest } from '@jest/globals';

const CLOCKS = [
  'Date',
  'hrtime',
  'performance',
  'nextTick',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setInterval',
  'clearInterval',
  'setTimeout',
  'clearTimeout',
] as const;

export interface FakeTimers {
  /** Milliseconds since the epoch at which the fake clock starts; the current time by default. */
  now?: number;
  /** Whether the fake clock advances with the real one. */
  advanceTimers?: boolean;
}

/** Fakes only these functions, until `jest.useRealTimers()` is called. `jest.useFakeTimers` only accepts the functions not to fake. */
export function fakeOnly(names: (typeof CLOCKS)[number][], options: FakeTimers = {}): void {
  jest.useFakeTimers({ ...options, doNotFake: CLOCKS.filter((name) => !names.includes(name)) });
}
