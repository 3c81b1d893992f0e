/** The schedule that a connector should have. */
export interface DesiredSchedule {
  /** The id of the catalog that owns it, which its memo has. */
  catalogId: string;
  /** The tenant of the connector, which its memo has too. */
  tenant: string;
  connector: { id: string; name: string };
  /** How the ids of its jobs begin. Temporal appends a hyphen and the time. */
  jobIdPrefix: string;
  /** 0 if `cron` states when. */
  intervalSeconds: number;
  /** When within the interval it runs, so that connectors with the same interval do not all start at once. */
  offsetSeconds: number;
  cron: readonly string[];
  /** The time zone of `cron`; empty for UTC. */
  timeZone: string;
  jitterSeconds: number;
  notBefore?: Date;
  /** Why it starts no jobs at present; empty if it does. */
  pausedBecause: string;
}

/** A schedule as Temporal stores it. */
export interface FoundSchedule {
  scheduleId: string;
  /** The catalog that its memo names; `UNREADABLE` if that is encrypted with an unknown key, undefined if it names none. */
  catalogId?: string;
  /** It equals the schedule that was passed to `describe`; false if none was. */
  matchesDesired: boolean;
  paused: boolean;
  nextRunAt?: Date;
  lastRunAt?: Date;
  /** Empty if it never ran. */
  lastJobId: string;
}

/**
 * The schedules of connectors in Temporal, one per connector. Other schedules, of which a cluster may have many, are ignored. A schedule
 * whose memo names another catalog is never changed. Errors are CodedErrors: `UNAVAILABLE` if Temporal cannot be reached.
 */
export interface ScheduleControl {
  /** Undefined if the connector has none. */
  describe(connectorId: string, desired?: DesiredSchedule): Promise<FoundSchedule | undefined>;
  /** Creates the schedule, or changes it if it differs and is not another catalog's. */
  put(desired: DesiredSchedule): Promise<'made' | 'changed' | 'unchanged' | 'foreign'>;
  /** Removes the schedule, unless it is another catalog's. @returns whether there was one */
  remove(connectorId: string, catalogId: string): Promise<boolean>;
  /**
   * The schedules of all catalogs, in no order. One that was created or removed a moment ago may be missing or still be listed.
   *
   * @param pageToken empty for the first page
   */
  list(pageSize: number, pageToken: string): Promise<{ schedules: ListedSchedule[]; nextPageToken: string }>;
}

/** Instead of a catalog's id. */
export const UNREADABLE = '';

/** A schedule in a list. */
export interface ListedSchedule extends Pick<FoundSchedule, 'catalogId'> {
  /** The tenant that its memo names; undefined if it names none, or cannot be read. */
  tenant?: string;
  connectorId: string;
}

/** The schedule's id in Temporal. */
export function scheduleIdOf(connectorId: string): string {
  return `reconcile-${connectorId}`;
}
