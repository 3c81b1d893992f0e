#!/usr/bin/env node
// Runs the command line from a checkout; first installs and builds what is missing. Plain JavaScript without dependencies.
import module from 'node:module';
import { BootstrapError, ensureReady } from '../scripts/bootstrap.js';

try {
  await ensureReady();
} catch (error) {
  if (!(error instanceof BootstrapError)) throw error;
  console.error(`error: ${error.message}`);
  process.exit(1);
}
// Node 22 and newer cache the compiled code for the next start.
module.enableCompileCache?.();
const { main } = await import('../dist/cli/main.js');
process.exitCode = await main(process.argv.slice(2));
