import { resolve } from 'node:path';
import type { Command } from 'commander';
import { plural } from '../../text.ts';
import { ExitCode } from '../io/errors.ts';
import { standardOutput } from '../io/output.ts';
import { untilStopped } from '../io/signals.ts';
import { copyProgress } from './copy-progress.ts';
import { databaseFileOf, databaseOption } from './database-option.ts';
import { summaryText } from './summary-text.ts';

const HELP = `
Stop the catalog service (or \`reconciler up\`) first. FILE is checked before
anything is changed; the database that it replaces is kept beside it. When the
service starts again, it repairs the schedules in Temporal, and the first
complete job of each connector verifies all its tables, like --full.

With --new-identity, the restored catalog is a copy that can exist beside the
original: it changes none of the original's schedules. Give it a Temporal
namespace of its own, where its connectors get schedules too.

Examples:
  $ reconciler restore /backups/catalog.db
  $ reconciler restore /backups/catalog.db --new-identity \\
      --database /tmp/copy/catalog.db`;

export function define(command: Command): void {
  command
    .description("Replaces the catalog's database by a backup that `reconciler backup` wrote.")
    .argument('<file>', 'the backup')
    .addOption(databaseOption())
    .option('--new-identity', 'make it another catalog, beside the one that was backed up')
    .addHelpText('after', HELP)
    .action(async (file: string, options: { database?: string; newIdentity?: boolean }) => {
      const { restoreDatabase } = await import('../../catalog/store/backup/restore-database.ts');
      const out = standardOutput(command.optsWithGlobals<{ json?: boolean }>().json === true);
      const databaseFile = databaseFileOf(options);
      const { signal, dispose } = untilStopped();
      const { end, ...progress } = copyProgress(process.stderr);
      const newIdentity = options.newIdentity === true;
      const restored = await restoreDatabase({ file: resolve(file), databaseFile, newIdentity, signal, ...progress })
        .catch((error) => {
          throw signal.aborted ? new ExitCode(130) : error;
        })
        .finally(() => {
          end();
          dispose();
        });
      const { replaced, ...summary } = restored;
      const result = { file: resolve(file), database: databaseFile, ...restored };
      await out.message({ toJSON: (message) => message }, result, () => [
        `restored ${resolve(file)} to ${databaseFile}`,
        summaryText(summary),
        ...(replaced === undefined ? [] : [`the database before is ${replaced}; delete it when you no longer need it`]),
        ...(newIdentity ? [`the catalog has a new identity, ${restored.catalogId}`] : []),
        `now start the catalog service; the first job of ${connectors(restored.connectors)} verifies all its tables`,
      ]);
    });
}

const connectors = (count: number) => (count === 1 ? 'its connector' : `each of ${plural(count, 'connector')}`);
