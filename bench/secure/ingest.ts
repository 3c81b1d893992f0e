/**
 * What TLS and tokens cost: `npm run bench:secure`, or `-- --quick`.
 *
 * Two real stacks with synthetic upstreams ingest the same: one without TLS and authentication, one with both. Their jobs alternate, since the
 * speed of a machine changes. The report goes to stderr, its numbers as JSON to stdout.
 */
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';

import { SyntheticStack } from '../../test/synthetic/synthetic-stack.ts';

const { values: options } = parseArgs({
  options: {
    files: { type: 'string', default: '200000' },
    tables: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '5' },
    /** Small sizes, to try the benchmark itself. */
    quick: { type: 'boolean', default: false },
    cache: { type: 'string', default: join(homedir(), '.cache', 'reconciler', 'bench') },
  },
});

/** The first job of a connector whose upstream has these tables, each with these files. @returns its seconds */
async function ingest(stack: SyntheticStack, name: string, tables: number, files: number): Promise<number> {
  const connectorId = await stack.connect(name, stack.upstream(name, { tables, namespaces: 1, files }));
  const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
  const job = await stack.ended(jobId);
  if (job.state !== JobState.JS_SUCCEEDED) throw new Error(`${jobId}: ${job.message}`);
  return (job.finishedAt!.getTime() - job.startedAt!.getTime()) / 1000;
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const [files, tables, rounds] = options.quick
  ? [20_000, 100, 3]
  : [Number(options.files), Number(options.tables), Number(options.rounds)];
mkdirSync(options.cache, { recursive: true });
await using plain = await SyntheticStack.start({ parent: options.cache, security: 'none' });
await using secure = await SyntheticStack.start({ parent: options.cache, security: 'tokens and TLS' });

const rates = {
  plain: { files: [] as number[], tables: [] as number[] },
  secure: { files: [] as number[], tables: [] as number[] },
};
// The first round warms up.
for (let round = 0; round <= rounds; round++) {
  for (const [name, stack] of [['plain', plain] as const, ['secure', secure] as const]) {
    const perFile = files / (await ingest(stack, `files-${round}`, 1, files));
    const perTable = tables / (await ingest(stack, `tables-${round}`, tables, 1));
    if (round === 0) continue;
    rates[name].files.push(perFile);
    rates[name].tables.push(perTable);
  }
}

const compare = (what: 'files' | 'tables') => {
  const [without, withBoth] = [median(rates.plain[what]), median(rates.secure[what])];
  return {
    plain: Math.round(without),
    secure: Math.round(withBoth),
    ratio: Math.round((withBoth / without) * 1000) / 1000,
  };
};
const result = { files, tables, rounds, filesPerSecond: compare('files'), tablesPerSecond: compare('tables') };
for (const [what, { plain, secure, ratio }] of [
  ['files of one table', result.filesPerSecond] as const,
  ['tables of one file', result.tablesPerSecond] as const,
]) {
  console.error(
    `${what} per second: ${plain} without, ${secure} with TLS and tokens; ratio ${ratio} (target: at least 0.8)`,
  );
}
console.log(JSON.stringify(result));
