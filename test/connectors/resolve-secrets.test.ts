import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ConnectorSpec } from '../../src/connectors/connector-spec.ts';
import { resolveSecrets } from '../../src/connectors/resolve-secrets.ts';
import { withoutSecrets } from '../../src/secrets.ts';
import { stubEnv, unstubAllEnvs } from '../jest/stub-env.ts';
import { plainSpec } from './spec.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'secrets-'));
  writeFileSync(join(folder, 'secret'), 'from a file, with a line break\n');
  writeFileSync(join(folder, 'empty'), '\n');
  writeFileSync(join(folder, 'large'), 'x'.repeat(70_000));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => unstubAllEnvs());

const spec = (fields: Partial<ConnectorSpec>, auth: Partial<ConnectorSpec['auth']> = {}): ConnectorSpec => {
  const plain = plainSpec('ICEBERG', 'https://catalog');
  return { ...plain, ...fields, auth: { ...plain.auth, ...auth } };
};

describe('resolveSecrets', () => {
  it('replaces references everywhere and leaves all other values unchanged', async () => {
    stubEnv('LAKE_TOKEN', 'token-of-the-lake');
    const resolved = await resolveSecrets(
      spec(
        {
          properties: {
            warehouse: 'file:/lake',
            's3.endpoint': 'env:LAKE_TOKEN',
            's3.secret-access-key': `file:${folder}/secret`,
            'header.X-Plain': 'plain',
          },
        },
        {
          scheme: 'oauth2',
          secretRef: `file://${folder}/secret`,
          headerHints: { Authorization: 'env:LAKE_TOKEN', 'X-Folder': 'file:/lake' },
          properties: { credential: 'env:LAKE_TOKEN', scope: 'all' },
        },
      ),
    );
    const fromFile = 'from a file, with a line break';
    expect(resolved).toEqual({
      kind: 'ICEBERG',
      uri: 'https://catalog',
      properties: {
        warehouse: 'file:/lake',
        's3.endpoint': 'token-of-the-lake',
        's3.secret-access-key': fromFile,
        'header.X-Plain': 'plain',
      },
      auth: {
        scheme: 'oauth2',
        secret: fromFile,
        headerHints: { Authorization: 'token-of-the-lake', 'X-Folder': 'file:/lake' },
        properties: { credential: 'token-of-the-lake', scope: 'all' },
      },
    });
    expect(withoutSecrets(`${fromFile}; token-of-the-lake`)).toBe('***; ***');
  });

  it('returns no secret without a reference', async () => {
    expect((await resolveSecrets(spec({}))).auth).toEqual({ scheme: '', headerHints: {}, properties: {} });
  });

  it.each([
    ['env:NOT_SET_ANYWHERE', "there is no such variable in the worker's environment"],
    ['env:EMPTY', "it is empty in the worker's environment"],
    ['file:/no/such/file', "on the worker's machine there is no such file"],
    ['FOLDER/empty', 'it is empty'],
    ['FOLDER/large', 'more than 65536 bytes'],
    ['FOLDER/pipe', 'it is not a file'],
    ['FOLDER', 'it is not a file'],
  ])('%s: %s', async (template, message) => {
    stubEnv('EMPTY', '');
    const reference = template.replace('FOLDER', `file:${folder}`);
    for (const [property, wrongSpec] of [
      ['properties[s3.secret-access-key]', spec({ properties: { 's3.secret-access-key': reference } })],
      ['auth.properties[credential]', spec({}, { properties: { credential: reference } })],
      ['auth.header_hints[Authorization]', spec({}, { headerHints: { Authorization: reference } })],
      ['auth.secret_ref', spec({}, { secretRef: reference })],
    ] as const) {
      await expect(resolveSecrets(wrongSpec)).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringContaining(`${property} refers to ${reference}, and `),
      });
      await expect(resolveSecrets(wrongSpec)).rejects.toMatchObject({ message: expect.stringContaining(message) });
    }
  });

  it('does not repeat a secret that is given instead of a reference', async () => {
    const error = await resolveSecrets(spec({}, { secretRef: 'hunter2' })).catch((e) => e);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(error.message).not.toContain('hunter2');
  });

  it.each([
    ['both', 'aws-secretsmanager:KEYS#id'],
    ['one', 'AKIALAKE'],
  ])("accesses Secrets Manager with the worker's keys if it stores %s of the connector's keys", async (name, id) => {
    stubEnv('AWS_ACCESS_KEY_ID', 'AKIAWORKER');
    stubEnv('AWS_SECRET_ACCESS_KEY', 'secret-of-the-worker');
    const signedBy = new Set<string | undefined>();
    const manager = createServer((request, response) => {
      signedBy.add(/Credential=([^/]+)/.exec(request.headers.authorization ?? '')?.[1]);
      response
        .writeHead(200, { 'content-type': 'application/x-amz-json-1.1' })
        .end(JSON.stringify({ SecretString: JSON.stringify({ id: 'AKIALAKE', key: 'secret-of-the-lake' }) }));
    }).listen(0, '127.0.0.1');
    await once(manager, 'listening');
    try {
      const resolved = await resolveSecrets(
        spec({
          properties: {
            'client.region': 'eu-west-1',
            'secretsmanager.endpoint': `http://127.0.0.1:${(manager.address() as AddressInfo).port}`,
            'client.access-key-id': id.replace('KEYS', name),
            'client.secret-access-key': `aws-secretsmanager:${name}#key`,
          },
        }),
      );
      expect(resolved.properties).toMatchObject({
        'client.access-key-id': 'AKIALAKE',
        'client.secret-access-key': 'secret-of-the-lake',
      });
      expect([...signedBy]).toEqual(['AKIAWORKER']);
    } finally {
      manager.closeAllConnections();
      manager.close();
    }
  });
});
