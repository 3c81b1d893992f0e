import { isDeepStrictEqual } from 'node:util';
import {
  type DesiredSchedule,
  type FoundSchedule,
  type ScheduleControl,
  scheduleIdOf,
} from '../../../src/contract/schedule-control.ts';

/** Keeps schedules as Temporal would; nothing runs by them. Tests with a real one: test/integration/schedules.test.ts. */
export class FakeSchedules implements ScheduleControl {
  readonly kept = new Map<string, DesiredSchedule>();
  readonly #reach: () => void;

  constructor(reach: () => void = () => {}) {
    this.#reach = reach;
  }

  async describe(connectorId: string, wanted?: DesiredSchedule): Promise<FoundSchedule | undefined> {
    this.#reach();
    const has = this.kept.get(connectorId);
    return (
      has && {
        scheduleId: scheduleIdOf(connectorId),
        matchesDesired: isDeepStrictEqual(has, wanted),
        paused: has.pausedBecause !== '',
        nextRunAt: has.pausedBecause === '' ? new Date(Date.UTC(2030, 0, 1, 6)) : undefined,
        lastJobId: '',
      }
    );
  }

  async put(wanted: DesiredSchedule) {
    this.#reach();
    const has = this.kept.get(wanted.connector.id);
    this.kept.set(wanted.connector.id, wanted);
    if (has === undefined) return 'made';
    return isDeepStrictEqual(has, wanted) ? 'unchanged' : 'changed';
  }

  async remove(connectorId: string) {
    this.#reach();
    return this.kept.delete(connectorId);
  }

  async list() {
    this.#reach();
    return { connectorIds: [...this.kept.keys()], nextPageToken: '' };
  }
}
