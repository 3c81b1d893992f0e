import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Sqlite as Database } from '../../src/catalog/store/database/sqlite.ts';
import { INGEST_TASK_QUEUE, SCAN_TASK_QUEUE, TASK_QUEUE } from '../../src/contract/names.ts';
import { countersOf } from '../../src/contract/progress-message.ts';
import { ObjectKind } from '../../src/generated/reconciler/internal/v1/bindings.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { ROOT, RunningStack } from './stack/running-stack.ts';

const FX = join(ROOT, 'test/fixtures/iceberg/wh/fx');

/** Faults of the reference implementation ('Do better') that runs over directories can show. */
describe('a stack, unlike the reference implementation,', () => {
  let stack: RunningStack;

  /** Waits until a connector has brought at least `tables` tables into the catalog. */
  async function tablesIn(connectorId: string, tables: number): Promise<void> {
    const kind = ObjectKind.OBJECT_KIND_TABLE;
    while ((await stack.catalog.bindings.countBindings({ connectorId, kind })).count < BigInt(tables));
  }
  let root: string;

  beforeAll(async () => {
    stack = await RunningStack.start();
    root = mkdtempSync(join(tmpdir(), 'reconciler-warehouse-'));
  });
  afterAll(async () => {
    await stack?.[Symbol.asyncDispose]();
    rmSync(root, { recursive: true, force: true });
  });

  /** Creates a warehouse with these fixture tables, by `namespace/name`. */
  function warehouse(name: string, tables: Record<string, string>): string {
    const folder = join(root, name);
    mkdirSync(folder);
    for (const [path, fixture] of Object.entries(tables)) {
      mkdirSync(join(folder, path, '..'), { recursive: true });
      cpSync(join(FX, fixture), join(folder, path), { recursive: true });
    }
    return folder;
  }
  const database = () => new Database(join(stack.dataDir, 'catalog.db'));
  const table = (text: string) => stack.tableId(text);

  it('reads and stores a file once, however many snapshots contain it', async () => {
    const folder = warehouse('once', { 'n/t': 'many_snapshots' });
    const job = await stack.trigger(await stack.connect('once', folder));
    const tableId = await table('once.n.t');
    const { snapshots } = await stack.catalog.snapshots.listSnapshots({ tableId });
    const paths = new Set<string>();
    let listed = 0;
    for (const { snapshotId } of snapshots) {
      const { files } = await stack.catalog.statistics.listFileColumnStats({ tableId, snapshotId, pageSize: 1000 });
      listed += files.length;
      for (const { filePath } of files) paths.add(filePath);
    }
    const db = database();
    const { rows } = db
      .prepare('select count(*) as rows from files join tables using (table_num) where table_id = ?')
      .get(tableId) as { rows: number };
    db.close();
    expect(rows).toBe(paths.size);
    expect(listed).toBeGreaterThan(2 * rows);
    expect(snapshots.length).toBe(12);

    // The run reads each manifest and manifest list once, and the newest metadata file. test/activities/ingest/reads-once.test.ts checks
    // single files.
    const metadata = join(folder, 'n/t/metadata');
    const sizeOf = (name: string) => statSync(join(metadata, name)).size;
    const names = readdirSync(metadata).sort();
    const read = [...names.filter((name) => name.endsWith('.avro')), names.findLast((name) => name.endsWith('.json'))!];
    expect(Number(countersOf(job).bytesRead)).toBe(read.reduce((sum, name) => sum + sizeOf(name), 0));
  });

  it('verifies everything in a full rescan and repairs what differs', async () => {
    const connectorId = await stack.connect('full', warehouse('full', { 'n/a': 'v2_cow', 'n/b': 'v2_mor_pos' }));
    await stack.trigger(connectorId);
    expect(await stack.trigger(connectorId, { full: true })).toMatchObject({
      counters: { tablesChanged: 0n, errors: 0n },
    });

    const tableId = await table('full.n.a');
    const before = await stack.catalog.statistics.listFileColumnStats({ tableId, pageSize: 1000 });
    const db = database();
    expect(
      db
        .prepare(
          "update files set record_count = record_count + 7, body = x'0a0161' where table_num = (select table_num from tables where table_id = ?)",
        )
        .run(tableId).changes,
    ).toBeGreaterThan(0);
    db.close();
    expect(await stack.trigger(connectorId)).toMatchObject({ counters: { tablesChanged: 0n } });
    expect(await stack.trigger(connectorId, { full: true })).toMatchObject({
      counters: { tablesChanged: 1n, tablesUnchanged: 1n },
    });
    expect(await stack.catalog.statistics.listFileColumnStats({ tableId, pageSize: 1000 })).toEqual(before);
  });

  it('narrows a run by its scope', async () => {
    const folder = warehouse('scope', { 'n/a': 'orders', 'n/b': 'v1_basic', 'm/a': 'orders' });
    const connectorId = await stack.connect('scope', folder);
    const one = await stack.trigger(connectorId, { destinationTableName: 'b' });
    expect(one).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { tablesScanned: 1n, tablesChanged: 1n, tablesFiltered: 2n },
    });
    const other = await stack.trigger(connectorId, { destinationNamespacePaths: ['m'] });
    expect(other).toMatchObject({
      counters: { tablesScanned: 1n, tablesChanged: 1n, tablesFiltered: 0n, namespacesFiltered: 1n },
    });
    // Tables outside of the scope do not count as missing.
    expect(await stack.trigger(connectorId)).toMatchObject({
      counters: { tablesChanged: 1n, tablesUnchanged: 2n, tablesMissing: 0n },
    });
  });

  it('runs one job of a connector at a time, and jobs of other connectors in parallel', async () => {
    const tables = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`n/t${i}`, 'v2_cow']));
    const folder = warehouse('twice', tables);
    const [a, b] = [await stack.connect('twice', folder), await stack.connect('beside', folder)];
    const start = async (connectorId: string) =>
      (await stack.catalog.connectors.triggerReconcile({ connectorId })).jobId;
    const [one, other] = [await start(a), await start(b)];
    // Until the job holds the connector, an equal trigger returns the same job.
    while ((await stack.catalog.connectors.getReconcileJob({ jobId: one })).state === JobState.JS_QUEUED);
    const two = await start(a);
    expect(two).not.toBe(one);
    const [first, second, beside] = await Promise.all([one, two, other].map((jobId) => stack.ended(jobId)));
    expect(Number(second!.startedAt)).toBeGreaterThanOrEqual(Number(first!.finishedAt));
    expect(second).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { tablesChanged: 0n, tablesUnchanged: 30n },
    });
    expect(first).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: 30n } });
    expect(Number(beside!.startedAt)).toBeLessThan(Number(second!.startedAt));
    expect(beside).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: 30n } });
  });

  it('is not blocked by a terminated job that held the connector', async () => {
    const tables = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`n/t${i}`, 'v2_cow']));
    const connectorId = await stack.connect('dead', warehouse('dead', tables));
    const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
    await tablesIn(connectorId, 1);
    await stack.temporal.workflow.getHandle(jobId).terminate('by the test');
    expect(await stack.ended(jobId)).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: 1n } });
    expect(await stack.trigger(connectorId)).toMatchObject({ state: JobState.JS_SUCCEEDED });
  });

  it('cancels a job, keeps what it ingested, and releases the connector', async () => {
    const tables = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`n/t${i}`, 'v2_cow']));
    const connectorId = await stack.connect('cancel', warehouse('cancel', tables), { policy: { maxParallel: 1 } });
    const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
    await tablesIn(connectorId, 3);
    await stack.catalog.jobs.cancelReconcileJob({ jobId });
    const cancelled = await stack.ended(jobId);
    expect(cancelled.state).toBe(JobState.JS_CANCELLED);
    expect(countersOf(cancelled).tablesChanged).toBeGreaterThan(2n);
    await stack.temporal.workflow
      .getHandle(jobId)
      .result()
      .catch(() => {});
    const { status } = await stack.temporal.workflow.getHandle(jobId).describe();
    expect(status.name).toBe('CANCELLED');
    const next = await stack.trigger(connectorId);
    expect(next).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { tablesChanged: 60n - countersOf(cancelled).tablesChanged },
    });
  });

  it('counts a failure that precedes all tables, with its cause', async () => {
    const connectorId = await stack.connect('nowhere', join(root, 'not-there'));
    const job = await stack.trigger(connectorId);
    expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: 1n } });
    expect(job.message).toContain('not-there');
    expect(await stack.failures(job.jobId)).toMatchObject([{ table: '', code: 'NOT_FOUND' }]);
  });

  it('reports an upstream that does not exist', async () => {
    const { connectorId } = await stack.catalog.connectors.createConnector({
      connector: {
        displayName: 'unity',
        kind: 'CONNECTOR_KIND_UNITY',
        uri: 'https://unity.invalid',
        destination: { catalogName: 'unity' },
      } as never,
    });
    const job = await stack.trigger(connectorId);
    expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: 1n } });
    expect((await stack.failures(job.jobId))[0]).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('returns the columns that each snapshot had at its time', async () => {
    await stack.trigger(await stack.connect('evolved', warehouse('evolved', { 'n/t': 'schema_evo' })));
    const tableId = await table('evolved.n.t');
    const { snapshots } = await stack.catalog.snapshots.listSnapshots({ tableId });
    const names = async (snapshotId: bigint) => {
      const { columns } = await stack.catalog.statistics.listColumnStats({ tableId, snapshotId });
      return columns
        .filter((c) => !c.dropped)
        .map((c) => c.columnName)
        .sort();
    };
    const [oldest, newest] = [await names(snapshots[0]!.snapshotId), await names(snapshots.at(-1)!.snapshotId)];
    expect(oldest).not.toEqual(newest);
    const schema = await stack.catalog.tables.getTableSchema({ tableId, schemaId: snapshots[0]!.schemaId! });
    expect(oldest).toEqual(schema.columns.map((c) => c.name).sort());
  });

  it('uses a destination namespace other than the source, and never takes over a table of another connector', async () => {
    const folder = warehouse('elsewhere', { 'n/t': 'orders' });
    const destination = { catalogName: 'elsewhere', namespacePath: ['other', 'place'] };
    const connectorId = await stack.connect('elsewhere', folder, { destination });
    expect(await stack.trigger(connectorId)).toMatchObject({ counters: { tablesChanged: 1n } });
    expect(await stack.trigger(connectorId)).toMatchObject({ counters: { tablesChanged: 0n, tablesUnchanged: 1n } });
    const tableId = await table('elsewhere.other.place.t');

    const thief = await stack.connect('thief', folder, { destination });
    const job = await stack.trigger(thief);
    expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: 1n } });
    const [failure] = await stack.failures(job.jobId);
    expect(failure).toMatchObject({ table: 'n.t', code: 'ALREADY_EXISTS' });
    expect(failure!.message).toContain('elsewhere');
    expect((await stack.catalog.tables.getTable({ tableId })).upstream?.connectorId).toBe(connectorId);
  });

  it('uses a destination table name, and accepts one only for a single table', async () => {
    const folder = warehouse('renamed', { 'n/t': 'orders' });
    const destination = { catalogName: 'renamed', tableName: 'sales' };
    const source = { namespacePath: ['n'], table: 't' };
    const connectorId = await stack.connect('renamed', folder, { destination, source });
    expect(await stack.trigger(connectorId)).toMatchObject({ counters: { tablesChanged: 1n } });
    expect(await stack.trigger(connectorId)).toMatchObject({ counters: { tablesChanged: 0n, tablesUnchanged: 1n } });
    const { namespaceId } = await stack.catalog.directory.resolve({ name: { $case: 'text', value: 'renamed.n' } });
    const { tables } = await stack.catalog.tables.listTables({ namespaceId });
    expect(tables.map(({ name }) => name)).toEqual(['sales']);
    await expect(stack.connect('many-into-one', folder, { destination })).rejects.toThrow(/INVALID_ARGUMENT.*table/s);
  });

  it('marks missing tables, but only after a complete listing', async () => {
    const folder = warehouse('gone', { 'n/a': 'orders', 'n/b': 'v1_basic' });
    const connectorId = await stack.connect('gone', folder, { policy: { missing: { maxShare: 0.5 } } });
    await stack.trigger(connectorId);
    const tableId = await table('gone.n.b');
    renameSync(join(folder, 'n/b'), join(root, 'put-away'));
    expect(await stack.trigger(connectorId)).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { tablesMissing: 1n },
    });
    expect((await stack.catalog.tables.getTable({ tableId })).upstream?.missingSince).toBeInstanceOf(Date);
    expect(await stack.trigger(connectorId)).toMatchObject({ counters: { tablesMissing: 0n } });

    renameSync(join(root, 'put-away'), join(folder, 'n/b'));
    expect(await stack.trigger(connectorId)).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { tablesMissing: 0n },
    });
    expect((await stack.catalog.tables.getTable({ tableId })).upstream?.missingSince).toBeUndefined();

    // The whole warehouse is missing: the job fails and marks no table.
    renameSync(folder, join(root, 'away'));
    expect(await stack.trigger(connectorId)).toMatchObject({
      state: JobState.JS_FAILED,
      counters: { tablesMissing: 0n },
    });
    renameSync(join(root, 'away'), folder);
    expect((await stack.catalog.tables.getTable({ tableId })).upstream?.missingSince).toBeUndefined();
  });

  it('selects columns by name, dotted path and id, for files too, and fails the table for an unknown column', async () => {
    const folder = warehouse('columns', { 'n/t': 'schema_evo' });
    const schemaJson = (await stack.catalog.tables.getTable({ tableId: await table('evolved.n.t') })).schema!;
    const [plain, nested] = [
      schemaJson.columns.find((c) => !c.name.includes('.'))!,
      schemaJson.columns.find((c) => c.name.includes('.'))!,
    ];
    const source = { namespacePath: ['n'], table: 't', columns: [`#${plain.columnId}`, nested.name] };
    const connectorId = await stack.connect('columns', folder, { source });
    expect(await stack.trigger(connectorId)).toMatchObject({ state: JobState.JS_SUCCEEDED });
    const { files } = await stack.catalog.statistics.listFileColumnStats({ tableId: await table('columns.n.t') });
    const ids = new Set(files.flatMap((f) => f.columns.map((c) => c.columnId)));
    expect([...ids].sort()).toEqual([plain.columnId, nested.columnId].sort());

    for (const [name, wrong] of Object.entries({ byId: '#99', byName: 'no_such_column' })) {
      const unknown = await stack.connect(name, folder, { source: { ...source, columns: [wrong] } });
      const job = await stack.trigger(unknown);
      const [failure] = await stack.failures(job.jobId);
      expect(failure).toMatchObject({ table: 'n.t', code: 'INVALID_ARGUMENT' });
      expect(failure!.message).toContain(wrong);
    }
  });

  it('records the time of the fetch separately from the time of the commit', async () => {
    const { snapshots } = await stack.catalog.snapshots.listSnapshots({ tableId: await table('evolved.n.t') });
    for (const { fetchedAt, committedAt } of snapshots) {
      expect(Number(fetchedAt)).toBeGreaterThan(Number(committedAt));
      expect(Date.now() - Number(fetchedAt)).toBeLessThan(600_000);
    }
  });

  it('runs the same way if started by hand, by the API or by the CLI', async () => {
    const connectorId = await stack.connect('ways', warehouse('ways', { 'n/t': 'orders' }));
    const byHand = await stack.temporal.workflow.start('reconcile', {
      workflowId: 'typed-by-hand',
      taskQueue: TASK_QUEUE,
      args: [{ connector: 'ways' }],
    });
    await byHand.result();
    expect(await stack.ended('typed-by-hand')).toMatchObject({ connectorId, counters: { tablesChanged: 1n } });
    expect(await stack.trigger(connectorId)).toMatchObject({ counters: { tablesUnchanged: 1n } });
    const { code, stdout } = await stack.cli('connector', 'trigger', 'ways', '--wait', '--json');
    expect(code).toBe(0);
    const job = JSON.parse(stdout);
    expect(job).toMatchObject({ state: 'JS_SUCCEEDED', tablesUnchanged: '1' });
    for (const id of ['typed-by-hand', job.jobId]) {
      const { events } = await stack.temporal.workflow.getHandle(id).fetchHistory();
      const steps = events?.flatMap((e) => e.activityTaskScheduledEventAttributes ?? []) ?? [];
      expect(steps[0]?.activityType?.name).toBe('beginJob');
      const queues = [TASK_QUEUE, SCAN_TASK_QUEUE, ...(id === 'typed-by-hand' ? [INGEST_TASK_QUEUE] : [])];
      expect(new Set(steps.map((s) => s.taskQueue?.name))).toEqual(new Set(queues));
    }
  });
});
