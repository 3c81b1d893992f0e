import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { loginToken } from '../../../src/catalog-client/login/login-token.ts';
import { TestCatalog } from '../../catalog/harness.ts';
import { waitFor } from '../../jest/wait-for.ts';
import { runCli } from '../harness.ts';
import { OidcServer } from './oidc-server.ts';

const ADDRESS = '127.0.0.1:7460';
const AUDIENCE = 'https://catalog.example.com';
let provider: OidcServer;
let folder: string;
let file: string;
beforeAll(async () => {
  jest.spyOn(console, 'warn').mockImplementation(() => {});
  provider = await OidcServer.start();
});
afterAll(async () => provider[Symbol.asyncDispose]());
beforeEach(() => {
  // The provider warns about settings that are only for tests.
  for (const method of ['info', 'warn'] as const) jest.spyOn(console, method).mockImplementation(() => {});
  provider.tokenSeconds = 3600;
  folder = mkdtempSync(join(tmpdir(), 'login-'));
  file = join(folder, 'reconciler', 'logins', '127.0.0.1_7460.json');
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const env = () => ({ XDG_CONFIG_HOME: folder, RECONCILER_ADDRESS: ADDRESS });
const stored = () => JSON.parse(readFileSync(file, 'utf8'));

/** Runs `reconciler login`, and confirms it as soon as it shows the page. */
async function logIn(...args: string[]) {
  const write = jest.spyOn(process.stderr, 'write');
  const options = ['--issuer', provider.issuer, '--client-id', provider.clientId, '--audience', AUDIENCE, ...args];
  const running = runCli(['login', ...options], env());
  const shown = () => (process.stderr.write as jest.Mock).mock.calls.map(String).join('');
  const url = await waitFor(
    () => {
      const [, found] = /or open (\S+)/.exec(shown()) ?? [];
      if (found === undefined) throw new Error(`no page in: ${shown()}`);
      return found;
    },
    { timeout: 20_000 },
  );
  const page = await provider.confirm(url);
  const { code, stdout, stderr } = await running;
  write.mockRestore();
  return { code, stdout, stderr, page };
}

/** Who the provider says that a token is for. */
async function subjectOf(token: string): Promise<string | undefined> {
  const keys = createRemoteJWKSet(new URL(`${provider.issuer}/jwks`));
  return (await jwtVerify(token, keys, { issuer: provider.issuer, audience: AUDIENCE })).payload.sub;
}

describe('reconciler login', () => {
  it('shows a code, waits until a person confirms it, and keeps the token for this catalog service', async () => {
    const { code, stdout, stderr, page } = await logIn();
    expect(page).toContain('Sign-in Success');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^Open http:\S+\/device in a browser and enter the code [A-Z]{4}-[A-Z]{4}\nor open /);
    expect(stdout).toMatch(
      /^logged in at http:\S+ for the catalog service 127.0.0.1:7460\nthe token expires at \S+; renewed by itself\n$/,
    );
    expect(await subjectOf(stored().token)).toBe('ada');
    for (const secret of [stored().token, stored().refreshToken]) expect(stdout + stderr).not.toContain(secret);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'reconciler', 'logins')).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(folder, 'reconciler', 'logins'))).toEqual(['127.0.0.1_7460.json']);
  });

  it('renews the token before it expires, once for callers at the same time, and each refresh token once', async () => {
    // Less than what is left when a token is renewed.
    provider.tokenSeconds = 20;
    await logIn();
    const before = stored();
    provider.tokenSeconds = 3600;
    const [one, other] = [loginToken(file), loginToken(file)];
    const tokens = await Promise.all([one.token(), one.token(), other.token()]);
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).not.toBe(before.token);
    expect(await subjectOf(tokens[0] as string)).toBe('ada');
    expect(stored()).toMatchObject({ token: tokens[0], issuer: provider.issuer, audience: AUDIENCE });
    expect(stored().refreshToken).not.toBe(before.refreshToken);
    // The provider accepts a refresh token only once.
    writeFileSync(file, JSON.stringify(before));
    const refused = await loginToken(file)
      .token()
      .catch((error: Error) => error);
    expect(refused).toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringMatching(/^your login at \S+ is no longer valid: .* Run `reconciler login` again\.$/),
    });
    expect((refused as Error).message).not.toContain(before.refreshToken);
  });

  it('renews a token that the catalog service refuses, at most once a minute', async () => {
    await logIn();
    const { token } = loginToken(file);
    const first = (await token()) as string;
    const second = (await token(first)) as string;
    expect(second).not.toBe(first);
    expect(await token(second)).toBe(second);
  });

  it('is used by commands, and forgotten by `logout`', async () => {
    const { issuer } = provider;
    const roles = { rolesClaim: 'roles', roleMap: { 'data-admins': 'admin' as const } };
    const accepted = { issuer, audience: AUDIENCE, algorithms: ['RS256' as const], tenantClaim: 'tenant', ...roles };
    await using catalog = await TestCatalog.start({ authenticate: { issuers: [accepted] } });
    const at = { ...env(), RECONCILER_ADDRESS: catalog.address, RECONCILER_DATA_DIR: '/absent' };
    const address = ['--address', catalog.address];
    await logIn(...address);
    const { code, stdout } = await runCli(['token', 'whoami'], at);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^subject +ada\nissuer +${issuer}\nroles +admin\ntenants +default\n`));
    expect(stdout).toMatch(/^token from +`?.*reconciler login`?$/m);
    expect(await runCli(['logout'], at)).toMatchObject({
      code: 0,
      stdout: `logged out of the catalog service ${catalog.address}\n`,
    });
    expect(await runCli(['token', 'whoami'], at)).toMatchObject({ code: 1 });
    expect((await runCli(['logout'], at)).stdout).toBe(`there was no login for ${catalog.address}\n`);
  });

  it('names what is wrong', async () => {
    const login = (...args: string[]) => runCli(['login', ...args], env());
    expect(await login()).toMatchObject({
      code: 2,
      stderr: 'error: --issuer is required\nhint: or set RECONCILER_LOGIN_ISSUER\n',
    });
    expect(await login('--issuer', 'example', '--client-id', 'x')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("error: --issuer 'example' is not a URL"),
    });
    expect(await login('--issuer', 'http://login.example.com', '--client-id', 'x')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('the issuer http://login.example.com has no https://'),
    });
    const unknown = await login('--issuer', provider.issuer, '--client-id', 'nobody');
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toMatch(/^error: http:\S+ refused to log in the client nobody: .*\(invalid_client\)\n$/);
    const away = await login('--issuer', 'http://127.0.0.1:1', '--client-id', 'x');
    expect(away.code).toBe(3);
    expect(away.stderr).toMatch(/^error: the OpenID provider http:\/\/127.0.0.1:1 cannot be used: \S+/);
  });
});
