import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loginFileOf, writeLogin } from '../../../src/catalog-client/login/login-file.ts';
import { openTokenSource } from '../../../src/catalog-client/tokens/open-token-source.ts';
import { readConfig } from '../../../src/config.ts';
import { recordServing } from '../../../src/stack/serving-file.ts';

const ADDRESS = '127.0.0.1:7460';
let folder: string;
let dataDir: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sources-'));
  dataDir = join(folder, 'data');
  mkdirSync(dataDir);
  writeFileSync(join(dataDir, 'token'), 'of-data-dir');
  writeFileSync(join(folder, 'option'), 'of-option');
  writeFileSync(join(folder, 'variable'), 'of-file');
});
afterEach(() => rmSync(folder, { recursive: true }));

const config = (env: Record<string, string> = {}) =>
  readConfig({ RECONCILER_DATA_DIR: dataDir, XDG_CONFIG_HOME: folder, ...env });

function logIn(address: string): void {
  const login = { issuer: 'https://login.example.com', clientId: 'c', scope: 'openid', token: 'of-login' };
  writeLogin(loginFileOf(config().configDir, address), login);
}

describe('the token', () => {
  it('is that of the first source that is set', async () => {
    recordServing(dataDir, ADDRESS);
    logIn(ADDRESS);
    const env: Record<string, string> = {
      RECONCILER_TOKEN: 'of-variable',
      RECONCILER_TOKEN_FILE: join(folder, 'variable'),
      RECONCILER_TOKEN_COMMAND: 'echo of-command',
    };
    const found = [];
    for (const option of [join(folder, 'option'), undefined])
      found.push(await openTokenSource(config(env), ADDRESS, option)?.token());
    for (const name of Object.keys(env)) {
      delete env[name];
      found.push(await openTokenSource(config(env), ADDRESS)?.token());
    }
    rmSync(loginFileOf(config().configDir, ADDRESS));
    found.push(await openTokenSource(config(), ADDRESS)?.token());
    expect(found).toEqual(['of-option', 'of-variable', 'of-file', 'of-command', 'of-login', 'of-data-dir']);
  });

  it('of a login is sent only to the address that it is for', async () => {
    logIn('https://catalog.example.com:7460');
    const name = '`reconciler login`';
    expect(openTokenSource(config(), 'https://catalog.example.com:7460')?.name).toBe(name);
    expect(openTokenSource(config(), 'https://catalog.example.com:7461')).toBeUndefined();
  });

  it('of the data directory is sent only to this machine', async () => {
    recordServing(dataDir, ADDRESS);
    for (const address of ['127.0.0.1:7460', '[::1]:7460', 'localhost:7460', 'https://localhost:7460'])
      expect(await openTokenSource(config(), address)?.token()).toBe('of-data-dir');
    for (const address of ['10.0.0.1:7460', 'https://catalog.example.com:7460', '127.0.0.1.example.com:7460'])
      expect(openTokenSource(config(), address)).toBeUndefined();
  });

  it('of the data directory is sent only while the catalog service of the directory runs, and to its port', async () => {
    const source = openTokenSource(config(), ADDRESS);
    // Whoever listens there now is somebody else.
    expect(await source?.token()).toBeUndefined();
    const forget = recordServing(dataDir, ADDRESS);
    expect(await source?.token()).toBe('of-data-dir');
    expect(await openTokenSource(config(), '127.0.0.1:7461')?.token()).toBeUndefined();
    forget();
    expect(await source?.token()).toBeUndefined();
    const ended = { pid: 2 ** 22 + 1, address: ADDRESS };
    writeFileSync(join(dataDir, 'catalog.json'), JSON.stringify(ended));
    expect(await source?.token()).toBeUndefined();
  });

  it('of the data directory may come later', async () => {
    recordServing(dataDir, ADDRESS);
    rmSync(join(dataDir, 'token'));
    const source = openTokenSource(config(), ADDRESS);
    expect(source?.name).toBeUndefined();
    expect(await source?.token()).toBeUndefined();
    writeFileSync(join(dataDir, 'token'), 'later');
    expect(await source?.token()).toBe('later');
  });
});
