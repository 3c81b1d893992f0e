import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { ancestryOf } from '../../../src/activities/plan/select-snapshots.ts';
import { planSnapshots } from '../../../src/activities/plan/snapshot-plan.ts';
import { compareStoredSnapshots, listStoredSnapshots } from '../../../src/activities/plan/stored-snapshots.ts';
import { headsOf } from '../../../src/activities/plan/table-plan.ts';
import type { CaptureOptions } from '../../../src/contract/activities.ts';
import type { CaptureMode, SnapshotSelection } from '../../../src/contract/job.ts';
import type { SnapshotRef } from '../../../src/formats/table-reader.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import type { Table } from '../../../src/generated/reconciler/v1/tables.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { run as inActivity, STEP } from '../run-activity.ts';
import { HistoryUpstream, historyOf, type TableState } from './history-upstream.ts';

jest.setTimeout(300_000);

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const MODES: CaptureMode[] = ['METADATA_AND_CAPTURE', 'METADATA_ONLY', 'CAPTURE_ONLY'];
const SELECTIONS: SnapshotSelection[] = [
  { kind: 'ALL' },
  { kind: 'LATEST_N', latest: 1 },
  { kind: 'LATEST_N', latest: 3 },
  { kind: 'EXPLICIT', snapshotIds: ['1', '3', '5', '8'] },
  { kind: 'ALL', branches: ['main'] },
  { kind: 'ALL', branches: ['b'] },
];

/** The history of a table, written as engines write it. */
class History {
  #snapshots = new Map<bigint, bigint | undefined>();
  readonly #expired = new Map<bigint, bigint | undefined>();
  readonly #refs = new Map<string, bigint>();
  #last = 0n;

  get state(): TableState {
    const refs: SnapshotRef[] = [...this.#refs].map(([name, snapshotId]) => ({
      name,
      snapshotId,
      type: name.startsWith('tag') ? 'tag' : 'branch',
    }));
    return {
      snapshots: [...this.#snapshots].map(([snapshotId, parentSnapshotId]) => ({
        snapshotId,
        ...(parentSnapshotId !== undefined && { parentSnapshotId }),
      })),
      ...(this.#refs.has('main') && { currentSnapshotId: this.#refs.get('main') as bigint }),
      refs,
    };
  }

  /** One of the snapshots; undefined if there is none. */
  pick(choice: number): bigint | undefined {
    const ids = [...this.#snapshots.keys()];
    return ids[choice % Math.max(ids.length, 1)];
  }

  commit(branch = 'main'): void {
    this.#refs.set(branch, this.#add(this.#refs.get(branch) ?? this.#refs.get('main')));
  }

  /** A snapshot that no ref names, as write-audit-publish stages it. */
  stage(): void {
    this.#add(this.#refs.get('main'));
  }

  /** A commit without a parent. */
  replace(): void {
    this.#refs.set('main', this.#add(undefined));
  }

  /** A ref moves to a snapshot: a rollback, a cherry-pick by fast-forward, a new branch or tag. */
  point(ref: string, choice: number): void {
    const id = this.pick(choice);
    if (id !== undefined) this.#refs.set(ref, id);
  }

  /** Removes the chosen snapshots, apart from heads. */
  expire(isChosen: (id: bigint) => boolean): void {
    const heads = new Set(this.#refs.values());
    for (const [id, parent] of this.#snapshots) {
      if (heads.has(id) || !isChosen(id)) continue;
      this.#snapshots.delete(id);
      this.#expired.set(id, parent);
    }
  }

  /** Expired snapshots come back, as after registering an older metadata file. */
  restore(): void {
    const all = [...this.#snapshots, ...this.#expired];
    this.#snapshots = new Map(all.sort(([a], [b]) => Number(a - b)));
    this.#expired.clear();
  }

  #add(parent: bigint | undefined): bigint {
    this.#last += 1n;
    this.#snapshots.set(this.#last, parent);
    return this.#last;
  }
}

const choice = fc.nat(1000);
const HISTORY_STEP = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('commit' as const), times: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('branch' as const), times: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('stage' as const, 'replace' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('point' as const),
      ref: fc.constantFrom('main', 'b', 'tag'),
      choice,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('expireOldest' as const), choice }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('expireSome' as const), choice }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restore' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('deleteStored' as const), choice }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('addStored' as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('run' as const),
      mode: fc.constantFrom('METADATA_AND_CAPTURE' as const, ...MODES),
      snapshots: fc.constantFrom({ kind: 'ALL' } as SnapshotSelection, ...SELECTIONS),
      full: fc.constantFrom(false, false, true),
      /** A snapshot whose files cannot be read in this run. */
      broken: fc.option(choice, { freq: 3 }),
    }),
  },
);
type Step = typeof HISTORY_STEP extends fc.Arbitrary<infer S> ? S : never;

