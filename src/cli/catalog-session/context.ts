import type { Command } from 'commander';
import { ClientError } from 'nice-grpc';
import { type CatalogClients, connectCatalog } from '../../catalog-client/connect.ts';
import { CodedError } from '../../errors.ts';
import { startTracing } from '../../telemetry/tracing/tracing.ts';
import { CallError } from '../io/errors.ts';
import { type Output, standardOutput } from '../io/output.ts';
import { endpointOf } from './address.ts';

/** What a command that asks the catalog service works with. */
export interface Context {
  clients: CatalogClients;
  /** Of the catalog service. */
  address: string;
  /** Base of links, if known. */
  temporalUi?: string;
  out: Output;
}

/** How long a server may take that has accepted the call and says nothing. */
const PATIENCE_MS = 120_000;

/**
 * Wraps a command's action: connects, calls it with the context, the command's arguments and its options, and closes the
 * connection whatever happens.
 */
export function withCatalog<Args extends unknown[]>(action: (context: Context, ...args: Args) => Promise<void>) {
  return async (...args: unknown[]): Promise<void> => {
    const command = args.at(-1) as Command;
    const { json } = command.optsWithGlobals<{ json?: boolean }>();
    const { address, temporalUi } = endpointOf(command);
    const tracing = await startTracing('reconciler-cli');
    const clients = connectCatalog(address);
    try {
      await action(
        { clients, address, temporalUi, out: standardOutput(json === true) },
        ...(args.slice(0, -1) as Args),
      );
    } catch (error) {
      throw error instanceof ClientError ? new CallError(error, address) : error;
    } finally {
      clients.close();
      await tracing?.close();
    }
  };
}

/** Options of one call: it is given up when the server says nothing for long. */
export function withDeadline(): { signal: AbortSignal } {
  const reason = new CodedError('UNAVAILABLE', `the catalog service did not answer within ${PATIENCE_MS / 1000} s`);
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), PATIENCE_MS).unref();
  return { signal: controller.signal };
}
