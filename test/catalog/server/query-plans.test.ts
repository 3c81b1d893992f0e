import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type BetterSqlite from 'better-sqlite3';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { ConnectorKind } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobChangeKind, JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { FileContent } from '../../../src/generated/reconciler/v1/statistics.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { poll } from '../../jest/poll.ts';
import { added, long, removed, SCHEMA, TestTable } from '../files.ts';
import { all, connectorSpec, DROPS, TestCatalog } from '../harness.ts';

/** Every statement that was prepared while the tests ran. */
const statements = new Set<string>();
const prototype = Sqlite.prototype as { prepare(sql: string): unknown };
const { prepare } = prototype;

let catalog: TestCatalog;
beforeAll(async () => {
  prototype.prepare = function record(sql: string) {
    statements.add(sql);
    return prepare.call(this, sql);
  };
  catalog = await TestCatalog.start({ retention: { jobsMs: 1, reportsMs: 1, idempotencyKeysMs: 1, stagesMs: 1 } });
});
afterAll(async () => {
  prototype.prepare = prepare;
  await catalog[Symbol.asyncDispose]();
});

/** Database tables that grow with the files of all tables, or with the history of one table. */
const BIG = ['memberships', 'm', 'files', 'f', 'branch_removals', 'replacement_changes', 'snapshots', 's'];

/** Equalities that select a bounded part of a table. The columns of a chain or a table alone do not. */
const NARROW = [
  /rowid=\?/,
  // The files that were just inserted.
  /rowid>\? AND rowid<\?/,
  /file_num=\?/,
  /path_hash=\?/,
  /referenced_path=\?/,
  /partition_key=\?/,
  /added_ord=\?/,
  /removed_ord=\?/,
  /snapshot_id=\?/,
  /snapshot_num=\?/,
  /stream_id=\?/,
  /chain_num=\? AND ord=\?/,
  // Ranges with a limit: pages, the newest of a chain or table, files that were removed since a walk began.
  /published>\?/,
  /snapshots_published \(table_num=\?\)/,
  /sqlite_autoindex_snapshots_2 \(chain_num=\?\)/,
  /removed_ord>\? AND removed_ord<\?/,
  /added_ord>\? AND added_ord<\?/,
  /\(removed_ord,file_num,added_ord\)>\(\?,\?,\?\) AND removed_ord<\?/,
  /chain_num=\? AND ord[<>]\?/,
  /snapshots_expired \(table_num=\?\)/,
  /files_variants \(table_num=\?\)/,
  /snapshots_staged \(staged_at>\? AND staged_at<\?\)/,
];

/**
 * Queries that read all of a table or chain on purpose (as-of, repairs, totals without a base, and purges), or that check whether
 * there is any row.
 */
const WHOLE = [
  /"removed_ord" > \? group by "kind"$/,
  /^select "added_ord" from "memberships" where "chain_num" = \? limit \?$/,
  /^delete from "branch_removals" where "chain_num" = \?$/,
  /select "snapshot_id", "parent_snapshot_id", "committed_at" from "snapshots"/,
  /update "snapshots" set "live_rows"/,
  /delete from "replacement_changes"$/,
  /"table_num" = \? limit \?$/,
  /^(delete|select).*"table_num" = \?\)?$/,
];

