import { expect, it } from '@jest/globals';
import { Role } from '../../../src/generated/reconciler/v1/tokens.ts';
import { failure, refusal } from '../harness.ts';
import { callWith, GuardedCatalog } from './clients.ts';

const DAY_MS = 24 * 3_600_000;
const { ROLE_READER, ROLE_OPERATOR, ROLE_ADMIN, ROLE_WORKER, ROLE_PLATFORM } = Role;

it('a token identifies its holder, and its secret cannot be read again', async () => {
  await using guarded = await GuardedCatalog.start();
  const { owner } = guarded;
  const { token, secret } = await owner.tokens.createToken({ subject: 'ci', roles: [ROLE_READER, ROLE_OPERATOR] });
  expect(secret).toMatch(/^rct_[0-9a-z]{22}_[\w-]{43}$/);
  expect(token).toMatchObject({
    subject: 'ci',
    tenantIds: ['default'],
    createdBy: expect.stringMatching(/^owner of /),
  });
  expect(token!.expiresAt!.getTime() - token!.createdAt!.getTime()).toBe(90 * DAY_MS);

  const caller = await guarded.as(secret).tokens.getCaller({});
  expect(caller).toEqual({
    subject: 'ci',
    issuer: 'reconciler',
    tenantIds: ['default'],
    roles: [ROLE_READER, ROLE_OPERATOR],
    expiresAt: token!.expiresAt,
  });
  const listed = await owner.tokens.listTokens({});
  expect(listed.tokens.map((each) => each.subject)).toEqual([expect.stringMatching(/^owner of /), 'ci']);
  expect(JSON.stringify(listed)).not.toContain(secret.slice(-43));
  expect(guarded.catalog.log.join()).not.toContain(secret.slice(-43));
});

it('a call without a valid token is refused, and the refusal says what to do', async () => {
  await using guarded = await GuardedCatalog.start();
  const { secret } = await guarded.owner.tokens.createToken({ subject: 'ci', roles: [ROLE_READER] });
  using nobody = callWith(guarded.catalog.address, {});
  expect(await failure(nobody.catalogs.listCatalogs({}))).toMatchObject(
    refusal('UNAUTHENTICATED', 'the catalog needs a token: log in with `reconciler login`, or set RECONCILER_TOKEN'),
  );
  const refused = refusal('UNAUTHENTICATED', 'does not accept this token: it is unknown, was revoked or has expired');
  const wrongs = [
    `${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}`,
    secret.replace(/^rct_.{22}/, 'rct_0123456789abcdefghjkmn'),
    secret.slice(0, -1),
    'eyJhbGciOiJub25lIn0.e30.',
    'x'.repeat(20_000).slice(0, 7_000),
  ];
  for (const wrong of wrongs) {
    expect(await failure(guarded.as(wrong).catalogs.listCatalogs({}))).toMatchObject(refused);
  }
  using basic = callWith(guarded.catalog.address, { authorization: `Basic ${secret}` });
  expect(await failure(basic.catalogs.listCatalogs({}))).toMatchObject(refused);
  expect(await nobody.health.check({ service: '' })).toEqual({ status: 1 });
});

it('a token ends: it expires, or is revoked', async () => {
  await using guarded = await GuardedCatalog.start();
  const { tokens } = guarded.owner;
  const short = await tokens.createToken({ subject: 'short', roles: [ROLE_READER], ttl: { seconds: 1n, nanos: 0 } });
  const calls = guarded.as(short.secret);
  await calls.catalogs.listCatalogs({});
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  expect((await failure(calls.catalogs.listCatalogs({}))).code).toBe('UNAUTHENTICATED');

  const { token, secret } = await tokens.createToken({ subject: 'gone', roles: [ROLE_READER] });
  const revoked = await tokens.revokeToken({ tokenId: token!.tokenId });
  expect(revoked.revokedAt).toBeInstanceOf(Date);
  expect(await tokens.revokeToken({ tokenId: token!.tokenId })).toEqual(revoked);
  expect((await failure(guarded.as(secret).catalogs.listCatalogs({}))).code).toBe('UNAUTHENTICATED');
});

it('a token without expiry must be requested as such, and is logged', async () => {
  await using guarded = await GuardedCatalog.start();
  const { tokens } = guarded.owner;
  const { token } = await tokens.createToken({ subject: 'for ever', roles: [ROLE_WORKER], noExpiry: true });
  expect(token!.expiresAt).toBeUndefined();
  expect(guarded.catalog.log.join()).toMatch(/"tokenId":"\w+","subject":"for ever".*a token that never expires/);
  const both = tokens.createToken({
    subject: 'x',
    roles: [ROLE_READER],
    noExpiry: true,
    ttl: { seconds: 60n, nanos: 0 },
  });
  expect(await failure(both)).toMatchObject(refusal('INVALID_ARGUMENT', 'ttl: and no_expiry exclude each other'));
});

