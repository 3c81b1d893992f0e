import { setTimeout } from 'node:timers/promises';
import { scheduleIdOf } from '../../contract/schedule-control.ts';
import { CodedError } from '../../errors.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { RepairSchedulesResponse, Schedule, ScheduleStatus } from '../../generated/reconciler/v1/schedules.ts';
import { inChunks } from '../core/in-chunks.ts';
import type { ScheduleKeeper, ServiceDeps } from '../core/ports.ts';
import { findConnector, listConnectors } from '../store/connectors/connectors.ts';
import { desiredSchedule } from './desired-schedule.ts';
import { scheduleText } from './schedule-text.ts';

const PAGE = 100;
const MAX_REPORTED = 1000;
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 30_000;

/** Begins with a repair in the background: while the catalog was away, it and Temporal may have come apart. */
export function createScheduleKeeper({
  db,
  jobs,
  logger,
}: Pick<ServiceDeps, 'db' | 'jobs' | 'logger'>): ScheduleKeeper {
  const behind = new Set<string>();
  const turns = new Map<string, Promise<unknown>>();
  const stopped = new AbortController();
  let allBehind = true;
  let catchingUp = false;
  /** Ends the pause after a failure. */
  let pause = new AbortController();
  void catchUp();

  return { follow, sync, look, repair, stop: () => stopped.abort() };

  function follow(connectorId: string): void {
    behind.add(connectorId);
    pause.abort();
    void catchUp();
  }

  /** Goes on, with longer and longer pauses, until nothing is behind. */
  async function catchUp(): Promise<void> {
    if (catchingUp) return;
    catchingUp = true;
    for (let wait = FIRST_WAIT_MS; (allBehind || behind.size > 0) && !stopped.signal.aborted; ) {
      pause = new AbortController();
      try {
        if (allBehind) {
          const { response, refused } = await repairAll();
          const { repaired: _, ...counts } = response;
          logger.info(counts, 'schedules are as the connectors say');
          for (const connectorId of refused.keys()) behind.add(connectorId);
        }
        allBehind = false;
        await syncBehind();
        wait = FIRST_WAIT_MS;
      } catch (err) {
        if (stopped.signal.aborted) break;
        logger.warn({ err, retryInMs: wait }, 'schedules in Temporal are behind the connectors');
        const signal = AbortSignal.any([stopped.signal, pause.signal]);
        await setTimeout(wait, undefined, { signal, ref: false }).catch(() => undefined);
        wait = Math.min(wait * 2, MAX_WAIT_MS);
      }
    }
    catchingUp = false;
  }

  /** One that Temporal refuses does not hold up the others, and stays behind. */
  async function syncBehind(): Promise<void> {
    const refusals: unknown[] = [];
    for (const connectorId of [...behind]) {
      // One that changes meanwhile is added anew.
      behind.delete(connectorId);
      try {
        await sync(connectorId);
      } catch (error) {
        behind.add(connectorId);
        if (isUnavailable(error)) throw error;
        refusals.push(new Error(`the schedule of connector ${connectorId} is refused`, { cause: error }));
      }
    }
    if (refusals.length > 0) throw refusals[0];
  }

  /** Whatever is to be done with one connector's schedule: else an older state could be written over a newer one. */
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
    const wanted = connector && desiredSchedule(connector);
    const { schedules } = await jobs();
    if (wanted) await schedules.put(wanted);
    else await schedules.remove(connectorId);
  }

  async function look(connectorId: string): Promise<Schedule | undefined> {
    return (await compare(connectorId)).schedule;
  }

  async function compare(connectorId: string): Promise<{ schedule?: Schedule; connector?: Connector }> {
    const connector = await findConnector(db, connectorId);
    const wanted = connector && desiredSchedule(connector);
    const found = await (await jobs()).schedules.describe(connectorId, wanted);
    if (!wanted && !found) return { connector };
    const schedule = Schedule.fromPartial({
      ...found,
      scheduleId: scheduleIdOf(connectorId),
      connectorId,
      connectorName: connector?.displayName,
      when: connector?.policy && scheduleText(connector.policy),
      status: !wanted ? SURPLUS : !found ? MISSING : found.matchesDesired ? OK : DIFFERENT,
    });
    return { connector, schedule };
  }

  async function repair(): Promise<RepairSchedulesResponse> {
    const { response, refused } = await repairAll();
    for (const refusal of refused.values()) throw refusal;
    return response;
  }

  /** @returns also what Temporal refused, by connector: it does not hold up the others */
  async function repairAll(): Promise<{ response: RepairSchedulesResponse; refused: Map<string, unknown> }> {
    const response = RepairSchedulesResponse.create();
    const refused = new Map<string, unknown>();
    const repairOne = (connectorId: string) =>
      inTurn(connectorId, async () => {
        try {
          const { connector, schedule } = await compare(connectorId);
          if (!schedule) return;
          response[COUNTED[schedule.status]] += 1n;
          if (schedule.status === OK) return;
          if (response.repaired.length < MAX_REPORTED) response.repaired.push(schedule);
          await write(connectorId, connector);
        } catch (error) {
          if (isUnavailable(error)) throw error;
          refused.set(connectorId, error);
        }
      });
    for (let after: string | undefined, more = true; more; ) {
      const connectors = await listConnectors(db, PAGE, after);
      await inChunks(connectors, ({ connectorId }) => repairOne(connectorId));
      after = connectors.at(-1)?.displayName;
      more = connectors.length === PAGE;
    }
    let pageToken = '';
    do {
      const page = await (await jobs()).schedules.list(PAGE, pageToken);
      // Those of connectors that are there were seen above.
      await inChunks(page.connectorIds, async (id) => (await findConnector(db, id)) ?? repairOne(id));
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
} = ScheduleStatus;

const COUNTED = {
  [OK]: 'unchanged',
  [MISSING]: 'made',
  [DIFFERENT]: 'changed',
  [SURPLUS]: 'removed',
} as Record<ScheduleStatus, 'made' | 'changed' | 'removed' | 'unchanged'>;

const isUnavailable = (error: unknown) => error instanceof CodedError && error.code === 'UNAVAILABLE';
