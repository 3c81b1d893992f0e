import { isDeepStrictEqual } from 'node:util';
import {
  type DesiredSchedule,
  type FoundSchedule,
  type ScheduleControl,
  scheduleIdOf,
} from '../../../src/contract/schedule-control.ts';

/** Stores schedules as Temporal does, but never runs them. test/integration/schedules/schedules.test.ts uses a real Temporal. */
export class FakeSchedules implements ScheduleControl {
  readonly kept = new Map<string, DesiredSchedule>();
  readonly #reach: () => void;

  constructor(reach: () => void = () => {}) {
    this.#reach = reach;
  }

  async describe(connectorId: string, desired?: DesiredSchedule): Promise<FoundSchedule | undefined> {
    this.#reach();
    const stored = this.kept.get(connectorId);
    return (
      stored && {
        scheduleId: scheduleIdOf(connectorId),
        catalogId: stored.catalogId,
        matchesDesired: isDeepStrictEqual(stored, desired),
        paused: stored.pausedBecause !== '',
        nextRunAt: stored.pausedBecause === '' ? new Date(Date.UTC(2030, 0, 1, 6)) : undefined,
        lastJobId: '',
      }
    );
  }

  async put(desired: DesiredSchedule) {
    this.#reach();
    const stored = this.kept.get(desired.connector.id);
    if (stored && stored.catalogId !== desired.catalogId) return 'foreign';
    this.kept.set(desired.connector.id, desired);
    if (stored === undefined) return 'made';
    return isDeepStrictEqual(stored, desired) ? 'unchanged' : 'changed';
  }

  async remove(connectorId: string, catalogId: string) {
    this.#reach();
    return this.kept.get(connectorId)?.catalogId === catalogId && this.kept.delete(connectorId);
  }

  async list() {
    this.#reach();
    const schedules = [...this.kept].map(([connectorId, { catalogId, tenant }]) => ({
      connectorId,
      catalogId,
      tenant,
    }));
    return { schedules, nextPageToken: '' };
  }
}
