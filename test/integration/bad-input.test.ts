import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobState, type ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';
import { dumpCatalog } from './contents/dump.ts';
import { ROOT, RunningStack } from './stack/running-stack.ts';

const TABLE = join(ROOT, 'test/fixtures/iceberg/wh/fx/v2_mor_pos');

/** The newest metadata file, a manifest list and a manifest of the table. */
const files = readdirSync(join(TABLE, 'metadata')).sort();
const newest = files.filter((f) => f.endsWith('.metadata.json')).at(-1)!;
const list = files.find((f) => f.startsWith('snap-'))!;
/** It lists the first snapshot's file. */
const manifest = files.find((f) => f.startsWith('25858d79') && f.endsWith('-m0.avro'))!;

type Damage = (file: string) => void;
const truncate: Damage = (file) => truncateSync(file, Math.floor(readFileSync(file).length / 2));
const empty: Damage = (file) => writeFileSync(file, '');
const random: Damage = (file) =>
  writeFileSync(file, Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919 + 13) % 256)));
/** Leaves the file as after a power failure: with its full length allocated, but no data written. */
const zeros: Damage = (file) => writeFileSync(file, Buffer.alloc(readFileSync(file).length));
const edit =
  (from: RegExp, to: string): Damage =>
  (file) => {
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(from);
    writeFileSync(file, text.replace(from, to));
  };
/** The first block's count and size follow the header's 16 sync bytes, which also end the file. */
const hugeBlock: Damage = (file) => {
  const bytes = readFileSync(file);
  const sync = bytes.subarray(-16);
  const block = bytes.indexOf(sync) + 16;
  bytes.fill(0xff, block, block + 9);
  bytes[block + 9] = 0x01;
  writeFileSync(file, bytes);
};

/** Damaged tables by name: the file, and the damage that is done to it. */
const DAMAGED: Record<string, [string, Damage]> = {
  metadata_truncated: [newest, truncate],
  metadata_empty: [newest, empty],
  metadata_random: [newest, random],
  metadata_zeros: [newest, zeros],
  metadata_wrong_type: [newest, edit(/"snapshots":\[/, '"snapshots":7,"was":[')],
  metadata_wrong_id: [newest, edit(/"current-snapshot-id":\d+/, '"current-snapshot-id":"none"')],
  metadata_bad_schema: [newest, edit(/"type":"long"/, '"type":{"type":"list"}')],
  metadata_future: [newest, edit(/"format-version":2/, '"format-version":99')],
  list_truncated: [list, truncate],
  list_empty: [list, empty],
  list_random: [list, random],
  list_huge: [list, hugeBlock],
  list_gone: [list, (file) => rmSync(file)],
  manifest_truncated: [manifest, truncate],
  manifest_empty: [manifest, empty],
  manifest_random: [manifest, random],
  manifest_huge: [manifest, hugeBlock],
  manifest_gone: [manifest, (file) => rmSync(file)],
};

let stack: RunningStack;
let warehouse: string;
let job: ReconcileJob;
let failures: Map<string, { code: string; message: string }>;

beforeAll(async () => {
  warehouse = mkdtempSync(join(tmpdir(), 'reconciler-warehouse-'));
  for (const [name, [file, damage]] of Object.entries(DAMAGED)) {
    cpSync(join(TABLE, 'metadata'), join(warehouse, 'n', name, 'metadata'), { recursive: true });
    damage(join(warehouse, 'n', name, 'metadata', file));
  }
  for (const name of ['good', 'zgood']) cpSync(TABLE, join(warehouse, 'n', name), { recursive: true });
  stack = await RunningStack.start();
  job = await stack.trigger(await stack.connect('bad', warehouse));
  failures = new Map((await stack.failures(job.jobId)).map(({ table, code, message }) => [table, { code, message }]));
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  rmSync(warehouse, { recursive: true, force: true });
});

it.each(Object.entries(DAMAGED))('table %s fails on its own, and the error names the file', (name, [file]) => {
  expect(failures.get(`n.${name}`)).toMatchObject({
    code: expect.stringMatching(/^(DATA_LOSS|UNIMPLEMENTED)$/),
    message: expect.stringContaining(file),
  });
});

it('the job ingests the other tables, and of the damaged ones the snapshots that can be read', async () => {
  const damaged = Object.keys(DAMAGED).length;
  expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: BigInt(damaged), tablesChanged: 2n } });
  expect(job.message).toMatch(new RegExp(`^Partial failure \\(${damaged}\\): `));
  const dump = await dumpCatalog(stack.catalog, 'bad');
  const partly = Object.keys(DAMAGED).filter((name) => !name.startsWith('metadata_'));
  expect(Object.keys(dump)).toEqual([...partly, 'good', 'zgood'].sort().map((name) => `n/${name}`));
  for (const [name, contents] of Object.entries(dump))
    expect([name, contents]).toEqual([name, expect.stringMatching(/^6 snapshots/)]);
  for (const name of partly) {
    const tableId = await stack.tableId(`bad.n.${name}`);
    const { snapshots } = await stack.catalog.snapshots.listSnapshots({ tableId });
    const lost = snapshots.filter(({ captured }) => !captured);
    expect(lost.length).toBeGreaterThan(0);
    for (const { unreadable } of lost) expect(unreadable).toContain(DAMAGED[name]![0]);
  }
});

it('a repaired table is ingested', async () => {
  rmSync(join(warehouse, 'n/manifest_gone'), { recursive: true });
  cpSync(TABLE, join(warehouse, 'n/manifest_gone'), { recursive: true });
  const { connectorId } = await stack.catalog.connectors.getConnector({ by: { $case: 'displayName', value: 'bad' } });
  // Tables of which an old snapshot was reported do not fail again; those without their current snapshot do.
  expect(await stack.trigger(connectorId)).toMatchObject({ counters: { tablesChanged: 1n, tablesUnchanged: 7n } });
  expect((await dumpCatalog(stack.catalog, 'bad'))['n/manifest_gone']).toMatch(/^6 snapshots/);
});
