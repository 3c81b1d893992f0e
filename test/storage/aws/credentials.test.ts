import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { withoutSecrets } from '../../../src/secrets.ts';
import { awsCredentials, credentialsName, readCredentialsAgain } from '../../../src/storage/aws/credentials.ts';
import { awsRegion } from '../../../src/storage/aws/region.ts';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'aws-'));
  writeFileSync(
    join(folder, 'config'),
    '[default]\nregion = eu-north-1\n[profile lake]\nregion = sa-east-1\naws_access_key_id = AKIALAKE\naws_secret_access_key = lake-secret\n',
  );
  writeFileSync(join(folder, 'credentials'), '');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The tests ignore the machine's own AWS settings. */
beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) stubEnv(name, undefined);
  stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  stubEnv('AWS_CONFIG_FILE', join(folder, 'config'));
  stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'credentials'));
});
afterEach(() => unstubAllEnvs());

const keys = (prefix: string, id: string) => ({
  [`${prefix}.access-key-id`]: id,
  [`${prefix}.secret-access-key`]: `secret-of-${id}`,
});

describe('awsCredentials', () => {
  it("prefers the service's keys to the common ones", async () => {
    const properties = { ...keys('s3', 'S3'), ...keys('client', 'ALL'), 'client.session-token': 'session-of-all' };
    expect(await awsCredentials(properties, 's3')()).toEqual({ accessKeyId: 'S3', secretAccessKey: 'secret-of-S3' });
    const all = { accessKeyId: 'ALL', secretAccessKey: 'secret-of-ALL', sessionToken: 'session-of-all' };
    expect(await awsCredentials(properties, 'glue')()).toEqual(all);
    expect(await awsCredentials(properties, 'secretsmanager')()).toEqual(all);
    expect(credentialsName(properties, 's3')).toBe('the keys in s3.access-key-id (S3)');
  });

  it('uses a profile, otherwise the environment', async () => {
    const properties = { 'client.profile-name': 'lake' };
    expect(await awsCredentials(properties, 's3')()).toMatchObject({ accessKeyId: 'AKIALAKE' });
    expect(credentialsName(properties, 's3')).toBe('the AWS profile lake of the worker');
    stubEnv('AWS_ACCESS_KEY_ID', 'AKIAENV');
    stubEnv('AWS_SECRET_ACCESS_KEY', 'secret-of-env');
    // These properties are new: providers are cached, and so are the default credentials.
    expect(await awsCredentials({ 'client.profile-name': '' }, 'rest')()).toMatchObject({ accessKeyId: 'AKIAENV' });
  });

  it('names missing credentials', async () => {
    await expect(awsCredentials({ 'client.profile-name': 'nobody' }, 's3')()).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(
        /^found no credentials in the AWS profile nobody of the worker: .*AWS_ACCESS_KEY_ID.*client.access-key-id/,
      ),
    });
    const role = { 'client.assume-role.arn': 'arn:aws:iam::1:role/r', 'client.sts.endpoint': 'http://127.0.0.1:9' };
    await expect(awsCredentials({ ...role, 'client.profile-name': 'nobody' }, 's3')()).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/^found no credentials in the AWS profile nobody/),
    });
    await expect(awsCredentials({ ...role, ...keys('s3', 'ONE') }, 's3')()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/^cannot assume the role arn:aws:iam::1:role\/r: http:\/\/127.0.0.1:9 cannot/),
    });
  });

  it('reports a source that fails as UNAVAILABLE', async () => {
    const source = createServer((_, response) => response.writeHead(503).end()).listen(0, '127.0.0.1');
    await once(source, 'listening');
    const url = `http://127.0.0.1:${(source.address() as AddressInfo).port}`;
    stubEnv('AWS_MAX_ATTEMPTS', '1');
    try {
      stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${url}/role`);
      await expect(awsCredentials({ 'client.profile-name': 'of-a-container' }, 's3')()).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringContaining(`the container's endpoint ${url}/role returned none`),
      });
      stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', undefined);
      writeFileSync(join(folder, 'token'), 'a-token');
      stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', join(folder, 'token'));
      stubEnv('AWS_ROLE_ARN', 'arn:aws:iam::1:role/r');
      stubEnv('AWS_ENDPOINT_URL_STS', url);
      stubEnv('AWS_REGION', 'eu-west-1');
      const web = awsCredentials({ 'client.profile-name': 'of-web-identity' }, 's3');
      await expect(web()).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringContaining('AWS failed'),
      });
      stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', join(folder, 'no-token'));
      await expect(web()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('no-token') });
    } finally {
      source.closeAllConnections();
      source.close();
    }
  });

  it('reads keys without an expiry again when they are refused, and when an upstream is opened', async () => {
    const write = (secret: string) =>
      writeFileSync(join(folder, 'credentials'), `[other]\naws_access_key_id = A\naws_secret_access_key = ${secret}\n`);
    write('one-secret');
    const provide = awsCredentials({ 'client.profile-name': 'other' }, 's3');
    const first = await provide();
    write('two-secret');
    expect(await provide()).toBe(first);
    expect(await Promise.all([provide.renew(first), provide.renew(first)])).toEqual([true, true]);
    const second = await provide();
    expect(second.secretAccessKey).toBe('two-secret');
    expect(await provide.renew(second)).toBe(false);
    write('three-secret');
    // It was read in vain just now.
    expect(await provide.renew(second)).toBe(false);
    readCredentialsAgain();
    expect((await provide()).secretAccessKey).toBe('three-secret');
    rmSync(join(folder, 'credentials'));
    readCredentialsAgain();
    expect((await provide()).secretAccessKey).toBe('three-secret');
    writeFileSync(join(folder, 'credentials'), '');
  });

  it('exchanges the web identity token that the file has now if its session is refused', async () => {
    const tokens: (string | null)[] = [];
    const sts = createServer(async (request, response) => {
      const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
      tokens.push(form.get('WebIdentityToken'));
      response.writeHead(200, { 'content-type': 'text/xml' }).end(
        `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>
          <AccessKeyId>ASIA${tokens.length}</AccessKeyId><SecretAccessKey>web-secret</SecretAccessKey><SessionToken>web-session</SessionToken>
          <Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration>
        </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
      );
    }).listen(0, '127.0.0.1');
    await once(sts, 'listening');
    try {
      stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', join(folder, 'web-token'));
      stubEnv('AWS_ROLE_ARN', 'arn:aws:iam::1:role/r');
      stubEnv('AWS_ENDPOINT_URL_STS', `http://127.0.0.1:${(sts.address() as AddressInfo).port}`);
      stubEnv('AWS_REGION', 'eu-west-1');
      writeFileSync(join(folder, 'web-token'), 'token-one');
      const provide = awsCredentials({ 'client.profile-name': 'of-a-rotated-token' }, 's3');
      const first = await provide();
      writeFileSync(join(folder, 'web-token'), 'token-two');
      readCredentialsAgain();
      expect(await provide()).toBe(first);
      // A new session is refused for another reason.
      expect(await provide.renew(first)).toBe(false);
      const clock = jest.spyOn(performance, 'now').mockReturnValue(performance.now() + 5_000);
      expect(await provide.renew(first)).toBe(true);
      clock.mockRestore();
      expect(await provide()).toMatchObject({ accessKeyId: 'ASIA2' });
      expect(tokens).toEqual(['token-one', 'token-two']);
    } finally {
      sts.closeAllConnections();
      sts.close();
    }
  });

  it('returns the same provider for the same credentials', () => {
    const provider = awsCredentials({ ...keys('s3', 'ONE'), 's3.endpoint': 'http://a' }, 's3');
    expect(awsCredentials({ ...keys('s3', 'ONE'), 's3.endpoint': 'http://b' }, 's3')).toBe(provider);
    expect(awsCredentials(keys('s3', 'TWO'), 's3')).not.toBe(provider);
    expect(awsCredentials({ ...keys('s3', 'ONE'), 's3.session-token': 't' }, 's3')).not.toBe(provider);
    expect(awsCredentials({ ...keys('s3', 'ONE'), 'client.assume-role.arn': 'arn' }, 's3')).not.toBe(provider);
  });

  it.each([
    [{ 's3.access-key-id': 'A' }, 's3.access-key-id is set but s3.secret-access-key is not'],
    [{ 'client.secret-access-key': 'hunter2' }, 'client.secret-access-key is set but client.access-key-id is not'],
    [{ 'client.assume-role.arn': 'arn', 'client.assume-role.timeout-sec': '1h' }, 'client.assume-role.timeout-sec=1h'],
  ])('rejects %j', (properties: Record<string, string>, message) => {
    expect(() => awsCredentials(properties, 's3')).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION', message: expect.stringContaining(message) }),
    );
    expect(() => awsCredentials(properties, 's3')).not.toThrow('hunter2');
  });

  it('assumes a role with all its properties, once, and again before the session expires', async () => {
    const requests: URLSearchParams[] = [];
    let minutes = 3;
    const sts = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        requests.push(new URLSearchParams(body));
        const ends = new Date(Date.now() + minutes * 60_000).toISOString();
        response.writeHead(200, { 'content-type': 'text/xml' }).end(
          `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
            <AccessKeyId>ASIA${requests.length}</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>
            <SessionToken>role-session</SessionToken><Expiration>${ends}</Expiration>
          </Credentials></AssumeRoleResult></AssumeRoleResponse>`,
        );
      });
    }).listen(0, '127.0.0.1');
    await once(sts, 'listening');
    try {
      const properties = {
        ...keys('client', 'BASE'),
        'client.region': 'eu-central-1',
        'client.sts.endpoint': `http://127.0.0.1:${(sts.address() as AddressInfo).port}`,
        'client.assume-role.arn': 'arn:aws:iam::1:role/reader',
        'client.assume-role.session-name': 'nightly',
        'client.assume-role.external-id': 'ext',
        'client.assume-role.timeout-sec': '900',
        'client.assume-role.tags.team': 'data',
      };
      const provide = awsCredentials(properties, 'glue');
      const first = await Promise.all([provide(), provide(), awsCredentials(properties, 's3')()]);
      expect(first.map(({ accessKeyId }) => accessKeyId)).toEqual(['ASIA1', 'ASIA1', 'ASIA1']);
      expect(Object.fromEntries(requests[0]!)).toMatchObject({
        Action: 'AssumeRole',
        RoleArn: 'arn:aws:iam::1:role/reader',
        RoleSessionName: 'nightly',
        ExternalId: 'ext',
        DurationSeconds: '900',
        'Tags.member.1.Key': 'team',
        'Tags.member.1.Value': 'data',
      });
      minutes = 60;
      expect(await provide()).toMatchObject({ accessKeyId: 'ASIA2', sessionToken: 'role-session' });
      expect(await provide()).toMatchObject({ accessKeyId: 'ASIA2' });
      expect(requests).toHaveLength(2);
      expect(withoutSecrets('role-session and role-secret')).toBe('*** and ***');
      expect(credentialsName(properties, 'glue')).toBe(
        'the role arn:aws:iam::1:role/reader, assumed with the keys in client.access-key-id (BASE)',
      );
    } finally {
      sts.closeAllConnections();
      sts.close();
    }
  });
});

describe('awsRegion', () => {
  it('comes from the most specific property', async () => {
    const properties: Record<string, string> = {
      'rest.signing-region': 'r-1',
      's3.region': 's-1',
      'client.assume-role.arn': 'arn',
      'client.assume-role.region': 'a-1',
      'client.region': 'c-1',
    };
    stubEnv('AWS_REGION', 'e-1');
    expect(await awsRegion(properties, 'rest')).toBe('r-1');
    expect(await awsRegion(properties, 's3')).toBe('s-1');
    expect(await awsRegion(properties, 'glue')).toBe('a-1');
    delete properties['client.assume-role.arn'];
    expect(await awsRegion(properties, 'glue')).toBe('c-1');
    delete properties['client.region'];
    expect(await awsRegion(properties, 'glue')).toBe('e-1');
  });

  it('comes from the profile, or is an error', async () => {
    expect(await awsRegion({}, 'glue')).toBe('eu-north-1');
    expect(await awsRegion({ 'client.profile-name': 'lake' }, 'glue')).toBe('sa-east-1');
    await expect(awsRegion({ 'glue.profile-name': 'nobody' }, 'glue')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/no AWS region is set for glue: .*client.region or glue.region, or AWS_REGION/),
    });
  });
});
