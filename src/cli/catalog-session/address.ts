import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { readRunningStack } from '../../stack/stack-file.ts';
import { UsageError } from '../io/errors.ts';

/** Where the catalog service listens, and the Temporal UI if it is known. */
export interface Endpoint {
  address: string;
  temporalUi?: string;
}

/**
 * The first of these that is set: `--address`, RECONCILER_ADDRESS, the address of the stack that runs in the data directory
 * (its port may differ from the default), the default address.
 */
export function endpointOf(command: Command): Endpoint {
  const config = readConfig();
  const option = addressOption(command);
  const stack = readRunningStack(config.dataDir);
  const address = option ?? (process.env.RECONCILER_ADDRESS ? config.address : (stack?.address ?? config.address));
  return { address, temporalUi: config.temporalUi ?? (stack?.address === address ? stack.uiUrl : undefined) };
}

/** The value of `--address`, if it was given. */
export function addressOption(command: Command): string | undefined {
  const { address } = command.optsWithGlobals<{ address?: string }>();
  if (address !== undefined && !/^[^\s/]+:\d{1,5}$/.test(address))
    throw new UsageError(`--address ${address} is not host:port`);
  return address;
}
