import type { ReconcilePolicy } from '../../generated/reconciler/v1/connectors.ts';

/** When a connector runs, for people: `every 15m`, `0 6 * * 1-5 Europe/Vienna`. Empty for by hand only. */
export function scheduleText({ intervalSeconds, cron, timeZone }: ReconcilePolicy): string {
  if (cron.length > 0) return `${cron.join(' and ')} ${timeZone || 'UTC'}`;
  return intervalSeconds > 0n ? `every ${durationText(intervalSeconds)}` : '';
}

/** Seconds as an option takes them: 604,800 as `7d`, 90 as `90s`. */
export function durationText(seconds: bigint | number): string {
  const amount = Number(seconds);
  const [unit, size] = [['d', 86_400] as const, ['h', 3_600] as const, ['m', 60] as const].find(
    ([, size]) => amount > 0 && amount % size === 0,
  ) ?? ['s', 1];
  return `${amount / size}${unit}`;
}
