import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { countersOf } from '../../src/contract/progress-message.ts';
import { formatName } from '../../src/names.ts';
import { differences } from '../integration/contents/compare-truth.ts';
import { readTruth } from '../integration/contents/truth.ts';
import { ROOT, RunningStack } from '../integration/stack/running-stack.ts';
import { otherNode } from './servers/node.ts';

const FIXTURES = join(ROOT, 'test/fixtures/iceberg');

/** Native modules depend on the version of Node: with the wrong build, SQLite aborts the catalog's process. */
it('a newer Node runs the whole stack', async () => {
  await using stack = await RunningStack.start({}, await otherNode());
  const connectorId = await stack.connect('newer', join(FIXTURES, 'wh'));
  const first = await stack.trigger(connectorId);
  const good = [...readTruth(join(FIXTURES, 'truth'))].filter(
    ([name, { corrupted }]) => !name.startsWith('hd.') && !corrupted,
  );
  expect(good.length).toBeGreaterThan(15);
  const wrong: Record<string, string[]> = {};
  for (const [name, truth] of good) {
    const found = await differences(
      stack.catalog,
      await stack.tableId(formatName(['newer', ...name.split('.')])),
      truth,
    );
    if (found.length > 0) wrong[name] = found;
  }
  expect(wrong).toEqual({});
  expect(countersOf(first).tablesChanged).toBeGreaterThanOrEqual(BigInt(good.length));

  // Long enough for a garbage collection of the objects from the catalog's start.
  for (let run = 0; run < 5; run++) {
    const again = await stack.trigger(connectorId, { full: true });
    expect(again.state).toBe(first.state);
    expect(countersOf(again).errors).toBe(countersOf(first).errors);
  }
});
