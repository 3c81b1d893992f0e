import { methodName } from './grpc-method.ts';
import type { Carrier, OpenSpan } from './spans.ts';
import { currentTracing, inThisScope } from './tracing.ts';

/** Of gRPC's status codes. */
const UNKNOWN = 2;

/**
 * A span around a gRPC call, as the generator that middlewares of nice-grpc are: it ends with the call, or when its reader gives it up.
 * Each step of the call runs within the span.
 *
 * @param begin given what carries the trace on
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
    (opened) => {
      tracing
        .span({ name, kind, attributes, parent }, (span) => {
          opened({ steps: inThisScope(begin(span.carrier)), span });
          return ended;
        })
        .catch(() => {});
    },
  );
  try {
    return yield* steps;
  } catch (error) {
    span.set({ 'rpc.grpc.status_code': (error as { code?: number }).code ?? UNKNOWN });
    reject(error);
    throw error;
  } finally {
    resolve();
  }
}

function withResolvers() {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((...both) => {
    [resolve, reject] = both;
  });
  return { promise, resolve, reject };
}
