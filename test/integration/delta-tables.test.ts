import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { ROOT, RunningStack } from './stack/running-stack.ts';

const FIXTURES = join(ROOT, 'test/fixtures/delta');

let stack: RunningStack;
const folders: string[] = [];
beforeAll(async () => {
  stack = await RunningStack.start();
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

let connected = 0;

/** A connector of a warehouse with one table, `db.t`. */
async function connect() {
  const warehouse = mkdtempSync(join(tmpdir(), 'reconciler-warehouse-'));
  folders.push(warehouse);
  const log = join(warehouse, 'db/t/_delta_log');
  const name = `delta${++connected}`;
  mkdirSync(log, { recursive: true });
  const connectorId = await stack.connect(name, warehouse, { kind: 'CONNECTOR_KIND_DELTA' });
  const tableId = () => stack.tableId(`${name}.db.t`);
  return {
    name,
    log,
    tableId,
    /** Copies files of a fixture's log. */
    put: (fixture: string, isCopied: (file: string) => boolean = () => true) => {
      const from = join(FIXTURES, fixture, '_delta_log');
      for (const file of readdirSync(from).filter(isCopied))
        cpSync(join(from, file), join(log, file), { recursive: true, preserveTimestamps: true });
    },
    remove: (isRemoved: (file: string) => boolean) => {
      for (const file of readdirSync(log).filter(isRemoved)) rmSync(join(log, file), { recursive: true });
    },
    run: async () => {
      const job = await stack.trigger(connectorId);
      expect(await stack.failures(job.jobId)).toEqual([]);
      expect(job.state).toBe(JobState.JS_SUCCEEDED);
      return job;
    },
    table: async () => stack.catalog.tables.getTable({ tableId: await tableId() }),
    /** Names of the files by version; `expired` for those that are gone upstream. */
    versions: async (showExpired = false) => {
      const found: Record<string, string[] | 'expired'> = {};
      const id = await tableId();
      const { snapshots } = await stack.catalog.snapshots.listSnapshots({ tableId: id, pageSize: 1000, showExpired });
      for (const { snapshotId, expiredAt } of snapshots) {
        const { files } = await stack.catalog.plans.getPlan({ tableId: id, snapshotId });
        found[String(snapshotId)] = expiredAt ? 'expired' : files.map(({ file }) => file?.filePath ?? '').sort();
      }
      return found;
    },
  };
}

/** Files of versions up to this one. */
const upTo = (version: number) => (file: string) => /^\d/.test(file) && Number(file.slice(0, 20)) <= version;

it('a table that was made again at the same path has the versions of the new one only', async () => {
  const { put, remove, run, table, versions } = await connect();
  put('added_again');
  await run();
  const before = await table();
  remove(() => true);
  // Its newest version is the same or older.
  put('rs_checkpoint');
  await run();
  const alone = await connect();
  alone.put('rs_checkpoint');
  await alone.run();
  const after = await table();
  expect(after.upstream?.uuid).toBe((await alone.table()).upstream?.uuid);
  expect(after.upstream?.uuid).not.toBe(before.upstream?.uuid);
  expect(after.schema?.columns.map(({ name, type }) => `${name} ${type}`)).toEqual(
    (await alone.table()).schema?.columns.map(({ name, type }) => `${name} ${type}`),
  );
  const names = (found: Record<string, string[] | 'expired'>) =>
    Object.entries(found).map(([version, files]) => [version, [...files].map((path) => path.split('/').at(-1))]);
  expect(names(await versions())).toEqual(names(await alone.versions()));
});

it('a replaced table stays the same table, and its earlier versions keep their columns and partitions', async () => {
  const { put, run, table, tableId, versions } = await connect();
  put('replaced', upTo(1));
  await run();
  const before = await table();
  put('replaced');
  expect(await run()).toMatchObject({ counters: { tablesChanged: 1n } });
  const after = await table();
  expect([after.tableId, after.upstream?.uuid]).toEqual([before.tableId, before.upstream?.uuid]);
  const columnsAt = async (snapshotId: bigint) => {
    const { columns } = await stack.catalog.statistics.listColumnStats({ tableId: await tableId(), snapshotId });
    return columns.map(({ columnName, logicalType }) => `${columnName} ${logicalType}`);
  };
  // From `delta_logs.py`, which wrote it.
  expect(await columnsAt(1n)).toEqual(['id long', 'g string']);
  expect(await columnsAt(3n)).toEqual(['id int', 'x double']);
  const { files } = await stack.catalog.plans.getPlan({ tableId: await tableId(), snapshotId: 1n });
  expect(files.map(({ file }) => file?.partition[0]?.text).sort()).toEqual(['g0', 'g1', 'g2']);
  expect(Object.keys(await versions())).toHaveLength(4);
});

it('versions whose commits were cleaned up expire together, and the others stay', async () => {
  const { put, remove, run, versions } = await connect();
  put('added_again', upTo(7));
  await run();
  expect(
    Object.keys(await versions())
      .map(Number)
      .sort(),
  ).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  put('added_again');
  remove(upTo(7));
  await run();
  const alone = await connect();
  alone.put('added_again');
  alone.remove(upTo(7));
  await alone.run();
  expect(Object.keys(await versions()).sort()).toEqual(['8', '9']);
  const shown = await versions(true);
  expect(Object.entries(shown).filter(([, files]) => files === 'expired')).toHaveLength(8);
  const sizes = (found: object) => Object.values(found).map((files) => files.length);
  expect(sizes(await versions())).toEqual(sizes(await alone.versions()));
});

/** The fixture's ninth version, with another file, at another time. */
function rewriteLast(log: string): void {
  const path = join(log, '00000000000000000009.json');
  const text = readFileSync(path, 'utf8');
  const [, name] = /"add":\{"path":"([^"]+)"/.exec(text) ?? [];
  expect(name).toBeDefined();
  writeFileSync(path, text.replaceAll(name as string, 'rewritten.parquet'));
  const checksum = path.replace('json', 'crc');
  if (existsSync(checksum)) rmSync(checksum);
}

it('a table that was set back to an earlier version, and written again, has the versions of now', async () => {
  const { log, put, run, versions } = await connect();
  put('added_again');
  await run();
  const before = await versions();
  // As if it were restored from a backup of version 8, and version 9 written again, before a job sees it.
  rewriteLast(log);
  expect(await run()).toMatchObject({ counters: { tablesChanged: 1n } });
  const after = await versions();
  expect(JSON.stringify(before)).not.toContain('rewritten');
  expect(after['9']).toContainEqual(expect.stringContaining('rewritten.parquet'));
  expect({ ...after, 9: [] }).toEqual({ ...before, 9: [] });
  expect(await run()).toMatchObject({ counters: { tablesChanged: 0n } });
});

it('a version that expired because the table was set back is read again if it is written again', async () => {
  const { log, put, remove, run, versions } = await connect();
  put('added_again');
  await run();
  remove((file) => file.startsWith('00000000000000000009'));
  await run();
  expect(Object.keys(await versions())).not.toContain('9');
  put('added_again');
  rewriteLast(log);
  await run();
  expect((await versions())['9']).toContainEqual(expect.stringContaining('rewritten.parquet'));
});

it('plan get --as-of takes the version that was committed by then, by the times in the commits', async () => {
  const { name, put, run, log, tableId } = await connect();
  put('in_commit_times');
  // `inCommitTimestamp` of the fixture's commits; the commits before count by the times of their files.
  const times = [1_796_055_900_000, 1_796_055_905_000, 1_796_055_909_722, 1_796_055_910_215, 1_796_055_910_530];
  for (const [version, time] of times.entries()) {
    // A copy has any times.
    const modified = version < 2 ? time / 1000 : 1_000_000_000;
    utimesSync(join(log, `${String(version).padStart(20, '0')}.json`), modified, modified);
  }
  await run();
  const filesOf = async (snapshotId: number) => {
    const { files } = await stack.catalog.plans.getPlan({ tableId: await tableId(), snapshotId: BigInt(snapshotId) });
    return files.map(({ file }) => file?.filePath).sort();
  };
  const planned = async (time: number) => {
    const at = ['--as-of', new Date(time).toISOString()];
    const { code, stdout, stderr } = await stack.cli('plan', 'get', `${name}.db.t`, ...at, '--json');
    if (code !== 0) return stderr;
    const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
    return lines.map((line) => JSON.parse(line).filePath).sort();
  };
  for (const version of [2, 3, 4]) {
    expect([version, await planned(times[version]!)]).toEqual([version, await filesOf(version)]);
    expect([version, await planned(times[version]! - 1)]).toEqual([version, await filesOf(version - 1)]);
  }
  expect([await filesOf(2), await filesOf(3), await filesOf(4)].map(({ length }) => length)).toEqual([1, 2, 3]);
  expect(await planned(times[0]! - 1)).toMatch(/has no snapshot that was current/);
});
