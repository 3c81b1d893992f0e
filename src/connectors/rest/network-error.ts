import { CodedError } from '../../errors.ts';
import { ProxyError, proxyFailure } from '../../storage/proxy/proxy-error.ts';
import type { NoResponseError } from './http-exchange.ts';

const UNTRUSTED = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** Codes with which Node refuses the value of a header or a path. */
const UNSENDABLE = /^ERR_(HTTP_)?(INVALID|UNESCAPED)/;

/** Whether a retry may succeed; not for an untrusted certificate or a server that does not speak HTTP. */
export function isTransient({ code, cause }: NoResponseError): boolean {
  if (cause instanceof ProxyError) return cause.isTransient;
  return !UNTRUSTED.has(code) && !UNSENDABLE.test(code) && !/^(HPE_|EPROTO|ERR_SSL|Z_)/.test(code);
}

/** Converts a failed request to an error that states which part of the address is wrong. */
export function networkError(action: string, url: string, error: NoResponseError): CodedError {
  const { origin, hostname, protocol } = new URL(url);
  const { code } = error;
  if (error.cause instanceof ProxyError) return proxyFailure(action, error.cause);
  const withCode = (name: 'UNAVAILABLE' | 'FAILED_PRECONDITION' | 'INVALID_ARGUMENT', message: string) =>
    new CodedError(name, message, { cause: error });
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return withCode('UNAVAILABLE', `the host ${hostname} cannot be resolved (${code}). Check the URI ${origin}.`);
  }
  if (code === 'ECONNREFUSED' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH' || code === 'ETIMEDOUT') {
    return withCode(
      'UNAVAILABLE',
      `no server responds at ${origin}: ${code}. Check the URI, and that the catalog runs.`,
    );
  }
  if (UNTRUSTED.has(code)) {
    return withCode(
      'FAILED_PRECONDITION',
      `the certificate of ${origin} is not trusted: ${code}. If your own authority has issued it, set NODE_EXTRA_CA_CERTS of the worker to that authority's certificate.`,
    );
  }
  if (/^HPE_/.test(code)) {
    const tls = protocol === 'http:' ? ' Should the URI begin with https:?' : '';
    return withCode(
      'FAILED_PRECONDITION',
      `the server at ${origin} does not speak HTTP (${code}).${tls} Check the URI.`,
    );
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) {
    return withCode(
      'FAILED_PRECONDITION',
      `the server at ${origin} does not speak TLS (${code}). Should the URI begin with http:? Check the URI.`,
    );
  }
  if (code.startsWith('Z_')) {
    return withCode('FAILED_PRECONDITION', `the response to ${action} cannot be decompressed (${code}).`);
  }
  if (UNSENDABLE.test(code)) {
    return withCode(
      'INVALID_ARGUMENT',
      `${action} cannot be sent: a header or the path has characters that HTTP does not allow (${code}). Check whether the connector's secret contains a line break.`,
    );
  }
  return withCode('UNAVAILABLE', `${action} failed before the response was complete: ${code}.`);
}
