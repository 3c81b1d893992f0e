import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type {
  BeginInput,
  BegunJob,
  ControlActivities,
  Destination,
  DropOutcome,
  EndedJob,
  EndInput,
  FileGroupInput,
  GroupOutcome,
  IngestActivities,
  IngestInput,
  IngestPackInput,
  JobRecord,
  MissingInput,
  MissingOutcome,
  PackOutcome,
  RecordInput,
  ResolvedConnector,
  ScanActivities,
  ScanInput,
  ScanPage,
  TableOutcome,
  ViewsInput,
  ViewsOutcome,
  WalkCursor,
} from '../../../src/contract/activities.ts';
import { addCounts, type Counters, type TableFailure } from '../../../src/contract/job.ts';
import type { TableRef } from '../../../src/contract/upstream-names.ts';

/**
 * What a scan, and then an ingest, finds of a table. `flaky` fails in a pack and succeeds by itself; `broken` fails in both; `split` has a
 * snapshot of this many file groups; `slices` takes this many slices of a minute; `lossy` has a snapshot that cannot be read.
 */
export type TableState =
  | 'filtered'
  | 'unchanged'
  | 'changed'
  | 'flaky'
  | 'broken'
  | 'lossy'
  | { split: number }
  | { slices: number };

export type Activities = ControlActivities & ScanActivities & IngestActivities;
export type ActivityName = keyof Activities;

/** One attempt of an activity, in the order in which they began. */
export interface Call {
  step: string;
  activity: ActivityName;
  attempt: number;
  input: unknown;
}

/** What one call of a step does instead; if it returns undefined, the stub's own result follows. */
export type Behaviour = (call: Call) => unknown;

const COUNTS: Counters = { snapshotsIngested: 1, filesIngested: 2, bytesRead: 100, upstreamRequests: 3 };
const OUTCOME: TableOutcome = { changed: true, counts: COUNTS };
const BROKEN = { code: 'DATA_LOSS', message: 'the manifest is truncated' };

export const connector: ResolvedConnector = {
  ...{ connectorId: 'con_lake', name: 'lake', maxParallel: 1 },
  ...{ drops: false, searchAttributes: true },
};

/** A tiny upstream and catalog behind the activities of `reconcile`: tests describe it, and read the calls that it got. */
export class StubUpstream implements Activities {
  readonly calls: Call[] = [];
  readonly records: JobRecord[] = [];
  connector: ResolvedConnector = connector;
  destination: Destination = { catalogId: 'cat_1', namespaceId: 'ns_1', before: { tables: 0, views: 0 } };
  /** What each page of the listing has besides its tables. */
  page: Partial<ScanPage> = { counts: { upstreamRequests: 1 } };
  views?: ViewsOutcome;
  missing: { tables: MissingOutcome; views: MissingOutcome } = { tables: { counts: {} }, views: { counts: {} } };
  drops: DropOutcome = { counts: {} };
  alert?: EndedJob['alert'];
  /** The epoch of the next claim. */
  epoch = 1;
  /** What each claim returns from then on. */
  unverifiedSinceMs?: number;
  /** How long each ingest takes: so that those that run at once are seen. */
  ingestMs = 0;
  readonly #pages: Record<string, TableState>[];
  readonly #states: Record<string, TableState>;
  readonly #script = new Map<string, Behaviour[]>();
  readonly #groupsDone = new Set<string>();
  readonly #running = new Map<ActivityName, number>();
  readonly #mostRunning = new Map<ActivityName, number>();

  /** @param pages the pages of the listing: tables by name */
  constructor(...pages: Record<string, TableState>[]) {
    this.#pages = pages.length > 0 ? pages : [{}];
    this.#states = Object.assign({}, ...pages);
  }

  /** Scripts the first calls of a step, such as `ingestTable orders`, one behaviour per call. */
  on(step: string, ...behaviours: Behaviour[]): this {
    this.#script.set(step, [...behaviours]);
    return this;
  }

  with(
    fields: Partial<Pick<StubUpstream, 'destination' | 'page' | 'views' | 'missing' | 'drops' | 'alert' | 'ingestMs'>>,
  ) {
    return Object.assign(this, fields);
  }

