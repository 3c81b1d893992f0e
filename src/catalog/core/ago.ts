/** The time that many seconds ago by this service's clock, in milliseconds since the epoch; undefined without a number of seconds. */
export function ago(seconds: bigint | undefined): number | undefined {
  return seconds === undefined ? undefined : Date.now() - Number(seconds) * 1000;
}
