import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { choosePort, freePort, isPortFree } from '../../src/stack/ports.ts';

const HOST = '127.0.0.1';
let server: Server;
let taken: number;

beforeEach(async () => {
  taken = await freePort(HOST);
  server = createServer();
  await new Promise<void>((resolve) => server.listen(taken, HOST, resolve));
});
afterEach(() => void server.close());

it('reports whether a port is free', async () => {
  expect(await isPortFree(HOST, taken)).toBe(false);
  expect(await isPortFree(HOST, await freePort(HOST))).toBe(true);
});

it('uses the port that the user named, or fails', async () => {
  const free = await freePort(HOST);
  expect(await choosePort(HOST, { option: '--port', named: free, preferred: [taken] })).toEqual({ port: free });
  await expect(choosePort(HOST, { option: '--port', named: taken, preferred: [] })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining(`--port ${taken} is taken`),
  });
});

it('chooses another port if the default is taken, and reports which one it replaces', async () => {
  const free = await freePort(HOST);
  expect(await choosePort(HOST, { option: '--port', preferred: [free] })).toEqual({ port: free });
  expect(await choosePort(HOST, { option: '--port', preferred: [taken, free] })).toEqual({
    port: free,
    insteadOf: taken,
  });
  const chosen = await choosePort(HOST, { option: '--port', preferred: [taken] });
  expect(chosen.insteadOf).toBe(taken);
  expect(await isPortFree(HOST, chosen.port)).toBe(true);
});
