import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { CodedError } from '../../errors.ts';
import type { Usage } from '../usage.ts';
import { TruncatedBodyError } from './read-body.ts';

/** Limit for the body of an error. */
const MAX_ERROR_BYTES = 64 * 1024;
/** Maximum time for the body of a response that is not an object, even if bytes keep arriving. */
const MAX_TEXT_MS = 120_000;

/** A response that reports an error. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The beginning of the body. */
  readonly body: string;

  constructor(status: number, headers: IncomingHttpHeaders, body: string) {
    super(`status ${status}`);
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}

/**
 * The response's body as UTF-8.
 *
 * @throws TruncatedBodyError, an error named TimeoutError, or that of the stream; CodedError `FAILED_PRECONDITION` if it has more bytes
 */
export async function textOf(response: IncomingMessage, maxBytes: number, usage?: Usage): Promise<string> {
  const { text, isWhole } = await beginningOf(response, maxBytes, usage);
  if (isWhole) return text;
  throw new CodedError('FAILED_PRECONDITION', `the response has more than ${maxBytes} bytes`);
}

/** Makes an error of a response. If its body cannot be read, it is that of the status alone. */
export async function statusError(response: IncomingMessage, usage?: Usage): Promise<StatusError> {
  const body = await beginningOf(response, MAX_ERROR_BYTES, usage).catch(() => ({ text: '' }));
  return new StatusError(response.statusCode ?? 0, response.headers, body.text);
}

async function beginningOf(
  response: IncomingMessage,
  maxBytes: number,
  usage?: Usage,
): Promise<{ text: string; isWhole: boolean }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const until = performance.now() + MAX_TEXT_MS;
  const beginning = () => Buffer.concat(chunks).toString('utf8', 0, maxBytes);
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (usage !== undefined) usage.bytes += chunk.length;
    chunks.push(chunk);
    bytes += chunk.length;
    // Leaving the loop destroys the stream.
    if (bytes > maxBytes) return { text: beginning(), isWhole: false };
    if (performance.now() > until) {
      const message = `received ${bytes} bytes in ${MAX_TEXT_MS / 1000} s, and not the end`;
      throw Object.assign(new Error(message), { name: 'TimeoutError' });
    }
  }
  if (!response.complete) throw new TruncatedBodyError(`received ${bytes} bytes, and not the end`);
  return { text: beginning(), isWhole: true };
}
