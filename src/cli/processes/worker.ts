import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { INGEST_TASK_QUEUE, TASK_QUEUE } from '../../contract/names.ts';
import { startTracing } from '../../telemetry/tracing/tracing.ts';
import { accessOf } from '../catalog-session/access.ts';
import { addressOption } from '../catalog-session/address.ts';
import { UsageError } from '../io/errors.ts';
import { each } from '../io/options.ts';
import { untilStopped } from '../io/signals.ts';

const HELP = `
Workers are stateless: start any number of them, on any machine. They find
Temporal by the standard TEMPORAL_* variables and profiles, and the catalog
service by RECONCILER_ADDRESS. They resolve the secrets of connectors, and need
a token with the role worker (\`reconciler token create\`) in --token-file or
RECONCILER_TOKEN; on the catalog's machine they find that of the data directory.

Every worker runs workflows. A connector with its own task queue is read only
by workers that were started with this --task-queue.

Examples:
  $ reconciler worker
  $ reconciler worker --task-queue eu-west-1
  $ reconciler worker --task-queue reconciler-ingest --task-queue eu-west-1
  $ TEMPORAL_ADDRESS=temporal.internal:7233 \\
      RECONCILER_ADDRESS=https://catalog.internal:7460 \\
      reconciler worker --token-file /run/secrets/reconciler-token`;

export function define(command: Command): void {
  command
    .option(
      '--task-queue <name>',
      `poll this queue for ingests instead of ${INGEST_TASK_QUEUE}, and NAME-scan for short steps; repeatable`,
      each,
    )
    .addHelpText('after', HELP)
    .action(async ({ taskQueue }: { taskQueue?: string[] }, command: Command) => {
      if (taskQueue?.includes(TASK_QUEUE)) {
        throw new UsageError(`--task-queue ${TASK_QUEUE} is the queue of workflows, which every worker polls`);
      }
      const { stopped } = untilStopped();
      // Otherwise, if a scan's first batches outlive the young generation, V8 may allocate all that follow in the old one: 100 MiB more.
      setFlagsFromString('--no-allocation-site-pretenuring');
      // In percent of what is in use. By default, V8 lets garbage grow to three times that, below a limit of 4 GiB: a table with a hundred
      // thousand snapshots leaves hundreds of megabytes each time it is opened. Unlike the limit, this can be set in a process that runs.
      setFlagsFromString('--heap-growing-percent=50');
      const config = readConfig();
      const address = addressOption(command) ?? config.address;
      const access = accessOf(command, address);
      const [{ startWorker }, { createLogger }, { closeRuntime }] = await Promise.all([
        import('../../worker.ts'),
        import('../../telemetry/logger.ts'),
        import('../../telemetry/runtime.ts'),
      ]);
      const logger = createLogger('worker', config.logLevel);
      const tracing = await startTracing('reconciler-worker');
      const failed = async (error: unknown): Promise<never> => {
        await closeRuntime().catch(() => {});
        throw error;
      };
      // A signal that arrives while the worker connects ends the process.
      const worker = await Promise.race([
        startWorker({ config: { ...config, address }, access, logger, ingestQueues: taskQueue }),
        stopped,
      ]).catch(failed);
      if (typeof worker === 'string') process.exit(0);
      const running = worker.run();
      logger.info({ catalog: address, taskQueues: worker.taskQueues }, 'the worker is polling');
      // `up` waits for this.
      process.send?.('ready');
      void stopped.then((signal) => {
        logger.info({ signal }, 'stopping');
        worker.shutdown();
      });
      await running.catch(failed);
      await tracing?.close();
      // An abandoned activity must not delay the exit.
      process.exit(0);
    });
}
