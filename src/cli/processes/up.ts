import { resolve } from 'node:path';
import type { Command } from 'commander';
import { DEFAULT_ADDRESS, readConfig } from '../../config.ts';
import type { Stack } from '../../stack/stack.ts';
import { shellWord } from '../../text.ts';
import { port } from '../io/options.ts';
import { untilStopped } from '../io/signals.ts';

const HELP = `
Everything is kept in the data directory: both databases, the logs of the
three processes, stack.json, which contains their addresses, and the token that
the command line sends to the catalog service. Only you can read it. A process
that dies is restarted. Ctrl-C or SIGTERM stops them in order.

A port that you name must be free; otherwise the exit code is 2. A default
port that is in use is replaced by a free one.

Examples:
  $ reconciler up
  $ reconciler up --data-dir /var/lib/reconciler --port 7460 --ui-port 8233`;

export interface UpOptions {
  dataDir?: string;
  port?: number;
  uiPort?: number;
}

export function define(command: Command): void {
  command
    .option('--data-dir <folder>', 'data directory (default: RECONCILER_DATA_DIR, otherwise ./.reconciler)')
    .option('--port <port>', 'port of the catalog service (default: 7460, or a free one)', port)
    .option('--ui-port <port>', 'port of the Temporal UI (default: 8233, or a free one)', port)
    .addHelpText('after', HELP)
    .action(async (options: UpOptions) => {
      const { stopped, signal } = untilStopped();
      const stack = await startFor(options, signal).catch((error) => {
        if (!signal.aborted) throw error;
      });
      if (!stack) return;
      console.log(describe(stack));
      console.log('ready; Ctrl-C stops everything');
      await stopped;
      console.error('stopping');
      await stack.stop();
    });
}

/** Starts the stack with the settings of a command line. */
export async function startFor({ dataDir, port, uiPort }: UpOptions, signal: AbortSignal): Promise<Stack> {
  const { startStack } = await import('../../stack/stack.ts');
  const config = readConfig();
  return startStack({
    dataDir: resolve(dataDir ?? config.dataDir),
    port,
    uiPort,
    cacheDir: config.cacheDir,
    temporalCli: config.temporalCli,
    signal,
    log: (line) => console.error(`reconciler: ${line}`),
  });
}

function describe(stack: Stack): string {
  const { catalog, worker } = stack.observed;
  const lines = [
    `catalog service  ${stack.address} (gRPC, with health and reflection)`,
    `Temporal         ${stack.temporalAddress}`,
    `Temporal UI      ${stack.uiUrl}`,
    `data and logs    ${stack.dataDir}`,
    `metrics          http://${catalog.metrics}/metrics (catalog)`,
    `                 http://${worker.metrics}/metrics (worker)`,
    `health           http://${catalog.health}/readyz (catalog)`,
    `                 http://${worker.health}/readyz (worker)`,
  ];
  if (stack.node.command !== process.execPath)
    lines.push(`Node ${stack.node.version.padEnd(11)} ${stack.node.command} (catalog and worker)`);
  if (!stack.temporalAddress.endsWith(':7233'))
    lines.push(`for temporal     export TEMPORAL_ADDRESS=${stack.temporalAddress}`);
  // It leads to the address and to the token.
  if (stack.address !== DEFAULT_ADDRESS || stack.dataDir !== resolve('.reconciler'))
    lines.push(`for reconciler   export RECONCILER_DATA_DIR=${shellWord(stack.dataDir)}`);
  return lines.join('\n');
}
