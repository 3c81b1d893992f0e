import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { GuardedCatalog } from '../../catalog/auth/clients.ts';
import { type Ran, runCli } from '../harness.ts';

let guarded: GuardedCatalog;
let owner: string;
beforeAll(async () => {
  guarded = await GuardedCatalog.start();
  owner = readFileSync(join(guarded.catalog.directory, 'token'), 'utf8').trim();
});
afterAll(async () => guarded[Symbol.asyncDispose]());

const nowhere = () => ({ RECONCILER_ADDRESS: guarded.catalog.address, RECONCILER_DATA_DIR: '/absent' });
const asOwner = (...args: string[]) => runCli(args, { ...nowhere(), RECONCILER_TOKEN: owner });
const as = (token: string, ...args: string[]) => runCli(args, { ...nowhere(), RECONCILER_TOKEN: token });
const create = async (...args: string[]) => (await asOwner('token', 'create', ...args, '--json')).json[0];

describe('without a token', () => {
  it('a command fails and names the ways to get one', async () => {
    const ran = await runCli(['connector', 'list'], nowhere());
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toMatch(
      /^error: the catalog needs a token: log in with `reconciler login`, or set RECONCILER_TOKEN/,
    );
    expect(ran.stderr).not.toContain('hint:');
  });

  it('a command finds that of the data directory by itself', async () => {
    const env = { ...nowhere(), RECONCILER_DATA_DIR: guarded.catalog.directory };
    expect(await runCli(['connector', 'list'], env)).toMatchObject({ code: 0 });
    const { stdout } = await runCli(['token', 'whoami'], env);
    expect(stdout).toMatch(/^roles +admin, worker, platform$/m);
    expect(stdout).toContain(`the data directory ${guarded.catalog.directory}`);
  });
});

describe('a wrong token', () => {
  it('is refused with where it is from, and is not shown', async () => {
    const wrong = `rct_0000000000000000000000_${'x'.repeat(43)}`;
    const { code, stderr } = await as(wrong, 'connector', 'list');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: the catalog does not accept this token/);
    expect(stderr).toContain('hint: the token is from RECONCILER_TOKEN\n');
    expect(stderr).not.toContain('x'.repeat(43));
    const malformed = await as('my secret', 'connector', 'list');
    expect(malformed).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error: RECONCILER_TOKEN is not a token/),
    });
    expect(malformed.stderr).not.toContain('secret');
  });

  it('is not looked for in a file that does not exist', async () => {
    const { code, stderr } = await runCli(['connector', 'list', '--token-file', '/absent'], nowhere());
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'error: the file /absent, which should contain the token, does not exist\n',
    });
  });
});

describe('reconciler token', () => {
  it('creates a token, whose secret is shown once and works', async () => {
    const { stdout, stderr } = await asOwner('token', 'create', 'ci', '--role', 'reader,operator', '--ttl', '30d');
    const secret = /^token +(rct_\S+)$/m.exec(stdout)?.[1] ?? '';
    expect(stdout).toMatch(/^roles +reader, operator$/m);
    expect(stdout).toMatch(/^tenants +default$/m);
    expect(stderr).toContain('the only time that the token is shown');
    const whoami = await as(secret, 'token', 'whoami');
    expect(whoami.stdout).toMatch(/^subject +ci$/m);
    expect(whoami.stdout).toMatch(/^token from +RECONCILER_TOKEN$/m);
    const listed = await asOwner('token', 'list', '--json');
    expect(listed.stdout).not.toContain(secret.slice(-43));
    const expires = new Date(listed.json.find(({ subject }) => subject === 'ci').expiresAt).getTime();
    expect(Math.abs(expires - Date.now() - 30 * 86_400_000)).toBeLessThan(60_000);
  });

  it('names what its options lack', async () => {
    const problems: [string[], string][] = [
      [['x'], 'error: --role is required'],
      [['x', '--role', 'king'], "error: --role 'king' is not one of reader, operator, admin, worker, platform"],
      [['x', '--role', 'reader', '--ttl', '1d', '--no-expiry'], 'error: --ttl and --no-expiry exclude each other'],
      [['x', '--role', 'reader', '--tenant', 'ACME'], "error: --tenant 'ACME' is not a tenant"],
    ];
    for (const [args, problem] of problems) {
      const { code, stderr } = await asOwner('token', 'create', ...args);
      expect(code).toBe(2);
      expect(stderr).toContain(problem);
    }
  });

  it('reads the token from the file that --token-file names', async () => {
    const ran = await runCli(['token', 'list', '--token-file', join(guarded.catalog.directory, 'token')], nowhere());
    expect(ran.code).toBe(0);
  });

  it('lists tokens on one line each in 80 columns', async () => {
    await create('a-program-with-a-long-name', '--role', 'worker', '--no-expiry', '--tenants', '*');
    const { stdout } = await asOwner('token', 'list');
    const [titles, ...rows] = stdout.trimEnd().split('\n');
    expect(titles).toMatch(/^ID +SUBJECT +ROLES +EXPIRES +TENANTS +LAST USED +CREATED BY$/);
    expect(rows.find((row) => row.includes('a-program'))).toMatch(/ worker +never +all +- /);
  });

  it('revokes a token, also if it is given whole', async () => {
    const { secret, token } = await create('leaver', '--role', 'reader');
    expect((await asOwner('token', 'revoke', secret)).stdout).toBe(`revoked ${token.tokenId} of leaver\n`);
    expect((await asOwner('token', 'list')).stdout).not.toContain(token.tokenId);
    expect((await asOwner('token', 'list', '--all')).stdout).toMatch(new RegExp(`${token.tokenId} +leaver +revoked`));
    const unknown = await asOwner(
      'token',
      'revoke',
      `${token.tokenId.slice(0, -1)}${token.tokenId.endsWith('0') ? 1 : 0}`,
    );
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toMatch(/hint: did you mean .* `reconciler token list --all` shows what exists/);
  });

  it('is for admins, and the refusal names who one is', async () => {
    const { secret } = await create('reader', '--role', 'reader');
    const { code, stderr } = await as(secret, 'token', 'list');
    expect(code).toBe(1);
    expect(stderr).toContain("ListTokens needs the permission administer or platform: 'reader' has the role reader");
    expect(stderr).toContain('hint: `reconciler token whoami` shows your roles and tenants');
  });
});

describe('the shell', () => {
  it('completes the ids of tokens', async () => {
    const { token } = await create('completed', '--role', 'reader');
    const { stdout }: Ran = await asOwner('completion', 'names', 'token');
    expect(stdout.split('\n')).toContain(token.tokenId);
  });
});
