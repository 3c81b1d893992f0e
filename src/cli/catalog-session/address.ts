import type { Command } from 'commander';
import { catalogAddressProblem, normalAddress, readConfig } from '../../config.ts';
import type { TemporalUi } from '../../contract/workflow-link.ts';
import { readRunningStack, uiOfStack } from '../../stack/stack-file.ts';
import { temporalNamespace } from '../../temporal/settings.ts';
import { UsageError } from '../io/errors.ts';

/** Where the catalog service listens, and where the Temporal UI shows its jobs, if that is known. */
export interface Endpoint {
  address: string;
  temporalUi?: TemporalUi;
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
  if (config.temporalUi) return { address, temporalUi: uiOfSettings(config.temporalUi) };
  return { address, temporalUi: stack?.address === address ? uiOfStack(stack) : undefined };
}

/** Undefined, so that no link is shown, if Temporal's settings cannot be read: then nothing is known about the namespace. */
function uiOfSettings(base: string): TemporalUi | undefined {
  try {
    return { base, namespace: temporalNamespace() };
  } catch {
    return undefined;
  }
}

/** The value of `--address`, if it was given. */
export function addressOption(command: Command): string | undefined {
  const { address } = command.optsWithGlobals<{ address?: string }>();
  if (address === undefined) return undefined;
  const problem = catalogAddressProblem(address);
  if (problem !== undefined) throw new UsageError(`--address '${address}' ${problem}`);
  return normalAddress(address);
}
