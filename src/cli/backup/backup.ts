import { resolve } from 'node:path';
import type { Command } from 'commander';
import { shellWord } from '../../text.ts';
import { asTyped } from '../io/as-typed.ts';
import { ExitCode } from '../io/errors.ts';
import { standardOutput } from '../io/output.ts';
import { untilStopped } from '../io/signals.ts';
import { copyProgress } from './copy-progress.ts';
import { databaseFileOf, databaseOption } from './database-option.ts';
import { summaryText } from './summary-text.ts';

const HELP = `
Run it on the machine of the catalog service, which goes on working. FILE has
the state of one moment, is checked before it gets its name, and is readable
only by its owner. A plain copy of catalog.db is not a backup: it lacks what the
write-ahead log has, and mixes states.

Examples:
  $ reconciler backup /backups/catalog.db --force
  $ reconciler backup "/backups/catalog-$(date +%F).db"
  $ reconciler backup /backups/catalog.db \\
      --database /var/lib/reconciler/catalog.db`;

export function define(command: Command): void {
  command
    .description("Writes a checked copy of the catalog's database to FILE, also while a service uses it.")
    .argument('<file>', 'the backup to write')
    .addOption(databaseOption())
    .option('--force', 'replace FILE if it exists')
    .addHelpText('after', HELP)
    .action(async (file: string, options: { database?: string; force?: boolean }) => {
      const { backUp } = await import('../../catalog/store/backup/back-up.ts');
      const out = standardOutput(command.optsWithGlobals<{ json?: boolean }>().json === true);
      const databaseFile = databaseFileOf(options);
      const { signal, dispose } = untilStopped();
      const { end, ...progress } = copyProgress(process.stderr);
      const target = resolve(file);
      const backup = await backUp({
        databaseFile,
        file: target,
        overwrite: options.force === true,
        signal,
        ...progress,
      })
        .catch((error) => {
          throw signal.aborted ? new ExitCode(130) : error;
        })
        .finally(() => {
          end();
          dispose();
        });
      const result = { file: target, database: databaseFile, ...backup };
      await out.message({ toJSON: (message) => message }, result, () => [
        `backed up ${databaseFile} to ${target}`,
        `${summaryText(backup)}; checked`,
        asTyped(
          `to restore it: stop the catalog service, and run \`reconciler restore ${shellWord(target)}${databaseHint(options)}\``,
        ),
      ]);
    });
}

const databaseHint = ({ database }: { database?: string }) =>
  database === undefined ? '' : ` --database ${shellWord(database)}`;
