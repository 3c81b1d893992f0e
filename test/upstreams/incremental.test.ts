import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { countersOf } from '../../src/contract/progress-message.ts';
import { JobState, type ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';
import { formatName } from '../../src/names.ts';
import { differences } from '../integration/contents/compare-truth.ts';
import { RunningStack } from '../integration/stack/running-stack.ts';
import { CleanUp } from './clean-up.ts';
import { earlierTables, fixtureTables, publishFixtures, registerFixtures } from './publish-fixtures.ts';
import { startIcebergRest } from './servers/iceberg-rest.ts';

const before = earlierTables();
const after = fixtureTables().filter(({ path }) => path[0] === 'inc');

describe("fixtures behind Iceberg's REST server that change between two runs", () => {
  const cleanUp = new CleanUp();
  const inFirst: Record<string, string[]> = {};
  let stack: RunningStack;
  let second: ReconcileJob;

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reconciler-incremental-'));
    cleanUp.defer(() => rmSync(folder, { recursive: true }));
    const rest = cleanUp.use(await startIcebergRest({ warehouse: `file://${folder}/warehouse` }));
    await publishFixtures(rest.url, { folder }, before);
    stack = cleanUp.use(await RunningStack.start());
    const connectorId = await stack.connect('rest', '', { uri: rest.url });
    await stack.trigger(connectorId);
    for (const { path, truth } of before) {
      const found = await differences(stack.catalog, await stack.tableId(formatName(['rest', ...path])), truth);
      if (found.length > 0) inFirst[formatName(path)] = found;
    }
    const changed = after.filter(({ path }) => path.at(-1) !== 'unchanged');
    await registerFixtures(rest.url, { folder }, changed);
    second = await stack.trigger(connectorId);
  });
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  it('match what the engines report at first', () => {
    expect(before.length).toBeGreaterThan(10);
    expect(inFirst).toEqual({});
  });

  it('are ingested only if they have changed', () => {
    expect(second).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n, tablesUnchanged: 1n } });
    expect(countersOf(second).tablesChanged).toBe(BigInt(after.length - 1));
  });

  it.each(after.map(({ path, truth }) => ({ name: formatName(path), truth })))(
    '$name is then as the engines say',
    async ({ name, truth }) => {
      expect(await differences(stack.catalog, await stack.tableId(`rest.${name}`), truth)).toEqual([]);
    },
  );
});
