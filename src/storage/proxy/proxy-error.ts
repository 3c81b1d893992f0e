import { CodedError } from '../../errors.ts';
import type { ForwardProxy } from './proxy.ts';

const NO_CONNECTION = /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ETIMEDOUT)$/;

/** The proxy did not connect to the server, so that there is no response of that one. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  /** An error code of the operating system if another attempt may succeed; the AWS SDK retries these. */
  readonly code: string;
  readonly isTransient: boolean;

  private constructor(message: string, code: string, isTransient: boolean, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.isTransient = isTransient;
  }

  /** The error of a request that the proxy forwards: a `ProxyError` if there was no connection to the proxy, otherwise the error itself. */
  static ofForwarded(proxy: ForwardProxy, error: unknown): unknown {
    return NO_CONNECTION.test((error as NodeJS.ErrnoException).code ?? '')
      ? ProxyError.unreachable(proxy, error)
      : error;
  }

  /** The connection to the proxy failed. */
  static unreachable({ origin }: ForwardProxy, cause: unknown): ProxyError {
    const { code } = cause as NodeJS.ErrnoException;
    return new ProxyError(
      `the proxy ${origin} cannot be reached (${code ?? (cause as Error).message})`,
      code ?? 'ECONNRESET',
      true,
      cause,
    );
  }

  /** The proxy responded to CONNECT with a status other than 200. */
  static refused({ origin, authorization }: ForwardProxy, target: string, status: number): ProxyError {
    const advice = status === 407 ? `, ${credentialsAdvice(authorization !== undefined)}` : '';
    const isTransient = status >= 500 || status === 429;
    const message = `the proxy ${origin} did not connect to ${target}: it responded with ${status}${advice}`;
    return new ProxyError(message, isTransient ? 'ECONNREFUSED' : 'ERR_PROXY', isTransient);
  }
}

/** @param failed start of the message */
export function proxyFailure(failed: string, error: ProxyError): CodedError {
  const code = error.isTransient ? 'UNAVAILABLE' : 'FAILED_PRECONDITION';
  return new CodedError(code, `${failed}: ${error.message}. Check the proxy and its settings.`, { cause: error });
}

/** What to do after a response 407 (RFC 9110, section 15.5.8). */
export function credentialsAdvice(sent = false): string {
  return (
    `as it ${sent ? 'requires other credentials' : 'requires credentials'}: set the connector's properties rest.client.proxy.username and ` +
    "rest.client.proxy.password, or user and password in the worker's HTTP_PROXY and HTTPS_PROXY"
  );
}
