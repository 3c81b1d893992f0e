import { setTimeout } from 'node:timers/promises';
import { type DesiredSchedule, type FoundSchedule, scheduleIdOf } from '../../contract/schedule-control.ts';
import { DEFAULT_TENANT } from '../../contract/tenant.ts';
import { CodedError } from '../../errors.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { RepairSchedulesResponse, Schedule, ScheduleStatus } from '../../generated/reconciler/v1/schedules.ts';
import { TemporalUnreachable } from '../../temporal/temporal-errors.ts';
import { inChunks } from '../core/in-chunks.ts';
import type { CatalogDeps, ScheduleKeeper } from '../core/ports.ts';
import { findConnector, listConnectors } from '../store/connectors/connectors.ts';
import { listConnectorsOfAllTenants, type OwnedConnectorId } from '../store/connectors/of-all-tenants.ts';
import { scopedTo } from '../store/database/scoped.ts';
import { tenantsByNamespace } from '../store/tenants/tenants.ts';
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
  { db, jobsOf, logger }: Pick<CatalogDeps, 'db' | 'jobsOf' | 'logger'>,
  catalogId: string,
): ScheduleKeeper {
  /** Connectors whose schedules may be out of date, with their tenants. */
  const outdated = new Map<string, string>();
  const turns = new Map<string, Promise<unknown>>();
  const stopped = new AbortController();
  /** Tenants, by namespaces of Temporal, all of whose schedules may be out of date; undefined before the first look. */
  let behind: Map<string, string[]> | undefined;
  let catchingUp = false;
  /** Aborting it ends the pause after a failure. */
  let pause = new AbortController();
  void catchUp();

  return {
    of: (tenant) => ({
      syncInBackground: (connectorId) => syncInBackground({ tenant, connectorId }),
      sync: (connectorId) => sync({ tenant, connectorId }),
      find: async (connectorId) => (await compare({ tenant, connectorId })).schedule,
      repair: () => repair(tenant),
    }),
    stop: () => stopped.abort(),
  };

  function syncInBackground({ tenant, connectorId }: OwnedConnectorId): void {
    outdated.set(connectorId, tenant);
    pause.abort();
    void catchUp();
  }

  /** Retries, with increasing pauses, until nothing is outdated. */
  async function catchUp(): Promise<void> {
    if (catchingUp) return;
    catchingUp = true;
    for (let wait = FIRST_WAIT_MS; behind?.size !== 0 || outdated.size > 0; ) {
      if (stopped.signal.aborted) break;
      pause = new AbortController();
      try {
        behind ??= await tenantsByNamespace(db);
        const failures: unknown[] = [];
        // A namespace that cannot be reached does not keep those of other tenants from being repaired.
        for (const [namespace, tenants] of [...behind]) {
          await repairInBackground(tenants).then(
            () => behind?.delete(namespace),
            (error) => failures.push(error),
          );
        }
        await syncOutdated();
        if (failures.length > 0) throw failures[0];
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

  async function repairInBackground(tenants: readonly string[]): Promise<void> {
    const { response, refused } = await repairAll(tenants);
    const { repaired: _, ...counts } = response;
    logger.info(counts, 'schedules agree with the connectors');
    if (response.foreign > 0n) await warnOfForeign(response.foreign);
    for (const [connectorId, { tenant }] of refused) outdated.set(connectorId, tenant);
  }

  /** A schedule that Temporal refuses does not block the others, and stays outdated. */
  async function syncOutdated(): Promise<void> {
    const refusals: unknown[] = [];
    const unreachable = new Map<string, unknown>();
    for (const [connectorId, tenant] of [...outdated]) {
      if (unreachable.has(tenant)) continue;
      // Deleted first, so that a change in the meantime can add it again.
      outdated.delete(connectorId);
      try {
        await sync({ tenant, connectorId });
      } catch (error) {
        outdated.set(connectorId, tenant);
        if (isUnavailable(error)) unreachable.set(tenant, error);
        else refusals.push(new Error(`Temporal refused the schedule of connector ${connectorId}`, { cause: error }));
      }
    }
    for (const error of [...refusals, ...unreachable.values()]) throw error;
  }

  /** Runs the operations on one connector's schedule one after the other, so that an older state never overwrites a newer one. */
  function inTurn<T>(connectorId: string, work: () => Promise<T>): Promise<T> {
    const turn = (turns.get(connectorId) ?? Promise.resolve()).then(work, work);
    turns.set(connectorId, turn);
    const done = () => turns.get(connectorId) === turn && turns.delete(connectorId);
    turn.then(done, done);
    return turn;
  }

  function sync({ tenant, connectorId }: OwnedConnectorId): Promise<void> {
    return inTurn(connectorId, async () => {
      const connector = await findConnector(scopedTo(db, tenant), connectorId);
      await write({ tenant, connectorId }, connector);
    });
  }

  async function write({ tenant, connectorId }: OwnedConnectorId, connector: Connector | undefined): Promise<void> {
    const desired = connector && desiredSchedule(tenant, connector, catalogId);
    const { schedules } = await jobsOf(tenant);
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
    const isEmpty = (await listConnectorsOfAllTenants(db, 1)).items.length === 0;
    logger.warn(
      { schedules: Number(count), catalogId },
      isEmpty
        ? 'this catalog has no connector, but Temporal has schedules of another catalog, which are left alone: is this the right database?'
        : 'Temporal has schedules of another catalog, which are left alone: each catalog needs a Temporal namespace of its own',
    );
  }

  async function compare({
    tenant,
    connectorId,
  }: OwnedConnectorId): Promise<{ schedule?: Schedule; connector?: Connector }> {
    const connector = await findConnector(scopedTo(db, tenant), connectorId);
    const desired = connector && desiredSchedule(tenant, connector, catalogId);
    const found = await (await jobsOf(tenant)).schedules.describe(connectorId, desired);
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

  async function repair(tenant: string): Promise<RepairSchedulesResponse> {
    const { response, refused } = await repairAll([tenant]);
    for (const { error } of refused.values()) throw error;
    return response;
  }

  /**
   * Repairs the schedules of tenants that have the same namespace.
   *
   * @returns also the refusals of Temporal by connector id; a refusal does not block the other schedules
   */
  async function repairAll(
    tenants: readonly string[],
  ): Promise<{ response: RepairSchedulesResponse; refused: Map<string, { tenant: string; error: unknown }> }> {
    const response = RepairSchedulesResponse.create();
    const refused = new Map<string, { tenant: string; error: unknown }>();
    const repairOne = (tenant: string, connectorId: string) =>
      inTurn(connectorId, async () => {
        try {
          const { connector, schedule } = await compare({ tenant, connectorId });
          if (!schedule) return;
          response[COUNTERS[schedule.status]] += 1n;
          if (schedule.status === OK || schedule.status === FOREIGN) return;
          if (response.repaired.length < MAX_REPORTED) response.repaired.push(schedule);
          await write({ tenant, connectorId }, connector);
        } catch (error) {
          if (isUnavailable(error)) throw error;
          refused.set(connectorId, { tenant, error });
        }
      });
    for (const tenant of tenants) {
      for (let after: string | undefined, more = true; more; ) {
        const { items, last } = await listConnectors(scopedTo(db, tenant), PAGE, after);
        await inChunks(items, ({ connectorId }) => repairOne(tenant, connectorId));
        after = last?.displayName;
        more = last !== undefined;
      }
    }
    const [first = DEFAULT_TENANT] = tenants;
    let pageToken = '';
    do {
      const page = await (await jobsOf(first)).schedules.list(PAGE, pageToken);
      await inChunks(page.schedules, async ({ connectorId, catalogId: owner, tenant = DEFAULT_TENANT }) => {
        // The schedules of existing connectors were repaired above.
        if (!tenants.includes(tenant) || (await findConnector(scopedTo(db, tenant), connectorId))) return;
        if (isOurs({ catalogId: owner }, false)) await repairOne(tenant, connectorId);
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
