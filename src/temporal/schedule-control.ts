import { isDeepStrictEqual } from 'node:util';
import {
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleDescription,
  ScheduleNotFoundError,
  type ScheduleOptions,
  ScheduleOverlapPolicy,
  type WorkflowStartOptions,
} from '@temporalio/client';
import { type Payload, TypedSearchAttributes } from '@temporalio/common';
import type { ReconcileRequest } from '../contract/job.ts';
import { RECONCILE_WORKFLOW, TASK_QUEUE } from '../contract/names.ts';
import {
  type DesiredSchedule,
  type FoundSchedule,
  type ListedSchedule,
  type ScheduleControl,
  scheduleIdOf,
  UNREADABLE,
} from '../contract/schedule-control.ts';
import { SEARCH_ATTRIBUTES } from '../contract/search-attributes.ts';
import { namedTenant } from '../contract/tenant.ts';
import { parseCron } from './cron.ts';
import { jobLabels } from './job-labels.ts';
import { EncryptionCodec, keyIdOf } from './payload-codec.ts';
import { mapTemporalErrors } from './temporal-errors.ts';

/**
 * If Temporal was down when a run was due and is back within this time, it starts the run late. It starts one run however many it missed,
 * because runs that become due while one is running are skipped.
 */
const CATCHUP_WINDOW_MS = 24 * 3_600_000;
/** The SDK's types of a schedule's action lack the priority, which its code sends. */
type JobAction = ScheduleOptions['action'] & Pick<WorkflowStartOptions, 'priority'>;

/** In the memo of a schedule: the catalog that owns it. */
const CATALOG_ID = 'catalogId';
/** In the same memo: the tenant of the connector. */
const TENANT = 'tenant';

/** Ids of this project's schedules; the group is the connector's id. */
const SCHEDULE_ID = /^reconcile-(con_[0-9a-z]+)$/;

/**
 * Implements `ScheduleControl` with a Temporal client.
 *
 * @param uiBase of links in the details of jobs; by default, they lead to the UI that shows them
 */
export function temporalSchedules(client: () => Promise<Client>, uiBase?: string): ScheduleControl {
  return {
    async describe(connectorId, desired) {
      const c = await client();
      const description = await describe(c, scheduleIdOf(connectorId));
      return description && toFoundSchedule(c, description, desired && (await optionsOf(c, desired, uiBase)));
    },

    async put(desired) {
      const c = await client();
      const options = await optionsOf(c, desired, uiBase);
      let description = await describe(c, options.scheduleId);
      if (description === undefined) {
        try {
          await mapTemporalErrors(() => c.schedule.create(options));
          return 'made';
        } catch (error) {
          if (!(error instanceof ScheduleAlreadyRunning)) throw error;
        }
        description = await describe(c, options.scheduleId);
      }
      if (description && belongsToAnother(description, desired.catalogId)) return 'foreign';
      if (description && toFoundSchedule(c, description, options).matchesDesired) return 'unchanged';
      const { spec, action, policies, state, typedSearchAttributes } = options;
      const update = { spec, action, policies, state: { ...state }, typedSearchAttributes };
      await mapTemporalErrors(() => c.schedule.getHandle(options.scheduleId).update(() => update));
      return 'changed';
    },

    async remove(connectorId, catalogId) {
      const c = await client();
      const description = await describe(c, scheduleIdOf(connectorId));
      if (!description || belongsToAnother(description, catalogId)) return false;
      try {
        await mapTemporalErrors(() => c.schedule.getHandle(scheduleIdOf(connectorId)).delete());
        return true;
      } catch (error) {
        if (error instanceof ScheduleNotFoundError) return false;
        throw error;
      }
    },

    async list(pageSize, pageToken) {
      const c = await client();
      const { schedules, nextPageToken } = await mapTemporalErrors(() =>
        c.workflowService.listSchedules({
          namespace: c.options.namespace,
          maximumPageSize: pageSize,
          nextPageToken: Buffer.from(pageToken, 'base64url'),
        }),
      );
      const found: ListedSchedule[] = [];
      for (const { scheduleId, info, memo } of schedules ?? []) {
        const connectorId = SCHEDULE_ID.exec(scheduleId ?? '')?.[1];
        if (info?.workflowType?.name !== RECONCILE_WORKFLOW || connectorId === undefined) continue;
        const catalogId = await memoText(c, memo?.fields?.[CATALOG_ID]);
        const tenant = await memoText(c, memo?.fields?.[TENANT]);
        found.push({ connectorId, catalogId, tenant: tenant === UNREADABLE ? undefined : tenant });
      }
      return {
        schedules: found,
        nextPageToken: Buffer.from(nextPageToken ?? '').toString('base64url'),
      };
    },
  };
}

