import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { commandToken } from '../../../src/catalog-client/tokens/command-token.ts';
import { unsignedJwt } from './unsigned-jwt.ts';

let folder: string;
/** Gets a line per run. */
let runs: string;
/** What the command prints. */
let printed: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'command-'));
  runs = join(folder, 'runs');
  printed = join(folder, 'printed');
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const command = () => `echo x >> '${runs}'; cat '${printed}'`;
const runCount = () => readFileSync(runs, 'utf8').length / 2;

function later(ms: number): void {
  const now = Date.now() + ms;
  jest.spyOn(Date, 'now').mockReturnValue(now);
}

describe('the token of a command', () => {
  it('is what the shell prints, with quotes and pipes', async () => {
    expect(await commandToken(`printf '%s %s' 'a b' token-1 | cut -d' ' -f3`).token()).toBe('token-1');
  });

  it('is kept for five minutes', async () => {
    writeFileSync(printed, 'one');
    const { token } = commandToken(command());
    await token();
    writeFileSync(printed, 'two');
    later(299_000);
    expect(await token()).toBe('one');
    later(2_000);
    expect(await token()).toBe('two');
    expect(runCount()).toBe(2);
  });

  it('is kept until shortly before the expiry of a JWT', async () => {
    const jwt = unsignedJwt({ exp: Math.floor(Date.now() / 1000) + 3600 });
    writeFileSync(printed, jwt);
    const { token } = commandToken(command());
    expect(await token()).toBe(jwt);
    later(3_560_000);
    expect(await token()).toBe(jwt);
    writeFileSync(printed, 'two');
    later(20_000);
    expect(await token()).toBe('two');
  });

  it('is asked for again if it was refused, but only every five seconds', async () => {
    writeFileSync(printed, 'one');
    const { token } = commandToken(command());
    await token();
    writeFileSync(printed, 'two');
    expect(await token('one')).toBe('one');
    later(5_100);
    expect(await token('one')).toBe('two');
    expect(runCount()).toBe(2);
  });

  it('runs once for calls at the same time', async () => {
    writeFileSync(printed, 'one');
    const { token } = commandToken(`sleep 0.2; ${command()}`);
    expect(await Promise.all([token(), token(), token()])).toEqual(['one', 'one', 'one']);
    expect(runCount()).toBe(1);
  });

  it('is an error with what the command complained about, but not with what it printed', async () => {
    const failing = commandToken('echo my-secret; echo the vault is sealed >&2; exit 3');
    await expect(failing.token()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: 'the command of RECONCILER_TOKEN_COMMAND failed: exit 3: the vault is sealed',
    });
    await expect(commandToken('echo my-secret; exit 3').token()).rejects.toThrow(/failed: exit 3$/);
    await expect(commandToken('true').token()).rejects.toThrow(
      'what the command of RECONCILER_TOKEN_COMMAND printed has no token: it contains nothing',
    );
  });
});
