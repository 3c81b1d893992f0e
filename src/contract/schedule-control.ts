/** What the schedule of a connector is to be. */
export interface WantedSchedule {
  connector: { id: string; name: string };
  /** Of the jobs that it starts. Temporal appends a hyphen and the time. */
  jobIdPrefix: string;
  /** 0 where `cron` says when. */
  intervalSeconds: number;
  cron: readonly string[];
  /** Of `cron`; empty for UTC. */
  timeZone: string;
  jitterSeconds: number;
  notBefore?: Date;
  /** Why it starts no job now; empty where it does. */
  pausedBecause: string;
}

/** A schedule as Temporal has it. */
export interface FoundSchedule {
  scheduleId: string;
  /** It is what was asked about; false where nothing was. */
  asWanted: boolean;
  paused: boolean;
  nextRunAt?: Date;
  lastRunAt?: Date;
  /** Empty where it never ran. */
  lastJobId: string;
}

/**
 * The schedules of connectors in Temporal, one a connector. Others, of which a cluster may have many, are neither seen nor touched. Its
 * errors are CodedErrors; `UNAVAILABLE` where Temporal cannot be reached.
 */
export interface ScheduleControl {
  /** Undefined where there is none. */
  describe(connectorId: string, wanted?: WantedSchedule): Promise<FoundSchedule | undefined>;
  /** Makes it, or changes it where it differs. */
  put(wanted: WantedSchedule): Promise<'made' | 'changed' | 'unchanged'>;
  /** @returns whether there was one */
  remove(connectorId: string): Promise<boolean>;
  /**
   * Connectors that have one, a page at a time, in no order. What was made or removed a moment ago may be missing, or still be there.
   *
   * @param pageToken empty for the first page
   */
  list(pageSize: number, pageToken: string): Promise<{ connectorIds: string[]; nextPageToken: string }>;
}

/** Its id in Temporal. */
export function scheduleIdOf(connectorId: string): string {
  return `reconcile-${connectorId}`;
}
