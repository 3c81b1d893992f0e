import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { INGEST_TASK_QUEUE, TASK_QUEUE } from '../../contract/names.ts';
import { startTracing } from '../../telemetry/tracing/tracing.ts';
import { addressOption } from '../catalog-session/address.ts';
import { UsageError } from '../io/errors.ts';
import { each } from '../io/options.ts';
import { untilStopped } from '../io/signals.ts';

const HELP = `
Workers are stateless: start as many as you like, on any machine. They find Temporal by the standard TEMPORAL_* variables and
profiles, the catalog service by RECONCILER_ADDRESS, and resolve the secrets that connectors refer to.

Every worker runs workflows. A connector with a task queue of its own is read by the workers that were given its name here alone.

Examples:
  $ reconciler worker
  $ reconciler worker --task-queue eu-west-1
  $ reconciler worker --task-queue reconciler-ingest --task-queue eu-west-1
  $ TEMPORAL_ADDRESS=temporal.internal:7233 RECONCILER_ADDRESS=catalog.internal:7460 reconciler worker`;

export function define(command: Command): void {
  command
    .option('--task-queue <name>', `ingests of this queue instead of ${INGEST_TASK_QUEUE}; repeatable`, each)
    .addHelpText('after', HELP)
    .action(async ({ taskQueue }: { taskQueue?: string[] }) => {
      if (taskQueue?.includes(TASK_QUEUE)) {
        throw new UsageError(`--task-queue ${TASK_QUEUE} is the queue of workflows, which every worker serves`);
      }
      const { stopped } = untilStopped();
      // Else V8 may decide, when a scan's first batches outlive its nursery, to make all that follow among the old objects: 100 MiB more.
      setFlagsFromString('--no-allocation-site-pretenuring');
      const config = readConfig();
      const address = addressOption(command) ?? config.address;
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
      // A signal that comes while it connects ends it then.
      const worker = await Promise.race([
        startWorker({ config: { ...config, address }, logger, ingestQueues: taskQueue }),
        stopped,
      ]).catch(failed);
      if (typeof worker === 'string') process.exit(0);
      const running = worker.run();
      logger.info({ address }, 'the worker polls');
      // `up` waits for this.
      process.send?.('ready');
      void stopped.then((signal) => {
        logger.info({ signal }, 'stopping');
        worker.shutdown();
      });
      await running.catch(failed);
      await tracing?.close();
      // Nothing of an activity that was given up may hold up the end.
      process.exit(0);
    });
}
