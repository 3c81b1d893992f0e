import { setTimeout } from 'node:timers/promises';
import { type DesiredSchedule, type FoundSchedule, scheduleIdOf } from '../../contract/schedule-control.ts';
import { CodedError } from '../../errors.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { RepairSchedulesResponse, Schedule, ScheduleStatus } from '../../generated/reconciler/v1/schedules.ts';
import { TemporalUnreachable } from '../../temporal/temporal-errors.ts';
import { inChunks } from '../core/in-chunks.ts';
import type { ScheduleKeeper, ServiceDeps } from '../core/ports.ts';
import { findConnector, listConnectors } from '../store/connectors/connectors.ts';
import { desiredSchedule } from './desired-schedule.ts';
import { scheduleText } from './schedule-text.ts';

const PAGE = 100;
const MAX_REPORTED = 1000;
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 30_000;

/**
 * Starts with a repair in the background, because connectors or schedules may have changed while the catalog was down.
 *
 * @param catalogId schedules whose memo names another catalog are never changed
 */
export function createScheduleKeeper(
  { db, jobs, logger }: Pick<ServiceDeps, 'db' | 'jobs' | 'logger'>,
  catalogId: string,
): ScheduleKeeper {
  /** Ids of connectors whose schedules may be out of date. */
  const outdated = new Set<string>();
  const turns = new Map<string, Promise<unknown>>();
  const stopped = new AbortController();
  let allOutdated = true;
  let catchingUp = false;
  /** Aborting it ends the pause after a failure. */
  let pause = new AbortController();
  void catchUp();

  return { syncInBackground, sync, find, repair, stop: () => stopped.abort() };

  function syncInBackground(connectorId: string): void {
    outdated.add(connectorId);
    pause.abort();
    void catchUp();
  }

  /** Retries, with increasing pauses, until nothing is outdated. */
  async function catchUp(): Promise<void> {
    if (catchingUp) return;
    catchingUp = true;
    for (let wait = FIRST_WAIT_MS; (allOutdated || outdated.size > 0) && !stopped.signal.aborted; ) {
      pause = new AbortController();
      try {
        if (allOutdated) {
          const { response, refused } = await repairAll();
          const { repaired: _, ...counts } = response;
          logger.info(counts, 'schedules agree with the connectors');
          if (response.foreign > 0n) await warnOfForeign(response.foreign);
          for (const connectorId of refused.keys()) outdated.add(connectorId);
        }
        allOutdated = false;
        await syncOutdated();
        wait = FIRST_WAIT_MS;
      } catch (err) {
        if (stopped.signal.aborted) break;
        // That Temporal is away is logged once for all callers.
        if (!(err instanceof TemporalUnreachable))
          logger.warn({ err, retryInMs: wait }, 'schedules in Temporal are out of date; retrying');
        const signal = AbortSignal.any([stopped.signal, pause.signal]);
        await setTimeout(wait, undefined, { signal, ref: false }).catch(() => undefined);
        wait = Math.min(wait * 2, MAX_WAIT_MS);
      }
    }
    catchingUp = false;
  }

  /** A schedule that Temporal refuses does not block the others, and stays outdated. */
  async function syncOutdated(): Promise<void> {
    const refusals: unknown[] = [];
    for (const connectorId of [...outdated]) {
      // Deleted first, so that a change in the meantime can add it again.
      outdated.delete(connectorId);
      try {
        await sync(connectorId);
      } catch (error) {
        outdated.add(connectorId);
        if (isUnavailable(error)) throw error;
        refusals.push(new Error(`Temporal refused the schedule of connector ${connectorId}`, { cause: error }));
      }
    }
    if (refusals.length > 0) throw refusals[0];
  }

  /** Runs the operations on one connector's schedule one after the other, so that an older state never overwrites a newer one. */
  function inTurn<T>(connectorId: string, work: () => Promise<T>): Promise<T> {
    const turn = (turns.get(connectorId) ?? Promise.resolve()).then(work, work);
    turns.set(connectorId, turn);
    const done = () => turns.get(connectorId) === turn && turns.delete(connectorId);
    turn.then(done, done);
    return turn;
  }

  function sync(connectorId: string): Promise<void> {
    return inTurn(connectorId, async () => {
      const connector = await findConnector(db, connectorId);
      await write(connectorId, connector);
    });
  }

  async function write(connectorId: string, connector: Connector | undefined): Promise<void> {
    const desired = connector && desiredSchedule(connector, catalogId);
    const { schedules } = await jobs();
    if (!desired) await schedules.remove(connectorId, catalogId);
    else if ((await schedules.put(desired)) === 'foreign') {
      const { name } = desired.connector;
      logger.warn(
        { connector: name, schedule: scheduleIdOf(connectorId) },
        `connector ${name} has no schedule of its own: the schedule with its id belongs to another catalog, of which this database is a copy. ` +
          'Create the connector again under another name, or use another Temporal namespace.',
      );
    }
  }

  /** They are usually a sign of a wrong setting: catalogs that share a namespace share its workers, too. */
  async function warnOfForeign(count: bigint): Promise<void> {
    const isEmpty = (await listConnectors(db, 1)).items.length === 0;
    logger.warn(
      { schedules: Number(count), catalogId },
      isEmpty
        ? 'this catalog has no connector, but Temporal has schedules of another catalog, which are left alone: is this the right database?'
        : 'Temporal has schedules of another catalog, which are left alone: each catalog needs a Temporal namespace of its own',
    );
  }

  async function find(connectorId: string): Promise<Schedule | undefined> {
    return (await compare(connectorId)).schedule;
  }

  async function compare(connectorId: string): Promise<{ schedule?: Schedule; connector?: Connector }> {
    const connector = await findConnector(db, connectorId);
    const desired = connector && desiredSchedule(connector, catalogId);
    const found = await (await jobs()).schedules.describe(connectorId, desired);
    if (!desired && !found) return { connector };
    const schedule = Schedule.fromPartial({
      ...found,
      scheduleId: scheduleIdOf(connectorId),
      connectorId,
      connectorName: connector?.displayName,
      when: connector?.policy && scheduleText(connector.policy),
      status: statusOf(found, desired, connector !== undefined),
    });
    return { connector, schedule };
  }

  function statusOf(found: FoundSchedule | undefined, desired: DesiredSchedule | undefined, isKnown: boolean) {
    if (!found) return MISSING;
    if (!isOurs(found, isKnown)) return FOREIGN;
    if (!desired) return SURPLUS;
    return found.matchesDesired ? OK : DIFFERENT;
  }

  /** @param isKnown this catalog has the schedule's connector */
  function isOurs({ catalogId: owner }: Pick<FoundSchedule, 'catalogId'>, isKnown: boolean): boolean {
    return owner === undefined ? isKnown : owner === catalogId;
  }

  async function repair(): Promise<RepairSchedulesResponse> {
    const { response, refused } = await repairAll();
    for (const refusal of refused.values()) throw refusal;
    return response;
  }

  /** @returns also the refusals of Temporal by connector id; a refusal does not block the other schedules */
  async function repairAll(): Promise<{ response: RepairSchedulesResponse; refused: Map<string, unknown> }> {
    const response = RepairSchedulesResponse.create();
    const refused = new Map<string, unknown>();
    const repairOne = (connectorId: string) =>
      inTurn(connectorId, async () => {
        try {
          const { connector, schedule } = await compare(connectorId);
          if (!schedule) return;
          response[COUNTERS[schedule.status]] += 1n;
          if (schedule.status === OK || schedule.status === FOREIGN) return;
          if (response.repaired.length < MAX_REPORTED) response.repaired.push(schedule);
          await write(connectorId, connector);
        } catch (error) {
          if (isUnavailable(error)) throw error;
          refused.set(connectorId, error);
        }
      });
    for (let after: string | undefined, more = true; more; ) {
      const { items, last } = await listConnectors(db, PAGE, after);
      await inChunks(items, ({ connectorId }) => repairOne(connectorId));
      after = last?.displayName;
      more = last !== undefined;
    }
    let pageToken = '';
    do {
      const page = await (await jobs()).schedules.list(PAGE, pageToken);
      // The schedules of existing connectors were repaired above.
      await inChunks(page.schedules, async ({ connectorId, catalogId: owner }) => {
        if (await findConnector(db, connectorId)) return;
        if (isOurs({ catalogId: owner }, false)) await repairOne(connectorId);
        else response.foreign += 1n;
      });
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return { response, refused };
  }
}

const {
  SCHEDULE_STATUS_OK: OK,
  SCHEDULE_STATUS_MISSING: MISSING,
  SCHEDULE_STATUS_DIFFERENT: DIFFERENT,
  SCHEDULE_STATUS_SURPLUS: SURPLUS,
  SCHEDULE_STATUS_FOREIGN: FOREIGN,
} = ScheduleStatus;

/** The counter of a repair, by the status that was found. */
const COUNTERS = {
  [OK]: 'unchanged',
  [MISSING]: 'made',
  [DIFFERENT]: 'changed',
  [SURPLUS]: 'removed',
  [FOREIGN]: 'foreign',
} as Record<ScheduleStatus, 'made' | 'changed' | 'removed' | 'unchanged' | 'foreign'>;

const isUnavailable = (error: unknown) => error instanceof CodedError && error.code === 'UNAVAILABLE';
