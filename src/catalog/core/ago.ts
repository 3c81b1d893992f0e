import type { Duration } from '../../generated/google/protobuf/duration.ts';

/** The time that many seconds ago by this service's clock, in milliseconds since the epoch; undefined without a number of seconds. */
export function ago(seconds: bigint | undefined): number | undefined {
  return seconds === undefined ? undefined : Date.now() - Number(seconds) * 1000;
}

/** The time that long ago by this service's clock, in milliseconds since the epoch. */
export function timeBefore({ seconds, nanos }: Duration): number {
  return Date.now() - Number(seconds) * 1000 - nanos / 1e6;
}
