import { expect, it } from '@jest/globals';
import { serveHttp } from '../../../src/telemetry/http/http-endpoint.ts';

const page = { status: 200, contentType: 'text/plain', body: 'page' };

it('with a token, serves only requests that send it', async () => {
  const pages = { '/metrics': async () => page };
  const endpoint = await serveHttp('127.0.0.1:0', 'SETTING', pages, 'a-token-of-16-characters');
  const get = async (path: string, authorization?: string) => {
    const response = await fetch(`http://${endpoint.address}${path}`, {
      headers: authorization === undefined ? {} : { authorization },
    });
    return [response.status, (await response.text()).trim()];
  };
  expect(await get('/metrics', 'Bearer a-token-of-16-characters')).toEqual([200, 'page']);
  for (const wrong of [undefined, 'Bearer a-token-of-16-character', 'a-token-of-16-characters', 'Bearer ']) {
    expect(await get('/metrics', wrong)).toEqual([401, 'a token is required']);
    expect(await get('/other', wrong)).toEqual([401, 'a token is required']);
  }
  await endpoint.close();
});
