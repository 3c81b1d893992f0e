import { chmodSync, existsSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { Role } from '../../../src/generated/reconciler/v1/tokens.ts';
import { failure } from '../harness.ts';
import { GuardedCatalog } from './clients.ts';

const fileOf = ({ catalog }: GuardedCatalog) => join(catalog.directory, 'token');

it("creates the owner's token, which only this user can read, and keeps it", async () => {
  await using guarded = await GuardedCatalog.start();
  const file = fileOf(guarded);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(await guarded.owner.tokens.getCaller({})).toEqual({
    subject: expect.stringMatching(/^owner of \S+$/),
    issuer: 'reconciler',
    tenantIds: ['*'],
    roles: [Role.ROLE_ADMIN, Role.ROLE_WORKER, Role.ROLE_PLATFORM],
    expiresAt: undefined,
  });
  const before = readFileSync(file, 'utf8');
  await guarded.catalog.restart();
  expect(readFileSync(file, 'utf8')).toBe(before);
  expect(guarded.catalog.log).toEqual([]);
});

it('an old file is valid in a new database', async () => {
  await using guarded = await GuardedCatalog.start();
  await guarded.catalog.stop();
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${guarded.catalog.file}${suffix}`, { force: true });
  await guarded.catalog.startAgain();
  const secret = readFileSync(fileOf(guarded), 'utf8').trim();
  expect(await guarded.as(secret).catalogs.listCatalogs({})).toMatchObject({ catalogs: [] });
});

it('a file without its token is not replaced while another platform token is valid', async () => {
  await using guarded = await GuardedCatalog.start();
  rmSync(fileOf(guarded));
  await guarded.catalog.restart();
  expect(existsSync(fileOf(guarded))).toBe(false);
});

it('a revoked token stays revoked, and without its file the owner gets a new one', async () => {
  await using guarded = await GuardedCatalog.start();
  const secret = readFileSync(fileOf(guarded), 'utf8').trim();
  const { tokens } = await guarded.owner.tokens.listTokens({});
  await guarded.owner.tokens.revokeToken({ tokenId: tokens[0]!.tokenId });
  await guarded.catalog.restart();
  expect((await failure(guarded.as(secret).tokens.getCaller({}))).code).toBe('UNAUTHENTICATED');
  rmSync(fileOf(guarded));
  await guarded.catalog.restart();
  const next = readFileSync(fileOf(guarded), 'utf8').trim();
  expect(next).not.toBe(secret);
  expect(await guarded.as(next).tokens.getCaller({})).toMatchObject({ tenantIds: ['*'] });
});

it.each([
  ['others can read it', (file: string) => chmodSync(file, 0o644)],
  [
    'it is a link',
    (file: string) => {
      writeFileSync(`${file}.target`, readFileSync(file), { mode: 0o600 });
      rmSync(file);
      symlinkSync(`${file}.target`, file);
    },
  ],
  ['it contains something else', (file: string) => writeFileSync(file, 'rct_')],
])('does not make the token in a file valid if %s', async (_, change) => {
  await using guarded = await GuardedCatalog.start();
  const file = fileOf(guarded);
  const secret = readFileSync(file, 'utf8').trim();
  change(file);
  await guarded.catalog.stop();
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${guarded.catalog.file}${suffix}`, { force: true });
  await guarded.catalog.startAgain();
  expect((await failure(guarded.as(secret).tokens.getCaller({}))).code).toBe('UNAUTHENTICATED');
  expect(guarded.catalog.log.join()).toContain('it is left alone');
});

it('starts with its token on a database that cannot be written to', async () => {
  await using guarded = await GuardedCatalog.start();
  const secret = readFileSync(fileOf(guarded), 'utf8').trim();
  await guarded.catalog.stop();
  const db = new Sqlite(guarded.catalog.file);
  db.exec("create trigger full before insert on tokens begin select raise(fail, 'full'); end");
  db.close();
  await guarded.catalog.startAgain();
  expect(await guarded.as(secret).tokens.getCaller({})).toMatchObject({ tenantIds: ['*'] });
  expect(guarded.catalog.log).toEqual([]);
  // Without its row, the token would have to be written.
  await guarded.catalog.stop();
  const again = new Sqlite(guarded.catalog.file);
  again.exec('delete from token_tenants; delete from tokens');
  again.close();
  await guarded.catalog.startAgain();
  expect(guarded.catalog.log.join()).toContain("the token of the catalog's owner cannot be kept");
});
