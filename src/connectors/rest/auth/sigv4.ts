import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { CodedError } from '../../../errors.ts';
import type { AwsCredentialProvider, AwsCredentials } from '../../../storage/aws/credentials.ts';
import type { Authenticator, OutgoingRequest } from './authenticator.ts';

export interface SigV4Options {
  /** The service's name in the signature, such as `glue`, `s3tables` or `execute-api`. */
  service: string;
  region: string;
  credentials: (() => Promise<AwsCredentials>) & Partial<Pick<AwsCredentialProvider, 'renew'>>;
  /** Authenticates first. Its `Authorization` header is then renamed to `Original-Authorization`, as in Iceberg's clients. */
  delegate?: Authenticator;
}

/**
 * Signs requests with AWS Signature Version 4.
 *
 * @throws CodedError `UNAUTHENTICATED`, when a request is authenticated, if there are no valid AWS credentials
 */
export function sigV4({ service, region, credentials, delegate }: SigV4Options): Authenticator {
  const signedWith = new WeakMap<OutgoingRequest, AwsCredentials>();
  const fixed = { service, region, sha256: Sha256, applyChecksum: true };
  const sign = async (request: OutgoingRequest): Promise<OutgoingRequest> => {
    const { protocol, hostname, port, host } = new URL(request.url);
    const at = request.url.indexOf(host) + host.length;
    const [path = '/', query = ''] = request.url.slice(at).split(/\?(.*)/s);
    const { authorization, ...headers } = request.headers;
    try {
      const used = await credentials();
      const signed = await new SignatureV4({ ...fixed, credentials: used }).sign({
        method: request.method,
        protocol,
        hostname,
        port: port === '' ? undefined : Number(port),
        path: path === '' ? '/' : path,
        query: queryOf(query),
        headers: { ...headers, host, ...(authorization !== undefined && { 'original-authorization': authorization }) },
        body: request.body,
      });
      const sent = { ...request, headers: lowerCased(signed.headers) };
      signedWith.set(sent, used);
      return sent;
    } catch (error) {
      if (error instanceof CodedError) throw error;
      throw new CodedError(
        'UNAUTHENTICATED',
        `${request.url} cannot be signed (SigV4): ${(error as Error).message}. Check the AWS credentials of the connector or the worker.`,
        { cause: error },
      );
    }
  };
  return {
    authenticate: async (request) => sign(delegate ? await delegate.authenticate(request) : request),
    renew: async (rejected, status) => {
      const used = signedWith.get(rejected);
      if (used !== undefined && (await credentials.renew?.(used))) return true;
      // The delegate's header was renamed, so it is restored first.
      const authorization = rejected.headers['original-authorization'] ?? '';
      return (
        (await delegate?.renew?.({ ...rejected, headers: { ...rejected.headers, authorization } }, status)) ?? false
      );
    },
  };
}

function queryOf(query: string): Record<string, string | string[]> {
  const values: Record<string, string[]> = {};
  for (const [name, value] of new URLSearchParams(query)) values[name] = [...(values[name] ?? []), value];
  return values;
}

function lowerCased(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
