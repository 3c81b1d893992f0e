import type { Command } from 'commander';
import { ClientError, type Metadata } from 'nice-grpc';
import { type CatalogClients, connectCatalog } from '../../catalog-client/connect.ts';
import { warningsIn } from '../../catalog-client/warnings.ts';
import type { TemporalUi } from '../../contract/workflow-link.ts';
import { CodedError } from '../../errors.ts';
import { startTracing } from '../../telemetry/tracing/tracing.ts';
import { CallError } from '../io/errors.ts';
import { type Output, standardOutput } from '../io/output.ts';
import { accessOf } from './access.ts';
import { endpointOf } from './address.ts';

/** What a command that calls the catalog service works with. */
export interface Context {
  clients: CatalogClients;
  /** Address of the catalog service. */
  address: string;
  /** For links into the Temporal UI, if it is known. */
  temporalUi?: TemporalUi;
  /** Where the token is from, if there is one. */
  tokenSource?: string;
  out: Output;
}

/** How long the CLI waits for a server that has accepted the call but does not answer. */
const ANSWER_TIMEOUT_MS = 120_000;

/**
 * Wraps a command's action: connects, calls it with the context, the command's arguments and its options, and always
 * closes the connection.
 */
export function withCatalog<Args extends unknown[]>(action: (context: Context, ...args: Args) => Promise<void>) {
  return async (...args: unknown[]): Promise<void> => {
    const command = args.at(-1) as Command;
    const { json } = command.optsWithGlobals<{ json?: boolean }>();
    const { address, temporalUi } = endpointOf(command);
    const access = accessOf(command, address);
    const tracing = await startTracing('reconciler-cli');
    const clients = connectCatalog(address, access);
    try {
      await action(
        { clients, address, temporalUi, tokenSource: access.tokenSource, out: standardOutput(json === true) },
        ...(args.slice(0, -1) as Args),
      );
    } catch (error) {
      throw error instanceof ClientError ? new CallError(error, address, access.tokenSource) : error;
    } finally {
      clients.close();
      await tracing?.close();
    }
  };
}

/** Options of one call whose warnings are printed. */
export function withWarnings(out: Output) {
  const onTrailer = (trailer: Metadata) => {
    for (const warning of warningsIn(trailer)) out.warn(warning);
  };
  return { ...withDeadline(), onTrailer };
}

/** Options of one call: it fails with UNAVAILABLE if the server does not answer in time. */
export function withDeadline(): { signal: AbortSignal } {
  const reason = new CodedError(
    'UNAVAILABLE',
    `the catalog service did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`,
  );
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), ANSWER_TIMEOUT_MS).unref();
  return { signal: controller.signal };
}
