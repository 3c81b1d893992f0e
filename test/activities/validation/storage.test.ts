import { readdirSync, readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterEach, expect, it } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { ActivityDeps } from '../../../src/activities/runtime/deps.ts';
import { validateConnector } from '../../../src/activities/validate-connector.ts';
import type { ConnectorSpec } from '../../../src/connectors/connector-spec.ts';
import { openConnector } from '../../../src/connectors/open-connector.ts';
import type { ValidateResult } from '../../../src/contract/job.ts';
import { Connector } from '../../../src/generated/reconciler/v1/connectors.ts';
import { catalog } from '../../connectors/rest/fake-catalog.ts';
import { type ReceivedRequest, respondWithError, respondWithJson } from '../../connectors/rest/fake-server.ts';
import { ROOT } from '../../integration/stack/running-stack.ts';
import { FakeS3, failure, object } from '../../storage/fake-s3.ts';

/** A table of one snapshot whose files are served by S3 instead of from its folder. */
const FOLDER = join(ROOT, 'test/fixtures/iceberg/wh/fx/orders/metadata');
const METADATA = readdirSync(FOLDER).filter((name) => name.endsWith('.metadata.json'));
const VENDED = {
  's3.access-key-id': 'AKIAVENDED',
  's3.secret-access-key': 'the secret of AKIAVENDED',
  's3.session-token': 't',
};
const WRONG = { 's3.access-key-id': 'AKIAWRONG', 's3.secret-access-key': 'the secret of AKIAWRONG' };

let s3: FakeS3 | undefined;
afterEach(() => s3?.[Symbol.asyncDispose]());

/** The response to loadTable, with the table in a bucket. */
function orders(location: string, more: object = {}) {
  const text = readFileSync(join(FOLDER, METADATA.sort().at(-1) as string), 'utf8');
  const metadata = JSON.parse(text.replaceAll(JSON.parse(text).location, location));
  return { 'metadata-location': `${location}/metadata/${METADATA.at(-1)}`, metadata, ...more };
}

/** Validates a connector to a catalog that answers loadTable in this way; `s3` has the table's files. */
async function validate(table: unknown, properties: Record<string, string>): Promise<ValidateResult> {
  const server = await catalog({
    '/v1/namespaces': { namespaces: [['a']] },
    '/v1/namespaces/a/tables': { identifiers: [{ namespace: ['a'], name: 'orders' }] },
    '/v1/namespaces/a/tables/orders': table,
  });
  const connector = Connector.fromPartial({ uri: server.url, properties });
  const deps = {
    openUncached: (spec: ConnectorSpec) => openConnector(spec, {}),
    catalog: { reconciliation: { getConnectorDraft: async () => connector } },
  } as unknown as ActivityDeps;
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  return (await environment.run(validateConnector, deps, {
    draftId: 'draft_1',
  })) as ValidateResult;
}

async function start(): Promise<FakeS3> {
  s3 = await FakeS3.start();
  s3.secrets.set(VENDED['s3.access-key-id'], VENDED['s3.secret-access-key']);
  s3.answer = ({ path, headers }, response) => {
    const name = path.slice('/lake/orders/metadata/'.length);
    if (!readdirSync(FOLDER).includes(name)) return failure(response, 404, 'NoSuchKey', 'There is none.');
    object(response, readFileSync(join(FOLDER, name)), headers.range as string | undefined);
  };
  return s3;
}

const LOCATION = 's3://lake/orders';
const pathStyle = { 's3.path-style-access': 'true' };

it('reads the manifest list with the keys of the connector', async () => {
  const { properties, seen } = await start();
  expect(await validate(orders(LOCATION), { ...properties, ...pathStyle })).toEqual({
    ok: true,
    summary: expect.stringMatching(
      /^1 Iceberg table .* Table a\.orders can be read: its metadata, and the manifest list s3:\/\/lake\/orders\/metadata\/snap-.*\.avro\.$/,
    ),
    sampleTables: ['a.orders'],
  });
  expect(new Set(seen.map(({ path }) => path.replace(/-.*/, '')))).toEqual(new Set(['/lake/orders/metadata/snap']));
});

it('reads it with the keys that the catalog vends for the table', async () => {
  const { properties, seen } = await start();
  const table = orders(LOCATION, { 'storage-credentials': [{ prefix: LOCATION, config: VENDED }] });
  expect(await validate(table, { ...properties, ...WRONG, ...pathStyle })).toMatchObject({ ok: true });
  expect(seen.every(({ headers }) => headers.authorization?.includes('AKIAVENDED'))).toBe(true);
});

const refusal = (_: ReceivedRequest, response: ServerResponse) =>
  respondWithError(response, 403, 'ForbiddenException', 'not authorized for op LOAD_TABLE_WITH_READ_DELEGATION');
const unlessDelegated = (request: ReceivedRequest, response: ServerResponse) =>
  request.headers['x-iceberg-access-delegation']
    ? refusal(request, response)
    : respondWithJson(response, orders(LOCATION));

it.each<[string, unknown, Record<string, string | undefined>, RegExp]>([
  ['wrong keys', orders(LOCATION), WRONG, /The credentials are rejected: .*AKIAWRONG.*InvalidAccessKeyId/],
  ['a wrong secret', orders(LOCATION), { 's3.secret-access-key': 'wrong secret' }, /rejected: .*SignatureDoesNotMatch/],
  ['wrong vended keys', orders(LOCATION, { config: WRONG }), {}, /The credentials are rejected: .*InvalidAccessKeyId/],
  ['a wrong endpoint', orders(LOCATION), { 's3.endpoint': 'http://127.0.0.1:1' }, /does not respond: .*127\.0\.0\.1:1/],
  ['a store that is not supported', orders('oss://lake/orders'), {}, /This upstream cannot be read: .*oss:/],
  [
    'refused vending',
    unlessDelegated,
    { 's3.access-key-id': undefined, 's3.secret-access-key': undefined },
    /cannot be opened as it is: .*refuses to delegate.*rest\.access-delegation=none/,
  ],
  ['a refused table', refusal, {}, /A permission is missing: .*not authorized/],
  [
    'a missing file',
    orders('s3://other/orders'),
    {},
    /manifest list of snapshot .* s3:\/\/other\/orders\/metadata\/snap-/,
  ],
])('reports %s', async (_, table, properties, reason) => {
  const s3 = await start();
  const all = Object.entries({ ...s3.properties, ...pathStyle, ...properties }).filter(
    ([, value]) => value !== undefined,
  );
  const { ok, summary } = await validate(table, Object.fromEntries(all) as Record<string, string>);
  expect(summary).toMatch(/^1 Iceberg table in 1 namespace found in http.*, but none that was tried can be read\. /);
  expect(summary).toMatch(reason);
  expect(ok).toBe(false);
});
