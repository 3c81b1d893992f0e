/**
 * Records the first and the last run of a job that continues as new, with packs and with tables that failed in them:
 * npx tsx test/histories/record-continued.ts
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { Processes } from '../integration/stack/processes.ts';
import { ROOT } from '../integration/stack/running-stack.ts';
import { saveHistory } from './save-history.ts';

const FIXTURES = join(ROOT, 'test/fixtures/iceberg/wh');

await using processes = await Processes.start('--dynamic-config-value', 'limit.historyCount.suggestContinueAsNew=40');
for (let i = 0; i < 900; i++) {
  const fixture = i % 50 === 49 ? 'bad/truncated_metadata' : 'fx/orders';
  const to = join(processes.folder, 'wh/n', `t${String(i).padStart(3, '0')}`, 'metadata');
  cpSync(join(FIXTURES, fixture, 'metadata'), to, { recursive: true });
}
await processes.startCatalog();
await processes.startWorker();
const jobId = await processes.trigger(await processes.connect('many', join(processes.folder, 'wh')));
const { runId } = await processes.ended(jobId);
await saveHistory(processes, 'continued-first', jobId, runId);
await saveHistory(processes, 'continued-last', jobId);
