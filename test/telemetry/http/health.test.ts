import { afterEach, describe, expect, it } from '@jest/globals';
import { rememberConnectorSecret } from '../../../src/secrets.ts';
import { type Check, serveHealth } from '../../../src/telemetry/http/health.ts';
import type { HttpEndpoint } from '../../../src/telemetry/http/http-endpoint.ts';

let endpoint: HttpEndpoint | undefined;
afterEach(() => endpoint?.close());

async function ask(path: string, checks: Record<string, Check>) {
  endpoint = await serveHealth('127.0.0.1:0', checks);
  const response = await fetch(`http://${endpoint.address}${path}`);
  return { status: response.status, text: await response.text() };
}

const passing = async () => {};
const failing = async () => {
  throw new Error('the disk is full');
};

describe('health', () => {
  it('is ready if every check passes', async () => {
    const { status, text } = await ask('/readyz', { database: passing, temporal: passing });
    expect([status, JSON.parse(text)]).toEqual([200, { database: 'ok', temporal: 'ok' }]);
  });

  it('is not ready if a check fails, and reports why', async () => {
    const { status, text } = await ask('/readyz', { database: failing, temporal: passing });
    expect([status, JSON.parse(text)]).toEqual([503, { database: 'the disk is full', temporal: 'ok' }]);
  });

  it('does not wait for a check that hangs', async () => {
    const { status, text } = await ask('/readyz', { temporal: () => new Promise(() => {}) });
    expect([status, JSON.parse(text)]).toEqual([503, { temporal: 'no answer within 2 s' }]);
  });

  it('is alive whatever the checks report', async () => {
    expect(await ask('/healthz', { database: failing })).toEqual({ status: 200, text: 'ok\n' });
  });

  it('masks secrets', async () => {
    rememberConnectorSecret('hunter-2-and-more');
    const leaking = async () => {
      throw new Error('refused for hunter-2-and-more');
    };
    expect((await ask('/readyz', { catalog: leaking })).text).toBe('{"catalog":"refused for ***"}\n');
  });

  it('answers 404 for other paths', async () => {
    expect(await ask('/metrics', {})).toEqual({ status: 404, text: 'only /healthz, /readyz\n' });
  });

  it('names the setting whose address is taken', async () => {
    endpoint = await serveHealth('127.0.0.1:0', {});
    await expect(serveHealth(endpoint.address, {})).rejects.toThrow(
      `RECONCILER_HEALTH_ADDRESS=${endpoint.address} cannot be listened on`,
    );
  });
});
