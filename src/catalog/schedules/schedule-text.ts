import { durationSeconds } from '../../durations.ts';
import type { ReconcilePolicy } from '../../generated/reconciler/v1/connectors.ts';

/** When a connector runs, for people: `every 15m`, `0 6 * * 1-5 Europe/Vienna`. Empty for by hand only. */
export function scheduleText({ interval, cron, timeZone }: ReconcilePolicy): string {
  if (cron.length > 0) return `${cron.join(' and ')} ${timeZone || 'UTC'}`;
  const seconds = durationSeconds(interval);
  return seconds > 0 ? `every ${durationText(seconds)}` : '';
}

/** Seconds as an option takes them: 604,800 as `7d`, 90 as `90s`. */
export function durationText(seconds: number): string {
  const [unit, size] = [['d', 86_400] as const, ['h', 3_600] as const, ['m', 60] as const].find(
    ([, size]) => seconds > 0 && seconds % size === 0,
  ) ?? ['s', 1];
  return `${seconds / size}${unit}`;
}
