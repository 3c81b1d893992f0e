import type { ObjectStat } from '../../../storage/object-store.ts';
import type { DeltaLog } from '../log/delta-log.ts';
import { readAhead } from '../log/read-ahead.ts';
import type { TableState } from './table-states.ts';

/** Commits before a version whose times are looked at, unless the time of the version before is known. */
const MAX_LOOK_BACK = 100;

/**
 * When versions were committed, in milliseconds since 1970 (Delta protocol, "In-Commit Timestamps"): the time in the commit if the table has them,
 * otherwise that of the file. As in Delta's own history, a version is at least a millisecond younger than the one before, because copies of a table have
 * files with any times.
 */
export class CommitTimes {
  readonly #log: DeltaLog;
  #last?: { version: number; time: number };

  /** @param known the time of a version as it is stored */
  constructor(log: DeltaLog, known?: { version: number; time: number }) {
    this.#log = log;
    this.#last = known;
  }

  /**
   * Cheapest for one version after the other.
   *
   * @param state undefined if it cannot be read
   * @param inCommitTime the time in the commit, if it has one
   */
  async at(version: number, state: TableState | undefined, inCommitTime: number | undefined): Promise<number> {
    const time = (hasTimes(version, state) && inCommitTime) || (await this.#fileTime(version));
    this.#last = { version, time };
    return time;
  }

  async #fileTime(version: number): Promise<number> {
    if (this.#last?.version !== version - 1) await this.#lookBack(version);
    const time = Math.floor((await this.#log.stat(version)).modifiedMs);
    return this.#last === undefined ? time : Math.max(time, this.#last.time + 1);
  }

  async #lookBack(version: number): Promise<void> {
    const first = Math.max(this.#log.first, version - MAX_LOOK_BACK);
    const versions = Array.from({ length: version - first }, (_, index) => first + index);
    let time = Number.NEGATIVE_INFINITY;
    for await (const { modifiedMs } of readAhead(versions, (at): Promise<ObjectStat> => this.#log.stat(at))) {
      time = Math.max(Math.floor(modifiedMs), time + 1);
    }
    this.#last = versions.length === 0 ? undefined : { version: version - 1, time };
  }
}

/** Whether the commit contains its time. Commits before the table property was set do not. */
function hasTimes(version: number, state: TableState | undefined): boolean {
  const { 'delta.enableInCommitTimestamps': enabled, 'delta.inCommitTimestampEnablementVersion': since } =
    state?.metadata.configuration ?? {};
  return enabled === 'true' && version >= Number(since ?? 0);
}
