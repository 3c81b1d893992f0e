import { CodedError } from '../../errors.ts';
import type { NoAnswerError } from './http-exchange.ts';

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

/** Node refuses a header's value or a path. */
const UNSENDABLE = /^ERR_(HTTP_)?(INVALID|UNESCAPED)/;

/** Whether it can be another thing the next time: not so for an untrusted certificate, or what speaks no HTTP. */
export function isTransient({ code }: NoAnswerError): boolean {
  return !UNTRUSTED.has(code) && !UNSENDABLE.test(code) && !/^(HPE_|EPROTO|ERR_SSL|Z_)/.test(code);
}

/** As a person wants to know it: which part of the address is wrong. */
export function networkError(action: string, url: string, error: NoAnswerError): CodedError {
  const { origin, hostname, protocol } = new URL(url);
  const { code } = error;
  const because = (name: 'UNAVAILABLE' | 'FAILED_PRECONDITION' | 'INVALID_ARGUMENT', message: string) =>
    new CodedError(name, message, { cause: error });
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return because('UNAVAILABLE', `no address is found for the host ${hostname} (${code}). Check the URI ${origin}.`);
  }
  if (code === 'ECONNREFUSED' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH' || code === 'ETIMEDOUT') {
    return because('UNAVAILABLE', `nothing answers at ${origin}: ${code}. Check the URI, and that the catalog runs.`);
  }
  if (UNTRUSTED.has(code)) {
    return because(
      'FAILED_PRECONDITION',
      `the certificate of ${origin} is not trusted: ${code}. If it is of your own authority, name that in NODE_EXTRA_CA_CERTS of the worker.`,
    );
  }
  if (/^HPE_/.test(code)) {
    const tls = protocol === 'http:' ? ' Is it https:?' : '';
    return because(
      'FAILED_PRECONDITION',
      `what answers at ${origin} does not speak HTTP (${code}).${tls} Check the URI.`,
    );
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) {
    return because(
      'FAILED_PRECONDITION',
      `what answers at ${origin} does not speak TLS (${code}). Is it http:? Check the URI.`,
    );
  }
  if (code.startsWith('Z_')) {
    return because('FAILED_PRECONDITION', `the answer to ${action} cannot be unpacked (${code}).`);
  }
  if (UNSENDABLE.test(code)) {
    return because(
      'INVALID_ARGUMENT',
      `${action} cannot be sent: a header or the path has characters that HTTP does not allow (${code}). Check the connector's secret for a line break in it.`,
    );
  }
  return because('UNAVAILABLE', `${action} broke off without a whole answer: ${code}.`);
}
