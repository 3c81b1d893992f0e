import { join } from 'node:path';
import { installed, runInstaller } from './cache.ts';

/** Long-term support until April 2028. */
const VERSION = '24.21.0';

/** Path of another Node than the one that runs the tests; installed from npm the first time. */
export async function otherNode(): Promise<string> {
  const name = `node-${process.platform}-${process.arch}`;
  const folder = await installed(`node-${VERSION}`, async (unfinished) => {
    const quiet = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
    await runInstaller('npm', ['install', ...quiet, '--prefix', unfinished, `${name}@${VERSION}`]);
  });
  return join(folder, 'node_modules', name, 'bin', 'node');
}
