import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Harness, startHarness } from './harness.ts';
import { FIRST, putSampleTable, SECOND } from './sample-table.ts';

const TABLE = 'main."my ns".orders';

let cli: Harness;
beforeAll(async () => {
  cli = await startHarness();
  await putSampleTable(cli.clients);
});
afterAll(async () => cli[Symbol.asyncDispose]());

async function json(...args: string[]) {
  const ran = await cli.run(...args, '--json');
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return ran.json;
}

async function text(...args: string[]) {
  const ran = await cli.run(...args);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return ran.stdout;
}

describe('namespace list', () => {
  it('lists all levels of a catalog, or those below one namespace', async () => {
    expect((await json('namespace', 'list', 'main')).map((n) => n.path)).toEqual([['my ns'], ['my ns', 'eu']]);
    expect((await json('namespace', 'list', 'main."my ns".eu')).map((n) => n.path)).toEqual([['my ns', 'eu']]);
    expect(await text('namespace', 'list', 'main')).toMatch(
      /^NAMESPACE +CREATED\b.*\n"my ns" +\d{4}-.*\n"my ns"\.eu +\d{4}-/,
    );
  });
});

describe('table list and get', () => {
  it('lists the tables of a namespace', async () => {
    const tables = await json('table', 'list', 'main."my ns"');
    expect(tables).toMatchObject([
      { name: 'empty', format: 'TABLE_FORMAT_ICEBERG', refs: [] },
      { name: 'orders', formatVersion: 2, currentSnapshotId: SECOND.toString() },
    ]);
    expect(tables[0]).not.toHaveProperty('currentSnapshotId');
    expect(await text('table', 'list', "main.'my ns'")).toMatch(
      /^orders +iceberg v2 +8744736658442914487 .* s3:\/\/bucket\/warehouse\/sales\/orders$/m,
    );
  });

  it('shows one table', async () => {
    expect(await json('table', 'get', TABLE)).toMatchObject([
      { name: 'orders', schema: { columns: [{ name: 'id' }, { name: 'city' }] } },
    ]);
    const output = await text('table', 'get', TABLE);
    expect(output).toMatch(/^refs +main \(branch\) 8744736658442914487, v1 \(tag\) 42$/m);
    expect(output).toMatch(/^ +1 {2}id {2}long not null$/m);
  });
});

describe('snapshot list', () => {
  it('lists the snapshots, the newest first', async () => {
    const [second, first] = await json('snapshot', 'list', TABLE);
    expect(first).toMatchObject({
      snapshotId: '42',
      sequenceNumber: '1',
      operation: 'append',
      schemaId: 0,
      refs: ['v1'],
      current: false,
    });
    expect(first).not.toHaveProperty('parentSnapshotId');
    expect(second).toMatchObject({
      snapshotId: SECOND.toString(),
      parentSnapshotId: '42',
      operation: 'delete',
      current: true,
    });
    expect(await text('snapshot', 'list', TABLE)).toMatch(/^ +42 +- +1 +2026-01-01T00:00:00Z +append +0 +v1$/m);
  });

  it('omits expired snapshots without --expired', async () => {
    const { tableId } = (await json('table', 'get', TABLE))[0];
    await cli.clients.ingestion.expireSnapshots({ tableId, snapshotIds: [FIRST] });
    expect((await json('snapshot', 'list', TABLE)).map((s) => s.snapshotId)).toEqual([SECOND.toString()]);
    const all = await json('snapshot', 'list', TABLE, '--expired');
    expect(all.map((s) => s.snapshotId)).toEqual([SECOND.toString(), '42']);
    expect(all[1].expiredAt).toMatch(/^\d{4}-/);
  });
});

