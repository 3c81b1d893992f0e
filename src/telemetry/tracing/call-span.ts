import { Status } from 'nice-grpc-common';
import { methodName } from './grpc-method.ts';
import type { Carrier, OpenSpan } from './spans.ts';
import { currentTracing, inThisScope } from './tracing.ts';

/**
 * Runs a gRPC call within a span, as an async generator (the form of nice-grpc's middlewares). Every step of the call runs within the
 * span, which ends when the call ends or its reader stops reading.
 *
 * @param path such as `/reconciler.v1.Connectors/GetConnector`
 * @param parent the caller's span; undefined to continue the current trace
 * @param begin starts the call; its argument continues the trace in another process
 */
export async function* callSpan<Message, Last>(
  path: string,
  kind: 'client' | 'server',
  parent: Carrier | undefined,
  begin: (carrier: Carrier) => AsyncGenerator<Message, Last, undefined>,
): AsyncGenerator<Message, Last, undefined> {
  const tracing = currentTracing();
  if (tracing === undefined) return yield* begin({});
  const name = methodName(path);
  const attributes = { 'rpc.system': 'grpc', 'rpc.method': name };
  const { promise: ended, resolve, reject } = withResolvers();
  const { steps, span } = await new Promise<{ steps: AsyncGenerator<Message, Last, undefined>; span: OpenSpan }>(
    (onOpened) => {
      tracing
        .span({ name, kind, attributes, parent }, (span) => {
          onOpened({ steps: inThisScope(begin(span.carrier)), span });
          return ended;
        })
        .catch(() => {});
    },
  );
  try {
    return yield* steps;
  } catch (error) {
    span.set({ 'rpc.grpc.status_code': (error as { code?: number }).code ?? Status.UNKNOWN });
    reject(error);
    throw error;
  } finally {
    resolve();
  }
}

function withResolvers() {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((...functions) => {
    [resolve, reject] = functions;
  });
  return { promise, resolve, reject };
}