/** What a listed schedule's memo has: `UNREADABLE` if it is encrypted with an unknown key. */
async function memoText(
  { options: { loadedDataConverter: converter } }: Client,
  encoded: Payload | undefined,
): Promise<string | undefined> {
  if (encoded === undefined) return undefined;
  try {
    let payloads = [encoded];
    for (const codec of [...converter.payloadCodecs].reverse()) payloads = await codec.decode(payloads);
    return String(converter.payloadConverter.fromPayload(payloads[0] as Payload));
  } catch {
    // It is encrypted with another catalog's key.
    return UNREADABLE;
  }
}

function belongsToAnother({ memo }: ScheduleDescription, catalogId: string): boolean {
  const owner = memo?.[CATALOG_ID];
  return owner !== undefined && owner !== catalogId;
}

async function describe(client: Client, scheduleId: string): Promise<ScheduleDescription | undefined> {
  try {
    return await mapTemporalErrors(() => client.schedule.getHandle(scheduleId).describe());
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}

async function optionsOf(client: Client, desired: DesiredSchedule, uiBase?: string): Promise<ScheduleOptions> {
  const { connector, intervalSeconds, offsetSeconds, cron, jitterSeconds, pausedBecause } = desired;
  const request: ReconcileRequest = {
    connector: connector.id,
    connectorName: connector.name,
    ...namedTenant(desired.tenant),
    trigger: 'schedule',
  };
  const labels = await jobLabels(client, request, connector, { uiBase });
  const action: JobAction = {
    type: 'startWorkflow',
    workflowType: RECONCILE_WORKFLOW,
    workflowId: desired.jobIdPrefix,
    taskQueue: TASK_QUEUE,
    args: [request],
    ...labels,
  };
  return {
    scheduleId: scheduleIdOf(connector.id),
    memo: { [CATALOG_ID]: desired.catalogId, [TENANT]: desired.tenant },
    spec: {
      ...(intervalSeconds > 0 ? { intervals: [{ every: intervalSeconds * 1000, offset: offsetSeconds * 1000 }] } : {}),
      ...(cron.length > 0 ? { cronExpressions: [...cron], timezone: desired.timeZone || undefined } : {}),
      startAt: desired.notBefore,
      jitter: jitterSeconds * 1000 || undefined,
    },
    action,
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: CATCHUP_WINDOW_MS, pauseOnFailure: false },
    // The UI shows the note in a schedule's page, and these attributes in the list of schedules.
    state: { paused: pausedBecause !== '', note: `Reconciles connector ${connector.name}. ${pausedBecause}`.trimEnd() },
    typedSearchAttributes: labels.typedSearchAttributes && scheduleAttributes(desired.tenant, connector.name),
  };
}

/** Not compared: Temporal changes them with a delay, and a schedule whose connector was renamed differs in its action too. */
function scheduleAttributes(tenant: string, connectorName: string): TypedSearchAttributes {
  return new TypedSearchAttributes([
    { key: SEARCH_ATTRIBUTES.connector, value: connectorName },
    { key: SEARCH_ATTRIBUTES.tenant, value: tenant },
  ]);
}

