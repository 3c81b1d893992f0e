import type { JobControl } from '../contract/job-control.ts';
import type { OutageLog } from '../telemetry/outage-log.ts';
import { networkReason, TemporalUnreachable } from './temporal-errors.ts';

/** Passes all calls on, and reports those that find Temporal away to `outages`. Callers need not log them again. */
export function logOutages(control: JobControl, outages: OutageLog): JobControl {
  const probe = () => control.schedules.list(1, '').then(() => undefined, networkReason);
  const watch = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) =>
          value.apply(target, args).catch((error: unknown) => {
            if (error instanceof TemporalUnreachable) outages.failed(networkReason(error), probe);
            throw error;
          });
      },
    });
  return watch({ ...control, schedules: watch(control.schedules) });
}
