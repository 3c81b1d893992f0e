import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, jest } from '@jest/globals';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { respondWithJson } from '../../connectors/rest/fake-server.ts';
import { s3Folder } from '../../connectors/unity/s3-folder.ts';
import { failure, type UnityServer } from '../../connectors/unity/unity-server.ts';
import { FakeS3, failure as s3Failure } from '../../storage/fake-s3.ts';
import { signerOf } from '../../storage/sigv4.ts';
import { ROOT } from '../stack/running-stack.ts';
import { fixtureVersions, UnityStack } from './unity-stack.ts';

jest.setTimeout(120_000);

const BUCKET = 'lake';
const SECRET = 'the-secret/of+a-vended-key';
let unity: UnityStack;
let server: UnityServer;
let s3: FakeS3;
/** The ids of the keys that were vended, each for one table. */
let vended: string[];
beforeAll(async () => {
  unity = await UnityStack.start();
});
afterAll(async () => {
  await unity?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  server = await unity.startServer();
  s3 = await FakeS3.start();
  s3.answer = s3Folder(BUCKET, join(ROOT, 'test/fixtures/delta'));
  vended = [];
  server.vend = ({ name }) => {
    const accessKeyId = `ASIA${name}${vended.length}`;
    vended.push(accessKeyId);
    s3.secrets.set(accessKeyId, SECRET);
    const expiresAtMs = Date.now() + 3_600_000;
    return { accessKeyId, secretAccessKey: SECRET, sessionToken: `token-of-${accessKeyId}`, expiresAtMs };
  };
});
afterEach(async () => {
  await s3[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const addTable = (name: string) => server.add('main', 's', { name, storage_location: `s3://${BUCKET}/rs_partitioned` });
const endpoint = () => ({ 's3.endpoint': s3.url, 's3.region': 'us-east-1' });
const keyOf = (request: Parameters<typeof signerOf>[0]) => signerOf(request)?.accessKeyId ?? '';
const CREDENTIALS = /temporary-table-credentials|\/credentials/;

it.each([
  ['/delta/v1', 'v1', true],
  ['POST /temporary-table-credentials', 'post', false],
])('keys from %s that expire in the middle of a table are renewed, once', async (_, name, hasDeltaApi) => {
  server.hasDeltaApi = hasDeltaApi;
  addTable('t');
  const answer = s3.answer;
  let left = 4;
  s3.answer = (request, response) => {
    if (keyOf(request) === 'ASIAt0' && left-- <= 0) {
      s3Failure(response, 400, 'ExpiredToken', 'The provided token has expired.');
    } else answer(request, response);
  };
  expect(await unity.stack.trigger(await unity.connect(name, endpoint()))).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { snapshotsIngested: 7n },
  });
  expect(await unity.versions(`${name}.s.t`)).toEqual(fixtureVersions(6));
  expect(vended).toEqual(['ASIAt0', 'ASIAt1']);
  expect(left).toBeLessThan(0);
});

it('a table of which the catalog refuses credentials fails by name with what Databricks requires, and the others are taken', async () => {
  addTable('t');
  addTable('closed');
  server.intercept = ({ path, body }, response) => {
    const isClosed = path.includes('/tables/closed/credentials') || body.includes('closed-id');
    if (!CREDENTIALS.test(path) || !isClosed) return false;
    const message = "User does not have EXTERNAL USE SCHEMA on Schema 'main.s'.";
    respondWithJson(response, failure(403, 'PERMISSION_DENIED', message).json, 403);
    return true;
  };
  const job = await unity.stack.trigger(await unity.connect('closed', endpoint()));
  expect(job).toMatchObject({
    state: JobState.JS_FAILED,
    message: expect.stringMatching(/^Partial failure \(1\): s\.closed: /),
    counters: { tablesScanned: 2n, tablesChanged: 1n, errors: 1n },
  });
  expect(await unity.failures(job)).toEqual([
    expect.stringMatching(
      /^s\.closed: PERMISSION_DENIED: Unity Catalog gives no temporary credentials for table main\.s\.closed: .*EXTERNAL USE SCHEMA on main\.s .*external data access enabled/,
    ),
  ]);
  expect(await unity.versions('closed.s.t')).toEqual(fixtureVersions(6));
  // Validating it names the same, if no table can be read.
  server.schema('main', 's').shift();
  const { code, stdout } = await unity.stack.cli('connector', 'validate', 'closed');
  expect(stdout).toMatch(/^wrong: 1 Delta table in 1 namespace .*A permission is missing: .*EXTERNAL USE SCHEMA/s);
  expect(code).toBe(1);
});

it('a table costs one call for credentials, and one listing if it is unchanged; secrets are nowhere', async () => {
  addTable('t');
  let last = 5;
  const answer = s3.answer;
  // The table has the versions up to `last`.
  s3.answer = (request, response) => {
    if (last === 5 && request.query.get('list-type') === '2') {
      const write = response.end.bind(response);
      response.end = ((xml: string) =>
        write(xml.replace(/<Contents><Key>[^<]*0{19}6\.json.*?<\/Contents>/, ''))) as never;
    }
    answer(request, response);
  };
  const connectorId = await unity.connect('cheap', endpoint());
  const calls = () => server.taken().filter((request) => CREDENTIALS.test(request)).length;
  expect(await unity.stack.trigger(connectorId)).toMatchObject({ counters: { snapshotsIngested: 6n } });
  expect(calls()).toBe(1);
  last = 6;
  expect(await unity.stack.trigger(connectorId)).toMatchObject({ counters: { snapshotsIngested: 1n } });
  expect(calls()).toBeLessThanOrEqual(1);
  s3.seen.length = 0;
  expect(await unity.stack.trigger(connectorId)).toMatchObject({ counters: { tablesUnchanged: 1n } });
  expect(calls()).toBeLessThanOrEqual(1);
  expect(s3.seen.map(({ method, query }) => `${method} ${query.get('list-type')}`)).toEqual(['GET 2']);
  const logs = JSON.stringify([...unity.stack.logLines('worker'), ...unity.stack.logLines('catalog')]);
  expect(logs).not.toContain(SECRET);
  expect(logs).not.toContain('token-of-');
});