  withConnector(fields: Partial<ResolvedConnector>): this {
    this.connector = { ...this.connector, ...fields };
    return this;
  }

  /** The steps that were taken, as texts; each attempt after the first, and each end of a cancelled activity, is one of its own. */
  get steps(): string[] {
    return this.calls.map(({ step }) => step);
  }

  /** Like `steps`, without those that every job begins and ends with. */
  get work(): string[] {
    const frame = /^(beginJob|recordJob|endJob)/;
    return this.steps.filter((step) => !frame.test(step));
  }

  inputsOf<K extends ActivityName>(activity: K): Parameters<Activities[K]>[0][] {
    return this.calls.filter((call) => call.activity === activity).map(({ input }) => input as never);
  }

  /** How many of these activities ran at the same time, at most. */
  mostAtOnce(activity: ActivityName): number {
    return this.#mostRunning.get(activity) ?? 0;
  }

  /** Runs an activity as its worker does. */
  async run(activity: ActivityName, input: unknown, attempt: number): Promise<unknown> {
    const step = stepOf(activity, input);
    const call = { step: attempt > 1 ? `${step} (attempt ${attempt})` : step, activity, attempt, input };
    this.calls.push(call);
    const running = (this.#running.get(activity) ?? 0) + 1;
    this.#running.set(activity, running);
    this.#mostRunning.set(activity, Math.max(this.mostAtOnce(activity), running));
    try {
      const scripted = await this.#script.get(step)?.shift()?.(call);
      return scripted ?? (await (this[activity] as (input: unknown) => Promise<unknown>)(input));
    } catch (error) {
      if (error instanceof CancelledFailure) this.calls.push({ ...call, step: `${step} stopped` });
      throw error;
    } finally {
      this.#running.set(activity, (this.#running.get(activity) as number) - 1);
    }
  }

  async beginJob({ record, hasDestination }: BeginInput): Promise<BegunJob> {
    this.records.push(record);
    const destination = hasDestination ? undefined : this.destination;
    const { unverifiedSinceMs } = this;
    return { connector: this.connector, epoch: this.epoch++, destination, unverifiedSinceMs };
  }

  async recordJob({ record }: RecordInput) {
    this.records.push(record);
  }

  async isPaused() {
    return false;
  }

  async endJob({ record }: EndInput): Promise<EndedJob> {
    this.records.push(record);
    return { alert: this.alert };
  }

  async scanTables({ cursor, record }: ScanInput): Promise<ScanPage> {
    this.records.push(record);
    const at = pageOf(cursor) - 1;
    const tables = Object.entries(this.#pages[at] ?? {});
    const countOf = (wanted: TableState) => tables.filter(([, state]) => state === wanted).length;
    const filtered = countOf('filtered');
    const scanned = tables.length - filtered;
    const counts = { tablesScanned: scanned, tablesUnchanged: countOf('unchanged'), tablesFiltered: filtered };
    return {
      ...this.page,
      counts: { ...this.page.counts, ...counts },
      changed: tables.flatMap(([name, state]) =>
        state === 'filtered' || state === 'unchanged' ? [] : [tableRef(name)],
      ),
      // As if each name had the hash 10.
      listed: String(10 * scanned),
      cursor: at + 1 < this.#pages.length ? cursorTo(at + 2) : undefined,
      ...(this.views && { hasViews: true }),
    };
  }

  async ingestTable({
    table: { name },
    split,
    cursor,
  }: Pick<IngestInput, 'table' | 'split' | 'cursor'>): Promise<TableOutcome> {
    await sleep(this.ingestMs);
    const state = this.#states[name];
    if (state === 'broken') throw ApplicationFailure.nonRetryable(BROKEN.message, BROKEN.code);
    if (state === 'lossy') return { ...OUTCOME, failure: lossOf(name) };
    if (typeof state === 'object' && 'slices' in state) {
      const position = (cursor?.position ?? 0) + 1;
      return position < state.slices ? { ...OUTCOME, cursor: { snapshotId: '7', position } } : OUTCOME;
    }
    if (typeof state !== 'object' || !split) return OUTCOME;
    const all = Array.from({ length: state.split }, (_, i) => ({ from: i, to: i + 1 }));
    const groups = all.filter(({ from }) => !this.#groupsDone.has(`${name} ${from}`));
    if (groups.length === 0) return { ...OUTCOME, counts: { ...COUNTS, filesIngested: 0 } };
    const counts = { bytesRead: 10 };
    return { changed: false, counts, split: { tableId: `tbl_${name}`, snapshotId: '7', key: 'k', groups } };
  }

  async ingestFileGroup({ table: { name }, group }: FileGroupInput): Promise<GroupOutcome> {
    await sleep(this.ingestMs);
    this.#groupsDone.add(`${name} ${group.from}`);
    return { counts: { filesIngested: 5, bytesRead: 50 } };
  }

  async ingestTables({ tables, split }: IngestPackInput): Promise<PackOutcome> {
    const pack: PackOutcome = { counts: {}, done: 0, again: [] };
    for (const table of tables) {
      const state = this.#states[table.name];
      if (state === 'flaky' || state === 'broken') pack.again.push({ table: pack.done });
      else {
        const { counts, cursor, split: groups, failure } = await this.ingestTable({ table, split });
        addCounts(pack.counts, counts);
        if (failure) pack.failures = [...(pack.failures ?? []), failure];
        else if (cursor || groups) pack.again.push({ table: pack.done, cursor });
        else addCounts(pack.counts, { tablesChanged: 1 });
      }
      pack.done += 1;
    }
    return pack;
  }

  async reconcileViews({ record }: ViewsInput): Promise<ViewsOutcome> {
    this.records.push(record);
    return this.views as ViewsOutcome;
  }

  async reconcileMissing({ views }: MissingInput): Promise<MissingOutcome> {
    return this.missing[views ? 'views' : 'tables'];
  }

  async dropGone(): Promise<DropOutcome> {
    return this.drops;
  }

  async deliverAlert() {
    return 'sent';
  }

  async validateConnector() {
    return { ok: true, summary: '', sampleTables: [] };
  }
}

/** A table whose snapshot 4 cannot be read. */
export const lossOf = (name: string): TableFailure => ({
  table: `sales.${name}`,
  code: 'DATA_LOSS',
  message: 'Snapshot 4 cannot be read.',
  failedAtMs: 7,
});

/** Tables `t1`, `t2`, … in one state. */
export function manyTables(count: number, state: TableState = 'changed', first = 1): Record<string, TableState> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${first + i}`, state]));
}

/** A namespace that may not be listed, as pages report it. */
export const refusedNamespace: TableFailure = {
  ...{ table: 'namespace closed', code: 'PERMISSION_DENIED', message: 'may not be listed' },
  failedAtMs: 1,
};

function stepOf(activity: ActivityName, input: unknown): string {
  const { table, tables, group, cursor, views, record } = input as Partial<
    IngestInput & IngestPackInput & FileGroupInput & ScanInput & MissingInput & EndInput
  >;
  switch (activity) {
    case 'scanTables':
    case 'reconcileViews':
      return cursor ? `${activity} page ${pageOf(cursor)}` : activity;
    case 'ingestTable':
      return `${activity} ${table?.name}`;
    case 'ingestTables':
      return `${activity} ${tables?.[0]?.name}…${tables?.at(-1)?.name}`;
    case 'ingestFileGroup':
      return `${activity} ${table?.name} ${group?.to}`;
    case 'reconcileMissing':
      return `${activity} ${views ? 'views' : 'tables'}`;
    case 'recordJob':
    case 'endJob':
      return `${activity} ${record?.progress.state}`;
    default:
      return activity;
  }
}

export const cursorTo = (page: number): WalkCursor => ({ namespace: { path: [], token: String(page) }, parents: [] });
const pageOf = (cursor: WalkCursor | undefined) => Number(cursor?.namespace?.token ?? 1);
const tableRef = (name: string): TableRef => ({ namespace: ['sales'], name });
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
