import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GetDatabasesCommand, GlueClient } from '@aws-sdk/client-glue';
import { afterEach, expect, it } from '@jest/globals';
import { awsRequestHandler, type CallOptions } from '../../../src/storage/aws/request-handler.ts';
import type { Usage } from '../../../src/storage/usage.ts';
import { poll } from '../../jest/poll.ts';

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanUp.splice(0)) clean();
});

/** Asks a server for its databases, twice at most, with a short time limit. */
async function ask(listener: RequestListener): Promise<{ usage: Usage; databases: () => Promise<unknown> }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const usage = { requests: 0, bytes: 0 };
  const client = new GlueClient({
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKIA', secretAccessKey: 'x' },
    requestHandler: awsRequestHandler({ attemptMs: 300 }),
    maxAttempts: 2,
  });
  cleanUp.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { usage, databases: () => client.send(new GetDatabasesCommand({}), { usage } as CallOptions) };
}

const JSON_TYPE = { 'content-type': 'application/x-amz-json-1.1' };

it('counts every attempt and the bytes of its answer', async () => {
  let asked = 0;
  const answers = ['{"__type":"ThrottlingException"}', '{"DatabaseList":[]}'];
  const { usage, databases } = await ask((_, response) => {
    response.writeHead(asked === 0 ? 400 : 200, JSON_TYPE).end(answers[asked]);
    asked += 1;
  });
  expect(await databases()).toMatchObject({ DatabaseList: [] });
  expect(usage).toEqual({ requests: 2, bytes: answers.join('').length });
});

it.each([
  ['before its answer', () => {}],
  ['in its answer', (_, response) => void response.writeHead(200, { ...JSON_TYPE, 'content-length': 1000 }).write('{')],
  [
    'by a trickle',
    (_, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-length': 100_000 });
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    },
  ],
] satisfies [string, RequestListener][])(
  'gives up an attempt at a server that hangs %s, and tries again',
  async (_, listener) => {
    let closed = 0;
    const { usage, databases } = await ask((request, response) => {
      request.socket.once('close', () => {
        closed += 1;
      });
      listener(request, response);
    });
    await expect(databases()).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(usage.requests).toBe(2);
    // The connections are given up too.
    await poll(() => closed).toBe(2);
  },
);

it('takes no answer without an end', async () => {
  const { usage, databases } = await ask((_, response) => {
    response.writeHead(200, JSON_TYPE);
    const chunk = Buffer.alloc(8 * 1024 * 1024, ' ');
    const more = () => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on('drain', more);
    more();
  });
  // What there is of time may end before so many bytes have come: either bound will do.
  await expect(databases()).rejects.toThrow(/more than \d+ bytes|no answer within/);
  expect(usage.bytes).toBeLessThan(2 * 140 * 1024 * 1024);
});
