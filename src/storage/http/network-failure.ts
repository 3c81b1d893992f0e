import { CodedError, type CodeName } from '../../errors.ts';
import { ProxyError, proxyFailure } from '../proxy/proxy-error.ts';

const NETWORK =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|EHOSTUNREACH|ENETUNREACH|ENETDOWN|ENOTFOUND|EAI_AGAIN|ECONNABORTED|ERR_STREAM_PREMATURE_CLOSE)$/;
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS/;

/**
 * The error for a request to which there was no complete response; undefined for other errors.
 *
 * @param failed start of the message: `cannot read s3://bucket/key`
 * @param where the endpoint or the service
 */
export function networkFailure(error: unknown, failed: string, where: string): CodedError | undefined {
  const { name = '', code = '', message = '' } = error as NodeJS.ErrnoException;
  const coded = (codeName: CodeName, text: string) => new CodedError(codeName, `${failed}: ${text}`, { cause: error });
  if (error instanceof ProxyError) return proxyFailure(failed, error);
  if (name === 'TimeoutError' || name === 'AbortError' || code === 'ETIMEDOUT') {
    return coded('DEADLINE_EXCEEDED', `${where} did not respond in time (${message ? `${name}: ${message}` : code})`);
  }
  if (NETWORK.test(code) || message === 'aborted') {
    return coded(
      'UNAVAILABLE',
      `${where} cannot be reached, or the connection broke (${code || message}). Check the endpoint and the network`,
    );
  }
  if (CERTIFICATE.test(code)) {
    return coded(
      'FAILED_PRECONDITION',
      `the certificate of ${where} is not trusted (${code}): add its CA with NODE_EXTRA_CA_CERTS`,
    );
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) {
    return coded(
      'FAILED_PRECONDITION',
      `the TLS handshake with ${where} failed: should the endpoint be http:// instead of https://?`,
    );
  }
  return undefined;
}
