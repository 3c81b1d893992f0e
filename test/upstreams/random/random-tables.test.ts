import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { countersOf } from '../../../src/contract/progress-message.ts';
import { JobState, type ReconcileJob } from '../../../src/generated/reconciler/v1/jobs.ts';
import { catalogContents } from '../../integration/contents/catalog-contents.ts';
import { differences } from '../../integration/contents/compare-truth.ts';
import type { Truth } from '../../integration/contents/truth.ts';
import { RunningStack } from '../../integration/stack/running-stack.ts';
import { CleanUp } from '../clean-up.ts';
import { makeRandomTables, type Seeds } from './run-java.ts';

/** Each seed makes one of both. */
const KINDS = ['tables', 'histories'] as const;
const SEEDS = seedsOf(process.env.RANDOM_SEEDS ?? '1-20');

const numbers = Array.from({ length: SEEDS.last - SEEDS.first + 1 }, (_, i) => SEEDS.first + i);
const names = KINDS.flatMap((kind) => numbers.map((seed) => `${kind}.seed_${seed}`));
/** Ten times what a seed needs, and the start of Java and the stack. */
const LIMIT_MS = 300_000 + numbers.length * 60_000;

function seedsOf(text: string): Seeds {
  const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  if (first === undefined) throw new Error(`RANDOM_SEEDS is a seed or a range such as 1000-1199, not ${text}`);
  return { first: Number(first), last: Number(last) };
}

/**
 * Iceberg Java makes each table, and states what it reads from up to four of its states. One connector ingests the states one after the other,
 * and then makes a full rescan; another one ingests only the last state.
 */
describe('random tables and random histories', () => {
  const cleanUp = new CleanUp();
  const folder = mkdtempSync(join(tmpdir(), 'random-tables-'));
  const warehouse = join(folder, 'warehouse');
  /** What differs from Iceberg Java, by table: after each step, after the last job with `full`, and after the only step of the other. */
  const wrong = new Map<string, string[]>(names.map((name) => [name, []]));
  let stack: RunningStack;
  let full: ReconcileJob;

  const stepOf = (name: string, step: number) => join(folder, 'steps', ...name.split('.'), String(step));

  const truthOf = (name: string, step: number): Truth =>
    JSON.parse(readFileSync(join(stepOf(name, step), 'truth.json'), 'utf8'));

  /** Replaces a table by its next state. @returns whether there is one */
  function advance(name: string, step: number): boolean {
    if (!existsSync(stepOf(name, step))) return false;
    const table = join(warehouse, ...name.split('.'));
    rmSync(table, { recursive: true, force: true });
    mkdirSync(table, { recursive: true });
    renameSync(join(stepOf(name, step), 'metadata'), join(table, 'metadata'));
    return true;
  }

  async function compare(when: string, catalog: string, name: string, step: number): Promise<void> {
    const truth = truthOf(name, step);
    const found = await stack
      .tableId(`${catalog}.${name}`)
      .then((tableId) => differences(stack.catalog, tableId, truth))
      .catch((error) => [String(error)]);
    wrong.get(name)!.push(...found.map((one) => `${when}: ${one}`));
  }

  /** Adds the failures of a job to what is wrong. */
  async function expectNoFailures(when: string, job: ReconcileJob): Promise<void> {
    for (const { table, message } of await stack.failures(job.jobId)) {
      const found = wrong.get(table);
      if (!found) throw new Error(`${table}: ${message}`);
      found.push(`${when}: ${message}`);
    }
  }

  /** Numbers by table id, which grow when a table's contents change. */
  async function generations(): Promise<Map<unknown, unknown>> {
    const { table_contents: rows } = await catalogContents(join(stack.dataDir, 'catalog.db'));
    return new Map((rows as Record<string, unknown>[]).map((row) => [row.table_id, row.generation]));
  }

  beforeAll(async () => {
    cleanUp.defer(() => rmSync(folder, { recursive: true, force: true }));
    const counts = await makeRandomTables(folder, SEEDS);
    if (process.env.RANDOM_SEEDS) console.error(counts);
    rmSync(warehouse, { recursive: true });
    stack = cleanUp.use(await RunningStack.start());
    const stepwise = await stack.connect('stepwise', warehouse);
    const last = new Map<string, number>();
    for (let step = 0; ; step++) {
      const advanced = names.filter((name) => advance(name, step));
      if (advanced.length === 0) break;
      await expectNoFailures(`step ${step}`, await stack.trigger(stepwise));
      for (const name of advanced) {
        last.set(name, step);
        await compare(`step ${step}`, 'stepwise', name, step);
      }
    }
    const once = await stack.connect('once', warehouse);
    await expectNoFailures('at once', await stack.trigger(once));
    for (const name of names) await compare('at once', 'once', name, last.get(name)!);
    const before = await generations();
    full = await stack.trigger(stepwise, { full: true });
    await expectNoFailures('full', full);
    const after = await generations();
    for (const name of names) {
      const tableId = await stack.tableId(`stepwise.${name}`);
      if (after.get(tableId) !== before.get(tableId)) wrong.get(name)!.push('full: its contents were written again');
    }
    for (const name of names) await compare('full', 'stepwise', name, last.get(name)!);
  }, LIMIT_MS);
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  it.each(names)('%s is as Iceberg Java reads it after each step, at once, and after a full rescan', (name) => {
    const seed = name.slice(name.lastIndexOf('_') + 1);
    const hint = `for this seed alone: RANDOM_SEEDS=${seed} npm run test:upstreams -- test/upstreams/random`;
    const found = wrong.get(name)!;
    expect(found.length > 0 ? [hint, ...found] : []).toEqual([]);
  });

  it('get nothing new from a full rescan', () => {
    expect(full).toMatchObject({ state: JobState.JS_SUCCEEDED });
    expect(countersOf(full)).toMatchObject({ snapshotsIngested: 0n, filesIngested: 0n });
  });
});
