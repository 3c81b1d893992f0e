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

/** Starts a server, and returns a call to it that makes at most two attempts with a short time limit. */
async function start(listener: RequestListener): Promise<{ usage: Usage; databases: () => Promise<unknown> }> {
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

it('counts every attempt and the bytes of its response', async () => {
  let attempts = 0;
  const answers = ['{"__type":"ThrottlingException"}', '{"DatabaseList":[]}'];
  const { usage, databases } = await start((_, response) => {
    response.writeHead(attempts === 0 ? 400 : 200, JSON_TYPE).end(answers[attempts]);
    attempts += 1;
  });
  expect(await databases()).toMatchObject({ DatabaseList: [] });
  expect(usage).toEqual({ requests: 2, bytes: answers.join('').length });
});

it.each([
  ['before its response', () => {}],
  [
    'in its response',
    (_, response) => void response.writeHead(200, { ...JSON_TYPE, 'content-length': 1000 }).write('{'),
  ],
  [
    'and sends a trickle',
    (_, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-length': 100_000 });
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    },
  ],
] satisfies [string, RequestListener][])(
  'ends an attempt at a server that hangs %s, and retries',
  async (_, listener) => {
    let closed = 0;
    const { usage, databases } = await start((request, response) => {
      request.socket.once('close', () => {
        closed += 1;
      });
      listener(request, response);
    });
    await expect(databases()).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(usage.requests).toBe(2);
    // The connections are closed too.
    await poll(() => closed).toBe(2);
  },
);

it('limits the size of a response', async () => {
  const { usage, databases } = await start((_, response) => {
    response.writeHead(200, JSON_TYPE);
    const chunk = Buffer.alloc(8 * 1024 * 1024, ' ');
    const more = () => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on('drain', more);
    more();
  });
  // The time limit may be reached before the size limit; either is fine.
  await expect(databases()).rejects.toThrow(/more than \d+ bytes|no response within/);
  expect(usage.bytes).toBeLessThan(2 * 140 * 1024 * 1024);
});
