import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { postWebhook } from '../../../src/activities/alerts/post-webhook.ts';
import type { CodedError } from '../../../src/errors.ts';
import { freePort } from '../../integration/stack/running-stack.ts';
import { answering, verified, WebhookReceiver } from './webhook-receiver.ts';

const KEY = Buffer.from('0123456789abcdef0123456789abcdef').toString('base64');
const SECRET = `whsec_${KEY}`;
const PATH = '/services/T0/planted-in-the-path';
const BODY = JSON.stringify({ type: 'job.failed', text: 'Größe “1”' });

let receiver: WebhookReceiver;
beforeAll(async () => {
  receiver = await WebhookReceiver.start();
});
afterAll(() => receiver[Symbol.asyncDispose]());
beforeEach(() => {
  receiver.received.length = 0;
  receiver.answers.length = 0;
});

const post = (more: object = {}) =>
  postWebhook({ url: receiver.origin + PATH, secret: SECRET, id: 'msg_1', body: BODY, ...more });
const failure = (more: object = {}): Promise<CodedError> =>
  post(more).then(
    () => Promise.reject(new Error('it was delivered')),
    (error) => error,
  );

it.each([SECRET, KEY])(
  'is signed as Standard Webhooks defines it, with a key that begins with %.6s',
  async (secret) => {
    await post({ secret });
    const [one] = receiver.received;
    expect(one).toMatchObject({ path: PATH, body: BODY });
    expect(one!.headers).toMatchObject({ 'webhook-id': 'msg_1', 'content-type': 'application/json' });
    expect(verified(one!, secret)).toEqual(JSON.parse(BODY));
    expect(() => verified({ ...one!, body: `${BODY} ` }, secret)).toThrow('No matching signature');
  },
);

it('is unsigned without a key', async () => {
  await post({ secret: undefined });
  expect(receiver.received[0]!.headers).not.toHaveProperty('webhook-signature');
});

it.each([
  [500, {}, 'UNAVAILABLE', undefined],
  [503, { 'retry-after': '7' }, 'UNAVAILABLE', 7_000],
  [408, {}, 'UNAVAILABLE', undefined],
  [429, { 'retry-after': '3' }, 'RESOURCE_EXHAUSTED', 3_000],
  [400, {}, 'FAILED_PRECONDITION', undefined],
  [404, { 'retry-after': '3' }, 'FAILED_PRECONDITION', undefined],
  [410, {}, 'FAILED_PRECONDITION', undefined],
] as const)('an answer %i is %s', async (status, headers, code, retryAfterMs) => {
  receiver.answers.push(answering(status, headers, `${PATH} ${SECRET}`));
  const error = await failure();
  expect(error).toMatchObject({ code, retryAfterMs });
  expect(error.message).toContain(`${new URL(receiver.origin).host} responded with ${status}`);
  expect(error.message).not.toMatch(/planted|whsec|MDEyMz/);
});

it('redirects are not followed', async () => {
  receiver.answers.push(answering(307, { location: `${receiver.origin}/elsewhere` }));
  expect(await failure()).toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringContaining('responded with 307, a redirect'),
  });
  expect(receiver.received.map(({ path }) => path)).toEqual([PATH]);
});

it('an endless response does not matter: its body is not read', async () => {
  receiver.answers.push((response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write(Buffer.alloc(65_536)), 1);
    response.on('close', () => clearInterval(timer));
  });
  await post();
});

it('errors of the connection name only the host', async () => {
  const port = await freePort();
  const refused = await failure({ url: `http://127.0.0.1:${port}${PATH}` });
  expect(refused).toMatchObject({
    code: 'UNAVAILABLE',
    message: `the webhook at 127.0.0.1:${port} cannot be reached (ECONNREFUSED)`,
  });
  receiver.answers.push((response) => response.destroy());
  const cut = await failure();
  expect(cut.code).toBe('UNAVAILABLE');
  expect(cut.message).not.toContain('planted');
});

it.each(['planted', 'ftp://planted/x', 'http://user:planted@127.0.0.1/', 'http://'])(
  'what is no URL to post to is not repeated: %s',
  async (url) => {
    const error = await failure({ url });
    expect(error).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('alerts.webhook_url'),
    });
    expect(error.message).not.toContain('planted');
  },
);

it.each(['whsec_', 'whsec_c2hvcnQ=', 'not base64 at all, but long enough to be', `whsec_${'A'.repeat(88)}`])(
  'what is no key is not repeated: %s',
  async (secret) => {
    const error = await failure({ secret });
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', message: expect.stringContaining('alerts.secret_ref') });
    expect(error.message).not.toContain(secret.replace('whsec_', '') || 'nothing');
    expect(receiver.received).toEqual([]);
  },
);