describe('queries', () => {
  it('find their rows by a selective index', async () => {
    const { clients } = catalog;
    const table = await TestTable.create(catalog);
    const columns = [{ columnId: 1, valueCount: 1n, lowerBound: long(1), upperBound: long(2) }];
    const file = (n: number) => added({ filePath: `f${n}`, columns });
    const content = (fileContent: FileContent, more: object) =>
      added({ filePath: `d${Math.random()}`, fileContent, seq: 9, ...more });
    await table.put({
      snapshotId: 1,
      changes: [
        ...Array.from({ length: 50 }, (_, i) => file(i)),
        content(FileContent.FILE_CONTENT_POSITION_DELETES, {}),
        content(FileContent.FILE_CONTENT_POSITION_DELETES, { referencedDataFile: 'f1' }),
      ],
    });
    await table.put({
      snapshotId: 2,
      base: 1,
      changes: [removed('f1'), file(100), content(FileContent.FILE_CONTENT_EQUALITY_DELETES, { equalityIds: [1] })],
    });
    await table.put({ snapshotId: 3, base: 1, changes: [removed('f2')] });
    await clients.ingestion.updateTable({
      table: { tableId: table.tableId, currentSnapshotId: 2n },
      updateMask: ['current_snapshot_id'],
    });
    for (const id of [1, 2, 3]) {
      await table.paths(id, 7);
      await table.stats(id);
      await table.columns(id);
      await all(clients.plans.streamPlan({ tableId: table.tableId, snapshotId: BigInt(id) }));
      await clients.snapshots.getSnapshot({ tableId: table.tableId, snapshotId: BigInt(id) });
    }
    await clients.plans.getPlan({ tableId: table.tableId, asOf: new Date() }).catch(() => undefined);
    await clients.snapshots.listSnapshots({ tableId: table.tableId });
    await table.send({ snapshotId: 1, replace: true, changes: Array.from({ length: 60 }, (_, i) => file(i)) });
    await table.send({ snapshotId: 3, replace: true, whole: true, changes: [file(1), file(200)] });
    await table.send({ snapshotId: 2, replace: true, changes: [] });
    await table.createSnapshot({ snapshotId: 4, base: 2 });
    await table.send({ snapshotId: 4, key: 'a', changes: [file(7), removed('f8')], finish: false });
    await table.send({ snapshotId: 4, key: 'b', changes: [file(9)] });
    await clients.snapshots.deleteSnapshot({ tableId: table.tableId, snapshotId: 4n });
    await clients.ingestion.expireSnapshots({ tableId: table.tableId, snapshotIds: [3n] });
    const { connectorId } = await clients.connectors.createConnector({
      connector: { displayName: 'q', kind: ConnectorKind.CONNECTOR_KIND_ICEBERG, uri: 'file:///w', ...DROPS },
    });
    await clients.bindings.ensureTable({
      connectorId,
      namespaceId: table.namespaceId,
      upstream: { namespacePath: ['a'], name: 'b' },
      name: 'b',
      format: 'TABLE_FORMAT_ICEBERG' as never,
    });
    const kind = ObjectKind.OBJECT_KIND_TABLE;
    await clients.bindings.lookupBindings({ connectorId, kind, names: [{ namespacePath: ['a'], name: 'b' }] });
    await clients.bindings.listBindings({ connectorId, kind, namespacePath: ['a'] });
    await clients.tables.deleteTable({ tableId: table.tableId });
    const upstream = { connectorId, namespacePath: ['a'], tableName: 't' };
    const dropping = await TestTable.create(catalog, { upstream });
    for (const [id, base] of [[1, null] as const, [2, 1], [3, 2], [4, 1], [5, 4]]) {
      await dropping.put({ snapshotId: id, base, changes: [file(id), removed(`f${id - 1}`)] });
    }
    for (const snapshotIds of [
      [1n, 2n],
      [3n, 4n, 5n],
    ]) {
      await clients.ingestion.expireSnapshots({ tableId: dropping.tableId, snapshotIds });
      const first = await clients.reconciliation.dropExpiredSnapshots({ connectorId, pageSize: 1 });
      await clients.reconciliation.dropExpiredSnapshots({ connectorId, pageToken: first.nextPageToken });
      const recordCount = BigInt(snapshotIds.length);
      await dropping.put({
        snapshotId: 6n + recordCount,
        base: null,
        changes: [added({ filePath: 'f4', recordCount })],
      });
    }

    const db = new Sqlite(catalog.file, { readonly: true });
    const toClear = prepare.call(db, 'select * from dropped_positions where cleared = 0') as BetterSqlite.Statement;
    await poll(() => toClear.all(), { timeout: 20_000 }).toEqual([]);
    const slow: string[] = [];
    for (const sql of statements) {
      if (
        !/^\s*(select|insert|update|delete)/i.test(sql) ||
        WHOLE.some((pattern) => pattern.test(sql)) ||
        sql.includes('sqlite_')
      )
        continue;
      const explained = prepare.call(db, `explain query plan ${sql.replaceAll('?', '1')}`) as BetterSqlite.Statement;
      for (const { detail } of explained.all() as { detail: string }[]) {
        const [, verb, name = ''] = /^(SCAN|SEARCH) (\S+)/.exec(detail) ?? [];
        if (!verb || !BIG.includes(name)) continue;
        if (verb === 'SCAN' || !NARROW.some((pattern) => pattern.test(detail))) slow.push(`${detail}\n    ${sql}`);
      }
    }
    db.close();
    expect(statements.size).toBeGreaterThan(80);
    expect(slow).toEqual([]);
  });

  it('for tables, views and bindings look up ids or names, or read pages', async () => {
    const { connectors, bindings, tables, views, directory } = catalog.clients;
    const { namespaceId } = await catalog.namespace();
    const { connectorId } = await connectors.createConnector({ connector: connectorSpec() });
    statements.clear();
    const upstream = (name: string) => ({ namespacePath: ['n'], name });
    const format = TableFormat.TABLE_FORMAT_ICEBERG;
    const ids = { table: '', view: '' };
    for (const location of ['s3://a', 's3://b']) {
      const table = { connectorId, namespaceId, upstream: upstream('t'), name: 't', format, location };
      ids.table = (await bindings.ensureTable(table)).table!.tableId;
      const view = { namespaceId, name: 'v', schema: SCHEMA, representations: [{ sql: location, dialect: 'spark' }] };
      ids.view = (await bindings.ensureView({ connectorId, upstream: upstream('v'), fingerprint: 'f', view })).viewId;
    }
    const taken = { connectorId, namespaceId, upstream: upstream('v'), name: 'v', format, replacesView: true };
    await bindings.ensureTable({ ...taken, name: 'moved' });
    await bindings.ensureTable({ ...taken, validateOnly: true });
    for (const [kind, id] of [
      [ObjectKind.OBJECT_KIND_TABLE, ids.table],
      [ObjectKind.OBJECT_KIND_VIEW, ids.view],
    ] as const) {
      await bindings.lookupBindings({ connectorId, kind, names: [upstream('t'), upstream('v')] });
      await bindings.countBindings({ connectorId, kind });
      await bindings.countBindings({ connectorId, kind, namespacePath: ['n'] });
      await bindings.markMissing({ connectorId, kind, objectIds: [id, 'none'] });
      await bindings.listBindings({ connectorId, kind });
      await bindings.listBindings({ connectorId, kind, namespacePath: ['n'], missingFor: {} });
    }
    await tables.listTables({ namespaceId });
    await views.listViews({ namespaceId });
    const { catalog: name, namespacePath } = (await directory.lookup({ id: ids.table })).name!;
    const parts = { catalog: name, namespacePath, object: 'v' };
    await directory.resolve({ name: { $case: 'parts', value: parts } });
    await connectors.deleteConnector({ connectorId, deleteContents: true });

    const db = new Sqlite(catalog.file, { readonly: true });
    const slow: string[] = [];
    const seen = new Set<string>();
    for (const sql of statements) {
      if (!/^\s*(select|update|delete)/i.test(sql)) continue;
      const explained = prepare.call(db, `explain query plan ${sql.replaceAll('?', '1')}`) as BetterSqlite.Statement;
      for (const { detail } of explained.all() as { detail: string }[]) {
        const [, verb, table = ''] = /^(SCAN|SEARCH) (\S+)/.exec(detail) ?? [];
        if (!verb || !['tables', 'views', 'bindings', 'object_names'].includes(table)) continue;
        seen.add(table);
        const isPaged = / limit \?\)?$/.test(sql) || sql.includes('count(*)');
        const byKey =
          /\((object_id|table_id|view_id|table_num)=\?|\(namespace_id=\? AND name=\?|upstream_path_key=\? AND upstream_name=\?/;
        const byRange = /\((connector_id=\?|namespace_id=\?)/;
        if (!byKey.test(detail) && !(isPaged && byRange.test(detail))) slow.push(`${detail}\n    ${sql}`);
      }
    }
    db.close();
    expect([...seen].sort()).toEqual(['bindings', 'object_names', 'tables', 'views']);
    expect(slow).toEqual([]);
  });

  it('for further pages begin where the previous page ended', async () => {
    const { connectors, jobs, reconciliation, bindings } = catalog.clients;
    const table = await TestTable.create(catalog);
    const { connectorId } = await connectors.createConnector({ connector: connectorSpec() });
    const viewIds: string[] = [];
    for (const name of ['a', 'b', 'c']) {
      const bound = { connectorId, namespaceId: table.namespaceId, upstream: { namespacePath: ['n'], name }, name };
      await bindings.ensureTable({ ...bound, format: TableFormat.TABLE_FORMAT_ICEBERG });
      const view = { namespaceId: table.namespaceId, name: `v${name}`, schema: SCHEMA };
      const representations = [{ sql: 'SELECT 1', dialect: 'spark' }];
      const upstream = { namespacePath: ['n'], name: `v${name}` };
      const { viewId } = await bindings.ensureView({
        connectorId,
        upstream,
        fingerprint: 'f',
        view: { ...view, representations },
      });
      viewIds.push(viewId);
      const job = { jobId: name, connectorId, state: JobState.JS_SUCCEEDED };
      const changes = ['a', 'b', 'c'].map((name) => ({ kind: JobChangeKind.JOB_CHANGE_KIND_TABLE, name }));
      await reconciliation.recordJob({ job });
      await reconciliation.recordJobChanges({ jobId: name, changes });
    }
    await bindings.markMissing({ connectorId, kind: ObjectKind.OBJECT_KIND_VIEW, objectIds: viewIds });
    statements.clear();
    const second = async (list: (page: object) => Promise<{ nextPageToken: string }>, request: object = {}) => {
      const first = await list({ ...request, pageSize: 1 });
      await list({ ...request, pageSize: 1, pageToken: first.nextPageToken });
    };
    await second(bindings.listBindings, { connectorId, kind: ObjectKind.OBJECT_KIND_TABLE });
    await second(bindings.listBindings, { connectorId, kind: ObjectKind.OBJECT_KIND_VIEW, missingFor: {} });
    await second(jobs.listReconcileJobs, { connectorId });
    await second(jobs.listReconcileJobs);
    await second(jobs.listJobChanges, { jobId: 'a' });
    const db = new Sqlite(catalog.file, { readonly: true });
    const further: string[] = [];
    for (const sql of statements) {
      if (!/(\) [<>] \(|"job_num" < \?).* limit \?$/.test(sql)) continue;
      // Each parameter has another value, since SQLite optimises conditions in which two are equal.
      let parameters = 0;
      const text = sql.replaceAll('?', () => {
        parameters += 1;
        return `${parameters}`;
      });
      const explained = prepare.call(db, `explain query plan ${text}`) as BetterSqlite.Statement;
      further.push((explained.all() as { detail: string }[]).map(({ detail }) => detail).join());
    }
    db.close();
    // The sizes of a page's rows are read first, and then the rows.
    const narrowed =
      /(\((upstream_path_key,upstream_name|kind,name)\)[<>]\(\?,\?\)| AND job_num<\?)\)(,SEARCH \w+ USING INDEX \w+ \(\w+_id=\?\))*$/;
    expect(further).toEqual(Array(10).fill(expect.stringMatching(narrowed)));
  });

  it('do not cost more with every earlier snapshot', async () => {
    const table = await TestTable.create(catalog);
    const files = (snapshot: number) => Array.from({ length: 40 }, (_, i) => added({ filePath: `s${snapshot}/${i}` }));
    const removals = (snapshot: number) => Array.from({ length: 40 }, (_, i) => removed(`s${snapshot}/${i}`));
    await table.put({ snapshotId: 1, changes: files(1) });
    const times: number[] = [];
    for (let id = 2; id <= 120; id += 1) {
      const started = performance.now();
      await table.put({
        snapshotId: id,
        base: id - 1,
        changes: [...files(id), ...removals(id - 1)],
        expected: { data: 40 },
      });
      expect(await table.paths(id)).toHaveLength(40);
      times.push(performance.now() - started);
    }
    const median = (list: number[]) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] as number;
    // The limit is generous, since other processes share the machine. Reading the whole history would take 40 times as long.
    expect(median(times.slice(-40))).toBeLessThan(median(times.slice(0, 40)) * 4 + 20);
    expect(await table.paths(60, 30)).toEqual(
      files(60)
        .map((change) => change.file.filePath)
        .sort(),
    );
  });
});
