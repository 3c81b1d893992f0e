import os from 'node:os';
import { jest } from '@jest/globals';
import { fakeOnly } from '../jest/fake-timers.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The wall clock and the uptime of this machine, which stand still until a test moves them. */
export class MachineClock {
  #uptime = 1_000_000;

  /** Both are fake until `restore`. */
  constructor() {
    fakeOnly(['Date'], { now: Date.now() });
    jest.spyOn(os, 'uptime').mockImplementation(() => this.#uptime / 1000);
  }

  /** Milliseconds since the machine was started. */
  get uptime(): number {
    return this.#uptime;
  }

  pass(ms: number): void {
    this.#uptime += ms;
    this.jump(ms);
  }

  /** Sets the wall clock by as much forward, or back. */
  jump(ms: number): void {
    jest.setSystemTime(Date.now() + ms);
  }

  restore(): void {
    jest.restoreAllMocks();
    jest.useRealTimers();
  }
}