it('an admin gives the roles of its tenant and nothing beyond', async () => {
  await using guarded = await GuardedCatalog.start();
  const admin = (await guarded.asRole('admin')).tokens;
  const worker = await admin.createToken({ subject: 'w', roles: [ROLE_WORKER, ROLE_ADMIN] });
  expect(worker.token).toMatchObject({ tenantIds: ['default'], createdBy: 'admin' });
  for (const beyond of [
    { roles: [ROLE_PLATFORM] },
    { roles: [ROLE_READER], tenantIds: ['*'] },
    { roles: [ROLE_READER], tenantIds: ['default', 'other'] },
  ]) {
    expect((await failure(admin.createToken({ subject: 'x', ...beyond }))).code).toBe('PERMISSION_DENIED');
  }
  // The tokens of the owner are none of an admin's business.
  const { tokens } = await guarded.owner.tokens.listTokens({});
  const ownerId = tokens.find(({ tenantIds }) => tenantIds.includes('*'))!.tokenId;
  expect((await admin.listTokens({})).tokens.map(({ subject }) => subject)).toEqual(['admin', 'w']);
  const refused = await failure(admin.revokeToken({ tokenId: ownerId }));
  expect(refused).toEqual({ code: 'NOT_FOUND', message: `token ${ownerId} does not exist` });
  await admin.revokeToken({ tokenId: worker.token!.tokenId });
});

it.each(['reader', 'operator', 'worker'] as const)('a %s creates, lists and revokes no tokens', async (role) => {
  await using guarded = await GuardedCatalog.start();
  const { tokens } = await guarded.asRole(role);
  for (const call of [
    tokens.createToken({ subject: 'x', roles: [ROLE_READER] }),
    tokens.listTokens({}),
    tokens.revokeToken({ tokenId: 'x' }),
  ]) {
    expect((await failure(call)).code).toBe('PERMISSION_DENIED');
  }
  expect(await tokens.getCaller({})).toMatchObject({ subject: role });
});

it('the platform role reads no data of a tenant, except by a token that ends within a day', async () => {
  await using guarded = await GuardedCatalog.start();
  const platform = await guarded.asRole('platform');
  expect((await failure(platform.catalogs.listCatalogs({}))).code).toBe('PERMISSION_DENIED');
  const { token, secret } = await platform.tokens.createToken({
    subject: 'support',
    roles: [ROLE_READER],
    tenantIds: ['default'],
  });
  expect(token!.expiresAt!.getTime() - token!.createdAt!.getTime()).toBe(DAY_MS);
  expect(await guarded.as(secret).catalogs.listCatalogs({})).toMatchObject({ catalogs: [] });
  const unknown = platform.tokens.createToken({ subject: 'x', roles: [ROLE_READER], tenantIds: ['no-such'] });
  expect(await failure(unknown)).toMatchObject(refusal('NOT_FOUND', 'tenant no-such'));
});

it.each([
  [{ subject: '' }, 'subject: is required'],
  [{ roles: [] }, 'roles: is required'],
  [{ roles: [Role.ROLE_UNSPECIFIED] }, 'roles: contains a value that is no role'],
  [{ tenantIds: ['*', 'default'] }, 'tenant_ids: has other tenants beside *'],
  [{ tenantIds: ['Default'] }, 'tenant_ids[0]: is not the id of a tenant'],
  [{ ttl: { seconds: 0n, nanos: 0 } }, 'ttl: is not between one second and ten years'],
])('refuses %j', async (fields, message) => {
  await using guarded = await GuardedCatalog.start();
  const request = { subject: 'x', roles: [ROLE_READER], ...fields };
  expect(await failure(guarded.owner.tokens.createToken(request))).toMatchObject(refusal('INVALID_ARGUMENT', message));
});

it('lists tokens page by page', async () => {
  await using guarded = await GuardedCatalog.start();
  for (let i = 0; i < 4; i++) await guarded.asRole('reader');
  const first = await guarded.owner.tokens.listTokens({ pageSize: 3 });
  const second = await guarded.owner.tokens.listTokens({ pageSize: 3, pageToken: first.nextPageToken });
  expect([first.tokens.length, second.tokens.length, second.nextPageToken]).toEqual([3, 2, '']);
});