it('plans after a comparison what it plans after listing everything, whatever happened before', async () => {
  let equal = 0;
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(HISTORY_STEP, { minLength: 4, maxLength: 16 }), async (steps) => {
      const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
      const upstream = new HistoryUpstream();
      const history = new History();
      const deps = activityDeps(catalog, upstream);
      const run = async (options: object) => {
        const table = { namespace: ['fx'], name: 't' };
        const input = { ...STEP, connectorId, table, full: false, split: false, ...options };
        const ingested = inActivity(() => ingestTable(deps, input));
        await ingested.catch((error: Error) => expect(error.message).toMatch(EXPECTED));
      };
      history.commit();
      upstream.set(history.state);
      for (const step of [...steps, { kind: 'run', mode: MODES[0], snapshots: SELECTIONS[0], full: false } as Step]) {
        if (step.kind === 'run') {
          const { kind: _, broken, ...options } = step;
          const id = broken === null || broken === undefined ? undefined : history.pick(broken);
          if (id !== undefined) upstream.broken.add(id);
          await run(options);
          upstream.broken.clear();
        } else {
          await change(history, step, () => boundTable(connectorId));
          upstream.set(history.state);
        }
        const table = await boundTable(connectorId);
        if (!table) continue;
        const { differences, messagesRead } = await comparePlans(table, history.state);
        compared += messagesRead.length;
        equal += messagesRead.filter((messages) => messages < history.state.snapshots.length).length;
        expect(differences).toEqual([]);
      }
      // The last run took everything.
      const table = (await boundTable(connectorId)) as Table;
      const { tableId } = table;
      const { snapshots } = await catalog.clients.snapshots.listSnapshots({ tableId, pageSize: 1000 });
      const ids = snapshots.map(({ snapshotId, captured }) => `${snapshotId} ${captured}`);
      expect(ids.sort()).toEqual(history.state.snapshots.map(({ snapshotId }) => `${snapshotId} true`).sort());
    }),
    { numRuns: 40 },
  );
  // Enough comparisons avoid reading all snapshots: otherwise the test would show nothing.
  expect(equal).toBeGreaterThan(compared / 4);
});

/** Errors that are made on purpose. */
const EXPECTED = /made fault|no longer in the catalog/;

async function boundTable(connectorId: string): Promise<Table | undefined> {
  const kind = ObjectKind.OBJECT_KIND_TABLE;
  const { bindings } = await catalog.clients.bindings.listBindings({ connectorId, kind });
  const tableId = bindings[0]?.objectId;
  return tableId === undefined ? undefined : catalog.clients.tables.getTable({ tableId });
}

async function change(
  history: History,
  step: Exclude<Step, { kind: 'run' }>,
  boundTo: () => Promise<Table | undefined>,
): Promise<void> {
  const { snapshots } = catalog.clients;
  switch (step.kind) {
    case 'commit':
      for (let i = 0; i < step.times; i++) history.commit();
      break;
    case 'branch':
      for (let i = 0; i < step.times; i++) history.commit('b');
      break;
    case 'stage':
      history.stage();
      break;
    case 'replace':
      history.replace();
      break;
    case 'point':
      history.point(step.ref, step.choice);
      break;
    case 'expireOldest': {
      const from = history.pick(step.choice) ?? 0n;
      history.expire((id) => id < from);
      break;
    }
    case 'expireSome':
      history.expire((id) => (BigInt(step.choice) >> (id % 8n)) % 2n === 1n);
      break;
    case 'restore':
      history.restore();
      break;
    case 'deleteStored': {
      // By a caller of the API; refused for snapshots that others need.
      const tableId = (await boundTo())?.tableId;
      const snapshotId = history.pick(step.choice);
      if (tableId && snapshotId) await snapshots.deleteSnapshot({ tableId, snapshotId }).catch(() => undefined);
      break;
    }
    case 'addStored': {
      // By a caller of the API: the upstream never had it.
      const tableId = (await boundTo())?.tableId;
      const snapshot = { tableId: tableId ?? '', snapshotId: 999n, committedAt: new Date(), operation: 'append' };
      if (tableId) await snapshots.createSnapshot({ snapshot, metadataOnly: true });
      break;
    }
  }
}

/** Plans in both ways, for every mode and selection. @returns plans that differ, and the number of snapshots that each comparison read */
async function comparePlans(table: Table, state: TableState) {
  const deps = { catalog: catalog.clients };
  const ancestry = ancestryOf(historyOf(state.snapshots));
  const listed = await listStoredSnapshots(deps, table.tableId, ancestry);
  const differences: object[] = [];
  const messagesRead: number[] = [];
  for (const mode of MODES) {
    const found = await compareStoredSnapshots(deps, table, ancestry, { captured: mode !== 'METADATA_ONLY' });
    messagesRead.push(found.messages.size);
    for (const snapshots of SELECTIONS) {
      const heads = mode === 'CAPTURE_ONLY' ? headsOf(table) : state;
      const capture: CaptureOptions = { mode, snapshots };
      const [expected, actual] = [listed, found].map((stored) => {
        const plan = planSnapshots(ancestry, stored, heads, { capture, full: false, marks: true });
        const { todo, last, expired, leavesFiles, known } = plan;
        return {
          todo: [...todo],
          last,
          expired,
          leavesFiles,
          known: [...known].sort(),
          captured: capturedIds(plan, mode),
        };
      });
      const missing = [...(actual?.todo ?? [])].filter((id) => found.known.has(id) && !found.messages.has(id));
      try {
        expect(actual).toEqual(expected);
        expect(missing).toEqual([]);
      } catch {
        differences.push({ mode, snapshots, expected, actual, missing });
      }
    }
  }
  return { differences, messagesRead };
}

/** Without files, which snapshots are captured does not matter. */
const capturedIds = ({ captured }: { captured: ReadonlySet<bigint> }, mode: CaptureMode) =>
  mode === 'METADATA_ONLY' ? [] : [...captured].sort();
