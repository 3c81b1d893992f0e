import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobState, type ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';
import { dumpCatalog } from './contents/dump.ts';
import { ROOT, RunningStack } from './stack/running-stack.ts';

type Damage = (file: string) => void;
const truncate: Damage = (file) => truncateSync(file, Math.floor(readFileSync(file).length / 2));
const empty: Damage = (file) => writeFileSync(file, '');
const random: Damage = (file) =>
  writeFileSync(file, Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919 + 13) % 256)));
/** Leaves the file as after a power failure: with its full length allocated, but no data written. */
const zeros: Damage = (file) => writeFileSync(file, Buffer.alloc(readFileSync(file).length));
const gone: Damage = (file) => rmSync(file);
const edit =
  (from: RegExp, to: string): Damage =>
  (file) => {
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(from);
    writeFileSync(file, text.replace(from, to));
  };

/** Its log begins with version 6. */
const CLEANED = 'cleaned';
const NEWEST = '00000000000000000010.json';
const CHECKPOINT = '00000000000000000006.checkpoint.parquet';
/** Its versions 0 to 9 have all their commits. */
const VECTORS = 'added_again';

/** Damaged tables by name: the fixture, the file, and the damage that is done to it. */
const FAILING: Record<string, [string, string, Damage]> = {
  newest_truncated: [CLEANED, NEWEST, truncate],
  newest_random: [CLEANED, NEWEST, random],
  newest_zeros: [CLEANED, NEWEST, zeros],
  future: [
    'rs_checkpoint',
    '00000000000000000005.json',
    edit(/$/, '\n{"protocol":{"minReaderVersion":9,"minWriterVersion":9}}'),
  ],
  commit_gone: ['rs_partitioned', '00000000000000000003.json', gone],
};
/** Only some versions of these cannot be read. */
const PARTLY: Record<string, [string, string, Damage]> = {
  checkpoint_truncated: [CLEANED, CHECKPOINT, truncate],
  checkpoint_empty: [CLEANED, CHECKPOINT, empty],
  checkpoint_random: [CLEANED, CHECKPOINT, random],
  checkpoint_zeros: [CLEANED, CHECKPOINT, zeros],
  no_protocol: ['rs_checkpoint', '00000000000000000000.json', edit(/^.*"protocol".*$/m, '')],
  commit_truncated: [VECTORS, '00000000000000000002.json', truncate],
  commit_random: [VECTORS, '00000000000000000002.json', random],
  vector_path: [VECTORS, '00000000000000000003.json', edit(/("pathOrInlineDv":")[^"]+/, '$1short')],
  vector_size: [VECTORS, '00000000000000000003.json', edit(/("cardinality":)\d+/, '$1-1')],
};
/** Hints and checksums only repeat what the log has, and an empty commit has no actions. */
const HARMLESS: Record<string, [string, string, Damage]> = {
  newest_empty: [CLEANED, NEWEST, empty],
  hint_random: [CLEANED, '_last_checkpoint', random],
  hint_empty: [CLEANED, '_last_checkpoint', empty],
  hint_wrong: [CLEANED, '_last_checkpoint', edit(/"version":\d+/, '"version":99')],
  checksum_random: [CLEANED, '00000000000000000010.crc', random],
};

let stack: RunningStack;
let warehouse: string;
let job: ReconcileJob;
let failures: Map<string, { code: string; message: string }>;

beforeAll(async () => {
  warehouse = mkdtempSync(join(tmpdir(), 'reconciler-warehouse-'));
  const put = (name: string, fixture: string) =>
    cpSync(join(ROOT, 'test/fixtures/delta', fixture, '_delta_log'), join(warehouse, 'n', name, '_delta_log'), {
      recursive: true,
      preserveTimestamps: true,
    });
  for (const [name, [fixture, file, damage]] of Object.entries({ ...FAILING, ...PARTLY, ...HARMLESS })) {
    put(name, fixture);
    damage(join(warehouse, 'n', name, '_delta_log', file));
  }
  for (const name of ['good', 'zgood']) put(name, CLEANED);
  stack = await RunningStack.start();
  job = await stack.trigger(await stack.connect('bad', warehouse, { kind: 'CONNECTOR_KIND_DELTA' }));
  failures = new Map((await stack.failures(job.jobId)).map(({ table, code, message }) => [table, { code, message }]));
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  rmSync(warehouse, { recursive: true, force: true });
});

it.each(Object.entries({ ...FAILING, ...PARTLY }))('table %s fails on its own, by name', (name, [, file]) => {
  const failure = failures.get(`n.${name}`);
  expect(failure?.code).toMatch(/^(DATA_LOSS|UNIMPLEMENTED)$/);
  expect([file, `table n.${name}`, `n/${name}/`].some((known) => failure?.message.includes(known))).toBe(true);
});

it('the job ingests the other tables, and of the damaged ones the versions that can be read', async () => {
  const damaged = Object.keys({ ...FAILING, ...PARTLY }).length;
  expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: BigInt(damaged) } });
  expect([...failures.keys()].sort()).toEqual(
    Object.keys({ ...FAILING, ...PARTLY })
      .map((name) => `n.${name}`)
      .sort(),
  );
  const dump = await dumpCatalog(stack.catalog, 'bad');
  const whole = [...Object.keys(HARMLESS), 'good', 'zgood'];
  expect(Object.keys(dump)).toEqual([...Object.keys(PARTLY), ...whole].sort().map((name) => `n/${name}`));
  for (const name of whole) expect([name, dump[`n/${name}`]]).toEqual([name, expect.stringMatching(/^5 snapshots/)]);
  for (const name of Object.keys(PARTLY)) {
    const tableId = await stack.tableId(`bad.n.${name}`);
    const { snapshots } = await stack.catalog.snapshots.listSnapshots({ tableId });
    const lost = snapshots.filter(({ captured }) => !captured);
    expect(lost.length).toBeGreaterThan(0);
    expect(lost.length).toBeLessThan(snapshots.length);
    for (const { unreadable } of lost) expect([name, unreadable]).toEqual([name, expect.stringMatching(/./)]);
  }
});
