import type { Duration } from './generated/google/protobuf/duration.ts';

/** @returns 0 if the duration is absent */
export function durationSeconds(duration: Duration | undefined): number {
  return duration === undefined ? 0 : Number(duration.seconds) + duration.nanos / 1e9;
}

/** @param seconds not negative; kept to the millisecond */
export function toDuration(seconds: number): Duration {
  const whole = Math.floor(seconds);
  return { seconds: BigInt(whole), nanos: Math.round((seconds - whole) * 1000) * 1e6 };
}
