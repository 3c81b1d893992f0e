import type { ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { JobState, type ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';
import { manifestList, tableMetadata } from '../formats/iceberg/write-table.ts';
import { Processes } from './stack/processes.ts';
import { ROOT } from './stack/running-stack.ts';

/** A real worker gets tables that each would have taken gigabytes, among good ones, and among tables whose metadata is large but good. */

jest.setTimeout(600_000);

const FIXTURES = join(ROOT, 'test/fixtures/iceberg/wh/fx');
const GOOD = ['orders', 'refs', 'v1_basic', 'v2_mor_pos', 'v3_dv', 'many_snapshots'];
const MIB = 1024 * 1024;
const BYTES = 120 * MIB;
const MAX_RSS_MIB = 1024;
/** Snapshots of about 640 bytes, as Spark writes them. */
const LONG_HISTORY = 150_000;
const FIRST_ID = 4_000_000_000_000_000_000n;

const repeated = (unit: string) => unit.repeat(BYTES / unit.length);
const listed = (count: number, item: (i: number) => string) => Array.from({ length: count }, (_, i) => item(i)).join();

/** A metadata file in which one field is this JSON. */
function withField(name: string, json: string): string {
  return JSON.stringify(tableMetadata({ [name]: 'HERE' })).replace('"HERE"', () => json);
}

/** Hostile metadata files, and the failure of their tables. */
const HOSTILE: Record<string, [() => string, string, RegExp]> = {
  brackets: [
    () => withField('x', repeated('[')),
    'DATA_LOSS',
    /^table metadata .*brackets\/metadata\/v1\.gz\.metadata\.json is broken: it nests 125,829,121 levels deep; at most 200 are read\./,
  ],
  objects: [() => withField('x', '{"a":'.repeat(20 * MIB)), 'DATA_LOSS', /nests 20,971,521 levels deep/],
  numbers: [
    () => withField('snapshots', `[${repeated('1,')}1]`),
    'DATA_LOSS',
    /snapshots\[0] should be an object but is 1/,
  ],
  empties: [
    () => withField('snapshots', `[${'{},'.repeat(40 * MIB)}{}]`),
    'DATA_LOSS',
    /snapshots\[0]\.snapshot-id should be/,
  ],
  text: [
    () => withField('location', `"${repeated('x')}"`),
    'FAILED_PRECONDITION',
    /location has 120\.0 MiB, at most 16\.0 MiB/,
  ],
  history: [
    () =>
      withField(
        'snapshots',
        `[${listed(2_000_000, (i) => `{"snapshot-id":${i},"timestamp-ms":1,"manifest-list":"a"}`)}]`,
      ),
    'FAILED_PRECONDITION',
    /snapshots has more than 250,000 entries/,
  ],
  tags: [
    () => withField('refs', `{${listed(1_500_000, (i) => `"t${i}":{"type":"tag","snapshot-id":1}`)}}`),
    'FAILED_PRECONDITION',
    /refs has \d+\.\d MiB, at most 32\.0 MiB are read\. Expire snapshots/,
  ],
  properties: [
    () => withField('properties', `{${listed(2_000_000, (i) => `"k${i}":"v"`)}}`),
    'FAILED_PRECONDITION',
    /properties has more than 250,000 entries/,
  ],
  shapes: [
    () =>
      withField(
        'schemas',
        `[{"type":"struct","schema-id":0,"fields":[],"x":[${listed(900_000, (i) => `{"a${i}":1}`)}]}]`,
      ),
    'FAILED_PRECONDITION',
    /schemas\[0] has 1,\d+,\d+ values; at most 500,000 are read/,
  ],
  wide: [
    () =>
      withField(
        'schemas',
        `[{"type":"struct","schema-id":0,"fields":[${listed(1_000_000, (i) => `{"id":${i},"name":"c${i}","type":"long"}`)}]}]`,
      ),
    'FAILED_PRECONDITION',
    /schemas\[0] has \d+\.\d MiB, at most 16\.0 MiB/,
  ],
  deep: [
    () =>
      withField(
        'schemas',
        `[${'{"type":"struct","fields":[{"id":1,"name":"a","type":'.repeat(10_000)}"long"${'}]}'.repeat(10_000)}]`,
      ),
    'DATA_LOSS',
    /nests 30,00\d levels deep/,
  ],
  fields: [
    () => `${JSON.stringify(tableMetadata()).slice(0, -1)},${listed(5_000_000, (i) => `"k${i}":"v"`)}}`,
    'FAILED_PRECONDITION',
    /the document has more than 10,000 fields/,
  ],
};

const LIST_SCHEMA =
  '{"type":"record","name":"manifest_file","fields":[{"name":"manifest_path","type":"string","field-id":500}]}';

/** Hostile manifest lists of otherwise good tables. */
const LISTS: Record<string, [() => Buffer, RegExp]> = {
  schema_of_brackets: [() => avro('['.repeat(30 * MIB), 'null', Buffer.alloc(0)), /nests 31,457,280 levels deep/],
  inflating: [
    () => avro(LIST_SCHEMA, 'deflate', deflateRawSync(Buffer.alloc(400 * MIB))),
    /a deflated block is corrupt or has more than 134217728 bytes/,
  ],
};

/** An Avro file with one block. */
function avro(schema: string, codec: string, block: Buffer): Buffer {
  const long = (value: number) => {
    const bytes: number[] = [];
    let left = BigInt(value) * 2n;
    for (; left >= 128n; left >>= 7n) bytes.push(Number(left & 127n) | 128);
    return Buffer.from([...bytes, Number(left)]);
  };
  const text = (value: string) => Buffer.concat([long(Buffer.byteLength(value)), Buffer.from(value)]);
  const sync = Buffer.alloc(16, 7);
  const entries = [text('avro.schema'), text(schema), text('avro.codec'), text(codec)];
  const header = [Buffer.from('Obj\x01'), long(2), ...entries, long(0), sync];
  return Buffer.concat([...header, long(1), long(block.length), block, sync]);
}

/** 95 MiB of snapshots, of which the last is the current one. */
function longHistory(location: string): string {
  const snapshots = listed(LONG_HISTORY, (i) => {
    const id = FIRST_ID + BigInt(i);
    const counts = `"added-data-files":"1","added-records":"${i}","total-records":"${i}","total-data-files":"0","total-delete-files":"0"`;
    const engine = `"engine-version":"3.5.1","app-id":"application_${i}","note":"${'n'.repeat(160)}"`;
    return `{"snapshot-id":${id},${i ? `"parent-snapshot-id":${id - 1n},` : ''}"sequence-number":${i + 1},"timestamp-ms":${1_700_000_000_000 + i},"summary":{"operation":"append",${counts},${engine}},"manifest-list":"${location}/metadata/list.avro","schema-id":0}`;
  });
  const current = FIRST_ID + BigInt(LONG_HISTORY - 1);
  return JSON.stringify(tableMetadata({ location, snapshots: 'HERE', 'current-snapshot-id': 'CURRENT' }))
    .replace('"CURRENT"', String(current))
    .replace('"HERE"', () => `[${snapshots}]`);
}

let processes: Processes;
let worker: ChildProcess;
let warehouse: string;

beforeAll(async () => {
  processes = await Processes.start();
  warehouse = join(processes.folder, 'wh');
  await processes.startCatalog();
  worker = await processes.startWorker();
});
afterAll(() => processes?.[Symbol.asyncDispose]());

function metadataFolder(...path: string[]): string {
  const folder = join(warehouse, ...path, 'metadata');
  mkdirSync(folder, { recursive: true });
  return folder;
}

async function run(name: string, more: object = {}): Promise<ReconcileJob> {
  const policy = { maxParallel: 16 };
  const id = await processes.connect(name, join(warehouse, name), { policy, ...more });
  return processes.ended(await processes.trigger(id));
}

/** The attempts of the activities that started. */
async function attempts(jobId: string): Promise<number[]> {
  const { events } = await processes.temporal.workflow.getHandle(jobId).fetchHistory();
  return (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) =>
    started ? [started.attempt!] : [],
  );
}

/** The most memory that the worker has had, in MiB. */
function mostMemory(): number {
  const status = readFileSync(`/proc/${worker.pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) / 1024;
}

it('hostile tables fail once and by name, and good ones are ingested at the first attempt', async () => {
  for (const [name, [content]] of Object.entries(HOSTILE)) {
    writeFileSync(join(metadataFolder('hostile', 'n', name), 'v1.gz.metadata.json'), gzipSync(content()));
  }
  for (const [name, [content]] of Object.entries(LISTS)) {
    const folder = metadataFolder('hostile', 'n', name);
    writeFileSync(join(folder, 'list.avro'), content());
    const snapshot = { 'snapshot-id': 1, 'timestamp-ms': 1, 'manifest-list': join(folder, 'list.avro') };
    const metadata = tableMetadata({ location: join(folder, '..'), snapshots: [snapshot], 'current-snapshot-id': 1 });
    writeFileSync(join(folder, 'v1.metadata.json'), JSON.stringify(metadata));
  }
  for (const name of GOOD) cpSync(join(FIXTURES, name), join(warehouse, 'hostile', 'n', name), { recursive: true });

  const job = await run('hostile');

  const { failures } = await processes.catalog.jobs.listJobFailures({ jobId: job.jobId });
  const failed = Object.fromEntries(failures.map(({ table, code, message }) => [table.slice(2), { code, message }]));
  const expected = [
    ...Object.entries(HOSTILE).map(([name, [, code, message]]) => [name, code, message] as const),
    ...Object.entries(LISTS).map(([name, [, message]]) => [name, 'DATA_LOSS', message] as const),
  ];
  expect(failed).toEqual(
    Object.fromEntries(
      expected.map(([name, code, message]) => [name, { code, message: expect.stringMatching(message) }]),
    ),
  );
  expect(job.state).toBe(JobState.JS_FAILED);
  // The two with a bad manifest list come in without their snapshot.
  expect(job.counters).toMatchObject({ errors: BigInt(expected.length), tablesChanged: BigInt(GOOD.length) });
  expect(Math.max(...(await attempts(job.jobId)))).toBe(1);
  expect(worker.exitCode).toBeNull();
  expect(mostMemory()).toBeLessThan(MAX_RSS_MIB);
});

it('several tables with 95 MiB of metadata are ingested, one after the other', async () => {
  const names = ['a', 'b', 'c', 'd'];
  for (const name of names) {
    const folder = metadataFolder('large', 'n', name);
    writeFileSync(join(folder, 'list.avro'), manifestList([]));
    const json = longHistory(join(folder, '..'));
    expect(json.length).toBeGreaterThan(85 * MIB);
    if (name < 'c') writeFileSync(join(folder, 'v1.metadata.json'), json);
    else writeFileSync(join(folder, 'v1.gz.metadata.json'), gzipSync(json));
  }

  const job = await run('large', { source: { snapshots: { kind: 'SNAPSHOT_SELECTION_KIND_LATEST_N', latest: 1 } } });

  expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: 4n } });
  expect(Math.max(...(await attempts(job.jobId)))).toBe(1);
  const { directory, tables } = processes.catalog;
  for (const object of names) {
    const parts = { catalog: 'large', namespacePath: ['n'], object };
    const { tableId } = await directory.resolve({ name: { $case: 'parts', value: parts }, object: true });
    const { currentSnapshotId } = await tables.getTable({ tableId });
    expect(currentSnapshotId).toBe(FIRST_ID + BigInt(LONG_HISTORY - 1));
  }
  expect(worker.exitCode).toBeNull();
  expect(mostMemory()).toBeLessThan(MAX_RSS_MIB);
});

it('all snapshots of these tables are ingested, of which one at a time is open', async () => {
  // Another connector, so that they are new to it.
  const id = await processes.connect('all', join(warehouse, 'large'), { policy: { maxParallel: 16 } });
  const jobId = await processes.trigger(id);

  // Several slices, in which each table is opened.
  const job = await processes.until(jobId, ({ counters }) => (counters?.snapshotsIngested ?? 0n) > 2_500n);

  expect(job.counters).toMatchObject({ errors: 0n });
  expect(Math.max(...(await attempts(jobId)))).toBe(1);
  expect(worker.exitCode).toBeNull();
  expect(mostMemory()).toBeLessThan(MAX_RSS_MIB);
});
