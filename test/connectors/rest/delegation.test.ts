import type { ServerResponse } from 'node:http';
import { describe, expect, it, jest } from '@jest/globals';
import { catalog, open } from './fake-catalog.ts';
import { type ReceivedRequest, respondWithError, respondWithJson } from './fake-server.ts';

const TABLE = { namespace: ['a'], name: 't' };
const PATH = '/v1/namespaces/a/tables/t';
const OWN = { 's3.access-key-id': 'AKIAOWN', 's3.secret-access-key': 'the secret of AKIAOWN' };

const loadTable = (location: string) => ({
  'metadata-location': `${location}/metadata/m.json`,
  metadata: {
    ...{ 'format-version': 2, 'table-uuid': 'u', location, 'last-updated-ms': 0, 'last-column-id': 1 },
    schemas: [{ type: 'struct', 'schema-id': 0, fields: [{ id: 1, name: 'id', required: true, type: 'int' }] }],
    ...{ 'current-schema-id': 0, 'partition-specs': [{ 'spec-id': 0, fields: [] }], 'default-spec-id': 0 },
  },
});

const ENDPOINTS = ['', '/credentials'].map((path) => `GET /v1/{prefix}/namespaces/{namespace}/tables/{table}${path}`);

/** A catalog that answers requests with the header as given, and others with the table. */
async function refusing(
  status: number,
  message: string,
  location = 's3://lake/t',
  type = 'ForbiddenException',
  more: Record<string, unknown> = {},
) {
  const paths = {
    [PATH]: ({ headers }: ReceivedRequest, response: ServerResponse) =>
      headers['x-iceberg-access-delegation'] === undefined
        ? respondWithJson(response, loadTable(location))
        : respondWithError(response, status, type, message),
    ...more,
  };
  return catalog(paths, {
    defaults: {},
    overrides: {},
    ...(more[`${PATH}/credentials`] ? { endpoints: ENDPOINTS } : {}),
  });
}

const IDENTITIES: Record<string, string>[] = [
  { 's3.profile-name': 'p' },
  { 'client.assume-role.arn': 'r' },
  { 's3.anonymous': 'true' },
];

const delegations = (server: Awaited<ReturnType<typeof catalog>>) =>
  server.requests
    .filter(({ path }) => path.startsWith(PATH))
    .map(({ headers }) => headers['x-iceberg-access-delegation']);

describe('a catalog that refuses to delegate access', () => {
  // What Polaris, Unity, Lakekeeper and others answer.
  it.each([
    [400, 'Credential vending was requested for table a.t, but no credentials are available'],
    [400, 'Unsupported access delegation mode: vended-credentials'],
    [403, 'Principal is not authorized for op LOAD_TABLE_WITH_READ_DELEGATION'],
    [403, 'User does not have EXTERNAL USE SCHEMA on Schema a'],
    [406, 'not supported'],
    [422, 'Failed to get subscoped credentials'],
    [500, 'Failed to get subscoped credentials: (Service: Sts, Status Code: 403)'],
    [501, 'not implemented'],
  ])(
    'with %i %s is asked again without, if the connector has keys of its own; otherwise the error says what to set',
    async (status, message) => {
      const server = await refusing(status, message);
      await using reader = await (await open(server, OWN)).openTable(TABLE);
      expect(reader.descriptor.location).toBe('s3://lake/t');
      expect(delegations(server)).toEqual(['vended-credentials', undefined]);
      for (const identity of IDENTITIES) {
        await using _ = await (await open(server, identity)).openTable(TABLE);
      }
      await expect((await open(server)).openTable(TABLE)).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringMatching(
          new RegExp(
            `returned ${status} .*refuses to delegate access.*s3\\.access-key-id.*rest\\.access-delegation=none`,
          ),
        ),
      });
      // As it says.
      await using plain = await (await open(server, { 'rest.access-delegation': 'none' })).openTable(TABLE);
      expect(plain.descriptor.location).toBe('s3://lake/t');
      expect(delegations(server).at(-1)).toBeUndefined();
    },
  );

  it('is not asked for credentials either', async () => {
    const credentials = jest.fn((_: ReceivedRequest, response: ServerResponse) =>
      respondWithError(response, 400, 'BadRequestException', 'Credential vending is not enabled'),
    );
    const server = await refusing(400, 'no credentials are available', 's3://lake/t', 'BadRequestException', {
      [`${PATH}/credentials`]: credentials,
    });
    const own = { 's3.anonymous': 'true', 's3.endpoint': server.url, 'client.region': 'eu-west-1' };
    await using reader = await (await open(server, own)).openTable(TABLE);
    await expect(reader.openDataFile?.('s3://lake/t/f', 9).slice(0, 9)).rejects.toThrow('s3://lake/t/f');
    expect(credentials).not.toHaveBeenCalled();
  });

  it('needs no keys for a store that is not S3', async () => {
    const server = await refusing(400, 'no credentials are available', 'file:/lake/t');
    await using reader = await (await open(server)).openTable(TABLE);
    expect(reader.descriptor.location).toBe('file:/lake/t');
  });

  it.each([
    [401, 'who are you'],
    [404, 'there is no table t'],
    [500, 'a bug'],
  ])('is not one that answers %i %s', async (status, message) => {
    const server = await refusing(status, message);
    await expect((await open(server, OWN)).openTable(TABLE)).rejects.toMatchObject({
      message: expect.stringContaining(message),
    });
    expect(new Set(delegations(server))).toEqual(new Set(['vended-credentials']));
  });

  it('is not one that refuses the table as well: its own error is reported', async () => {
    const server = await catalog({
      [PATH]: (_: ReceivedRequest, response: ServerResponse) =>
        respondWithError(response, 403, 'ForbiddenException', 'not authorized for op LOAD_TABLE'),
    });
    await expect((await open(server, OWN)).openTable(TABLE)).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.not.stringContaining('delegate'),
    });
    expect(delegations(server)).toHaveLength(2);
  });

  it('says what to set, too, if only its endpoint for credentials refuses', async () => {
    const server = await catalog(
      {
        [PATH]: loadTable('s3://lake/t'),
        [`${PATH}/credentials`]: (_: ReceivedRequest, response: ServerResponse) =>
          respondWithError(response, 400, 'BadRequestException', 'Credential vending is not enabled'),
      },
      { defaults: {}, overrides: {}, endpoints: ENDPOINTS },
    );
    await using reader = await (await open(server)).openTable(TABLE);
    await expect(reader.openDataFile?.('s3://lake/t/f', 9).slice(0, 9)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/Credential vending is not enabled.*rest\.access-delegation=none/),
    });
  });
});
