/**
 * A worker of the built code for one ingest queue, with its own split size: `node --import tsx test/integration/stack/queue-worker.ts
 * QUEUE '{"above": 9, "group": 6}'`. It uses the variables of `reconciler worker`.
 */
import { pino } from 'pino';

const dist = new URL('../../../dist/', import.meta.url);
const { startWorker } = (await import(`${dist}worker.js`)) as typeof import('../../../src/worker.ts');
const { readConfig } = (await import(`${dist}config.js`)) as typeof import('../../../src/config.ts');

const [, , queue = '', splitSize = 'null'] = process.argv;
const config = readConfig();
const worker = await startWorker({
  config,
  logger: pino({ name: 'worker', level: config.logLevel }),
  ingestQueues: [queue],
  splitSize: JSON.parse(splitSize) ?? undefined,
});
process.once('SIGTERM', () => worker.shutdown());
process.send?.('ready');
await worker.run();
process.exit(0);
