import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { readRunningStack } from '../../stack/stack-file.ts';
import { UsageError } from '../io/errors.ts';

/** Where the catalog service is asked for, and the Temporal UI if it is known. */
export interface Endpoint {
  address: string;
  temporalUi?: string;
}

/**
 * `--address`, else RECONCILER_ADDRESS, else the stack that is up in the data directory (its port may be another than the
 * default one), else the default.
 */
export function endpointOf(command: Command): Endpoint {
  const config = readConfig();
  const option = addressOption(command);
  const stack = readRunningStack(config.dataDir);
  const address = option ?? (process.env.RECONCILER_ADDRESS ? config.address : (stack?.address ?? config.address));
  return { address, temporalUi: config.temporalUi ?? (stack?.address === address ? stack.uiUrl : undefined) };
}

/** What was given as `--address`, if anything. */
export function addressOption(command: Command): string | undefined {
  const { address } = command.optsWithGlobals<{ address?: string }>();
  if (address !== undefined && !/^[^\s/]+:\d{1,5}$/.test(address))
    throw new UsageError(`--address ${address} is not host:port`);
  return address;
}