function toFoundSchedule(
  client: Client,
  description: ScheduleDescription,
  desired: ScheduleOptions | undefined,
): FoundSchedule {
  const { scheduleId, state, info, memo } = description;
  const last = info.recentActions.at(-1);
  return {
    scheduleId,
    catalogId: memo?.[CATALOG_ID] === undefined ? undefined : String(memo[CATALOG_ID]),
    matchesDesired:
      desired !== undefined &&
      isDeepStrictEqual(descriptionFacts(description), optionFacts(desired)) &&
      isEncryptedAsNow(client, description),
    paused: state.paused,
    // Temporal reports the next time of a paused schedule too.
    nextRunAt: state.paused ? undefined : info.nextActionTimes[0],
    lastRunAt: last?.takenAt,
    lastJobId: last?.action.workflow.workflowId ?? '',
  };
}

/**
 * Whether the schedule's input is encrypted with the current key. Schedules outlive every retention period, so old keys can only be removed
 * if schedules are updated to new ones.
 */
function isEncryptedAsNow({ options }: Client, { raw }: ScheduleDescription): boolean {
  const codec = options.loadedDataConverter.payloadCodecs.find((codec) => codec instanceof EncryptionCodec);
  return keyIdOf(raw.schedule?.action?.startWorkflow?.input?.payloads?.[0]) === codec?.keyId;
}

/** The comparable content of an existing schedule. The server returns cron expressions as the lists of matching values. */
function descriptionFacts({ spec, action, policies, state, raw }: ScheduleDescription) {
  const calendars = (raw.schedule?.spec?.structuredCalendar ?? []).map((calendar) =>
    comparable(calendar.year?.length ? 'years' : '', {
      second: valuesOf(calendar.second),
      minute: valuesOf(calendar.minute),
      hour: valuesOf(calendar.hour),
      dayOfMonth: valuesOf(calendar.dayOfMonth),
      month: valuesOf(calendar.month),
      dayOfWeek: valuesOf(calendar.dayOfWeek),
    }),
  );
  return {
    intervals: (spec.intervals ?? []).map(({ every, offset }) => [every, offset ?? 0]),
    calendars: [...new Set(calendars)].sort(),
    timezone: spec.timezone ?? '',
    bounds: [spec.startAt?.getTime(), spec.endAt?.getTime(), spec.skip?.length ?? 0],
    jitter: spec.jitter ?? 0,
    action: actionFacts(action),
    policies: comparable(policies.overlap, policies.catchupWindow, policies.pauseOnFailure),
    state: [state.paused, state.note, state.remainingActions],
  };
}

/** The same content of a desired schedule. */
function optionFacts({ spec, action, policies, state }: ScheduleOptions): ReturnType<typeof descriptionFacts> {
  const calendars = (spec.cronExpressions ?? []).map((cron) => comparable('', { second: [0], ...parseCron(cron) }));
  return {
    intervals: (spec.intervals ?? []).map(({ every, offset }) => [every as number, offset as number]),
    calendars: [...new Set(calendars)].sort(),
    timezone: spec.timezone ?? '',
    bounds: [spec.startAt?.getTime(), undefined, 0],
    jitter: (spec.jitter as number | undefined) ?? 0,
    action: actionFacts(action),
    policies: comparable(policies?.overlap, policies?.catchupWindow, policies?.pauseOnFailure),
    state: [state?.paused ?? false, state?.note, undefined],
  };
}

const comparable = (...values: unknown[]) => JSON.stringify(values);

function actionFacts(action: ScheduleDescription['action'] | JobAction) {
  const attributes = action.typedSearchAttributes;
  const pairs = Array.isArray(attributes) ? attributes : (attributes?.getAll() ?? []);
  return {
    what: comparable(action.workflowType, action.workflowId, action.taskQueue, action.args),
    labels: [action.staticSummary, action.staticDetails],
    memo: action.memo ?? {},
    priority: [action.priority?.priorityKey, action.priority?.fairnessKey],
    attributes: Object.fromEntries(pairs.map(({ key, value }) => [key.name, value])),
  };
}

/** The values of ranges, interpreted as the server does. */
function valuesOf(ranges: { start?: number | null; end?: number | null; step?: number | null }[] | null | undefined) {
  const values = new Set<number>();
  for (const { start, end, step } of ranges ?? []) {
    const from = start ?? 0;
    for (let value = from; value <= Math.max(from, end ?? 0); value += step || 1) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}
