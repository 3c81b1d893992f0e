/** `npm test`: installs and builds what is missing, then passes its arguments to Jest. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { BootstrapError, ensureReady, root } from './bootstrap.js';

try {
  await ensureReady({ dev: true });
} catch (error) {
  if (!(error instanceof BootstrapError)) throw error;
  console.error(`error: ${error.message}`);
  process.exit(1);
}
const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
const jest = spawn(
  process.execPath,
  [...flags, join(root, 'node_modules/jest/bin/jest.js'), ...process.argv.slice(2)],
  {
    cwd: root,
    stdio: 'inherit',
  },
);
// The terminal sends Ctrl-C to both processes; this one only waits for Jest to end.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => jest.kill('SIGTERM'));
jest.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