describe('stats', () => {
  it('of the table', async () => {
    expect(await json('stats', 'table', TABLE)).toMatchObject([
      {
        snapshotId: SECOND.toString(),
        rowCount: '2000',
        liveRowCount: '1995',
        dataFileCount: '2',
        deleteFileCount: '1',
        totalSizeBytes: '4196',
      },
    ]);
    expect(await json('stats', 'table', TABLE, '--snapshot', '42')).toMatchObject([
      { snapshotId: '42', deleteFileCount: '0' },
    ]);
    const output = await text('stats', 'table', TABLE);
    expect(output).toMatch(/^rows +2,000$/m);
    expect(output).toMatch(/^size +4\.1 KiB \(data 4\.0 KiB\)$/m);
  });

  it('of the columns', async () => {
    const [id, city] = await json('stats', 'columns', TABLE);
    expect(id).toMatchObject({
      columnId: 1,
      columnName: 'id',
      logicalType: 'long',
      valueCount: '2000',
      nullCount: '0',
      min: '0',
      max: '1999',
    });
    expect(id).not.toHaveProperty('nanCount');
    expect(Buffer.from(id.upperBound, 'base64').readBigInt64LE()).toBe(1_999n);
    expect(city).toMatchObject({ nullCount: '20', min: 'Aachen', max: 'Zürich' });
    expect((await json('stats', 'columns', TABLE, '--columns', 'city')).map((c) => c.columnId)).toEqual([2]);
    expect(await text('stats', 'columns', TABLE)).toMatch(/^ +2 +city +string +2,000 +20 +- +- +Aachen +Zürich +-$/m);
  });

  it('of the files', async () => {
    const files = await json('stats', 'files', TABLE);
    expect(files.map((f) => f.fileContent)).toEqual([
      'FILE_CONTENT_DATA',
      'FILE_CONTENT_DATA',
      'FILE_CONTENT_POSITION_DELETES',
    ]);
    expect(files[0]).toMatchObject({
      recordCount: '1000',
      fileSizeInBytes: '2048',
      specId: 0,
      partition: [],
      sequenceNumber: '1',
    });
    expect(files[0].columns).toMatchObject([{ columnId: 1, min: '0', max: '999' }, { columnId: 2 }]);
    expect(await json('stats', 'files', TABLE, '--snapshot', '42')).toHaveLength(2);
    expect(await json('stats', 'files', TABLE, '--content', 'position-deletes')).toHaveLength(1);
    expect(await text('stats', 'files', TABLE)).toMatch(
      /^s3:\S+deletes\.parquet +position deletes +parquet +5 +100 B +2 +-$/m,
    );
  });
});

describe('plan get', () => {
  it('prints one data file per line with its delete files', async () => {
    const plan = await json('plan', 'get', TABLE);
    expect(plan.map((p) => p.deleteFiles.length)).toEqual([1, 0]);
    expect(plan[0].filePath).toContain('00000-0-');
    expect(plan[0].deleteFiles[0].filePath).toContain('deletes.parquet');
    expect(await json('plan', 'get', TABLE, '--snapshot', '42')).toMatchObject([
      { deleteFiles: [] },
      { deleteFiles: [] },
    ]);
    expect(await text('plan', 'get', TABLE)).toMatch(
      /^FILE +RECORDS +SIZE +DELETES +PARTITION\n\S+ +1,000 +2\.0 KiB +1 +-\n\S+ +1,000 +2\.0 KiB +- +-\n$/,
    );
  });

  it('plans as of a time', async () => {
    expect((await json('plan', 'get', TABLE, '--as-of', '2026-01-01T12:00:00Z'))[0].deleteFiles).toEqual([]);
    expect((await json('plan', 'get', TABLE, '--as-of', '2026-01-02'))[0].deleteFiles).toHaveLength(1);
  });
});

describe('a wrong command', () => {
  it.each([
    [['table', 'list', 'main'], 2, /hint: write a namespace as catalog\.namespace/],
    [['table', 'get', 'main.orders'], 2, /hint: write a table as catalog\.namespace\.table/],
    [['table', 'get', 'main."my ns'], 2, /quote " is not closed/],
    [['table', 'get', 'main.absent.orders'], 1, /absent/],
    [['namespace', 'list', 'absent'], 1, /absent/],
    [
      ['stats', 'table', TABLE, '--snapshot', '43'],
      1,
      /^error: snapshot 43 of table main\."my ns"\.orders does not exist$/m,
    ],
    [['stats', 'table', TABLE, '--snapshot', '9223372036854775808'], 2, /64-bit integer/],
    [['stats', 'columns', TABLE, '--columns', 'absent'], 2, /absent/],
    [
      ['stats', 'files', TABLE, '--content', 'all'],
      2,
      /^error: --content 'all' is not one of data, position-deletes, equality-deletes$/m,
    ],
    [['plan', 'get', TABLE, '--as-of', '2026-01-01T12:00'], 2, /a time zone/],
    [['plan', 'get', TABLE, '--as-of', '2026-01-01', '--snapshot', '42'], 2, /cannot be used with/],
    [['snapshot', 'list'], 2, /^error: <table> is missing$/m],
    [['snapshot', 'show'], 2, /unknown command 'show'/],
    [['snapshots'], 2, /did you mean 'snapshot'/],
  ])('%j exits with %i', async (args, code, message) => {
    const ran = await cli.run(...args);
    expect(ran.stderr).toMatch(message);
    expect(ran.stderr).toMatch(/^error: /);
    expect(ran).toMatchObject({ code, stdout: '' });
  });
});
