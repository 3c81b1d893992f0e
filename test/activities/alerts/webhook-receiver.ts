import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export type Answer = (response: ServerResponse) => void;

/** Receives webhooks by real HTTP. */
export class WebhookReceiver implements AsyncDisposable {
  readonly received: Received[] = [];
  /** For the next requests, in their order. */
  readonly answers: Answer[] = [];
  /** For all requests after those. */
  otherwise: Answer = (response) => response.end('thanks');
  readonly #server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { url: path = '', headers } = request;
    this.received.push({ path, headers, body: Buffer.concat(chunks).toString() });
    const answer = this.answers.shift() ?? this.otherwise;
    answer(response);
  });

  static async start(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver();
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    return receiver;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export const answering =
  (status: number, headers: Record<string, string> = {}, body = 'no'): Answer =>
  (response) =>
    response.writeHead(status, headers).end(body);

/** The message, verified by the reference implementation of Standard Webhooks. @throws if the signature does not match */
export function verified({ body, headers }: Received, secret: string): unknown {
  return new Webhook(secret).verify(body, headers as Record<string, string>);
}
