import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { failureOf, runCommand } from '../../../src/stack/run-command.ts';
import { installIcebergRest } from '../servers/iceberg-rest.ts';
import { findJava } from '../servers/java.ts';

const SOURCES = fileURLToPath(new URL('java', import.meta.url));

/** Seeds from `first` to `last`. */
export interface Seeds {
  first: number;
  last: number;
}

/**
 * Compiles the generator in `java/` and runs it with the Iceberg of the REST server.
 *
 * @param folder gets the tables: see RandomTables.java
 * @returns how often Iceberg applied and refused each operation, one per line
 */
export async function makeRandomTables(folder: string, { first, last }: Seeds): Promise<string> {
  const jars = join(await installIcebergRest(), '*');
  const java = findJava({ min: 17, max: 23 });
  const classes = mkdtempSync(join(tmpdir(), 'random-tables-classes-'));
  try {
    const sources = readdirSync(SOURCES).map((name) => join(SOURCES, name));
    await run(join(dirname(java), 'javac'), ['-encoding', 'UTF-8', '-cp', jars, '-d', classes, ...sources], 120_000);
    return await run(
      java,
      [
        ...['-Xmx512m', '-XX:+UseSerialGC', '-Dfile.encoding=UTF-8', '-Dsun.jnu.encoding=UTF-8'],
        // Iceberg's pools wait 10 ms for each small task.
        '-Diceberg.scan.plan-in-worker-pool=false',
        '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
        ...['-cp', `${classes}:${jars}`, 'RandomTables', folder, String(first), String(last)],
      ],
      120_000 + (last - first + 1) * 20_000,
    );
  } finally {
    rmSync(classes, { recursive: true, force: true });
  }
}

async function run(command: string, args: string[], timeoutMs: number): Promise<string> {
  // Paths of tables are not ASCII.
  const result = await runCommand(command, args, { timeoutMs, env: { ...process.env, LC_ALL: 'C.UTF-8' } });
  if (result.code !== 0) throw new Error(`${command} failed: ${failureOf(result)}\n${result.stderr}`);
  return result.stdout;
}
