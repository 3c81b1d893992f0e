/**
 * A worker of the built code that reads synthetic upstreams: `node --import tsx test/synthetic/worker.ts`. It uses the variables of
 * `reconciler worker`, and SYNTHETIC_SPLIT, a `SplitSize` as JSON.
 */
import { pino } from 'pino';
import { SyntheticConnector } from './synthetic-connector.ts';

const dist = new URL('../../dist/', import.meta.url);
const { startWorker } = (await import(`${dist}worker.js`)) as typeof import('../../src/worker.ts');
const { readConfig } = (await import(`${dist}config.js`)) as typeof import('../../src/config.ts');
const { CodedError } = (await import(`${dist}errors.js`)) as typeof import('../../src/errors.ts');

const config = readConfig();
const logger = pino({ name: 'worker', level: config.logLevel });
const worker = await startWorker({
  config,
  logger,
  splitSize: JSON.parse(process.env.SYNTHETIC_SPLIT ?? 'null') ?? undefined,
  openConnector: async ({ uri }) => new SyntheticConnector(uri, CodedError),
});
process.once('SIGTERM', () => worker.shutdown());
process.send?.('ready');
await worker.run();
process.exit(0);
