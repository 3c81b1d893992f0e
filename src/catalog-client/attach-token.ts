import type { CallOptions, ClientMiddlewareCall } from 'nice-grpc';
import { ClientError, Metadata, Status } from 'nice-grpc';
import { hostPortOf } from '../config.ts';
import { CodedError } from '../errors.ts';
import { isThisMachine } from '../policy/this-machine.ts';
import { rememberIssuedSecret } from '../secrets.ts';
import type { CatalogAccess } from './access.ts';
import { TokenError } from './token-error.ts';

/** Health checks need no token. */
const HEALTH = '/grpc.health.v1.Health/';

/**
 * Client middleware: sends the access's token. If the catalog service refuses it, the source is read again, and the call is repeated once if
 * there is another token: workers outlive their tokens. A call that streams its request cannot be repeated; it fails with UNAVAILABLE then.
 *
 * @throws CodedError FAILED_PRECONDITION instead of sending a token without TLS beyond this machine
 */
export function attachToken(
  { token: tokenOf, insecurePlaintext = false }: CatalogAccess,
  address: string,
  isTls: boolean,
) {
  const mayBeSent = isTls || insecurePlaintext || isThisMachine(`http://${hostPortOf(address)}`);

  async function read(path: string, refused?: string): Promise<string | undefined> {
    try {
      const token = await tokenOf?.(refused);
      // Each time, so that other secrets do not push it out.
      if (token !== undefined) rememberIssuedSecret(token);
      return token;
    } catch (error) {
      throw error instanceof CodedError ? new TokenError(path, Status.UNAUTHENTICATED, error.message) : error;
    }
  }

  return async function* attach<Request, Response>(
    call: ClientMiddlewareCall<Request, Response>,
    options: CallOptions,
    // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
  ): AsyncGenerator<Response, Response | void, undefined> {
    const { path } = call.method;
    const token = path.startsWith(HEALTH) ? undefined : await read(path);
    if (token === undefined) return yield* call.next(call.request, options);
    if (!mayBeSent) throw withoutTls(address);
    try {
      return yield* call.next(call.request, withBearer(options, token));
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== Status.UNAUTHENTICATED) throw error;
      const other = await read(path, token);
      if (other === undefined || other === token) throw error;
      if (call.requestStream) throw new ClientError(path, Status.UNAVAILABLE, 'the token was renewed during the call');
      // The service checks the token before it answers, so nothing of a stream has been received.
      return yield* call.next(call.request, withBearer(options, other));
    }
  };
}

function withBearer(options: CallOptions, token: string): CallOptions {
  return { ...options, metadata: Metadata(options.metadata).set('authorization', `Bearer ${token}`) };
}

function withoutTls(address: string): CodedError {
  return new CodedError(
    'FAILED_PRECONDITION',
    `the token is not sent to ${address} without TLS: give the address as https://${address}. If the network between encrypts by itself, ` +
      'as a service mesh does, set RECONCILER_INSECURE_PLAINTEXT=1',
  );
}
