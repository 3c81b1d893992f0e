import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { fileToken } from '../../../src/catalog-client/tokens/file-token.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'token-'));
  file = join(folder, 'token');
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** Moves the clock that decides whether a file is read again. */
function later(ms: number): void {
  const now = Date.now() + ms;
  jest.spyOn(Date, 'now').mockReturnValue(now);
}

describe('the token of a file', () => {
  it('is its content without the line break', async () => {
    writeFileSync(file, 'one\n');
    expect(await fileToken(file).token()).toBe('one');
  });

  it('is read again after a second, also if a link is changed, as Kubernetes does', async () => {
    for (const token of ['one', 'two']) writeFileSync(join(folder, token), token);
    symlinkSync('one', file);
    const { token } = fileToken(file);
    expect(await token()).toBe('one');
    rmSync(file);
    symlinkSync('two', file);
    expect(await token()).toBe('one');
    later(1_100);
    expect(await token()).toBe('two');
  });

  it('is read again at once if it was refused', async () => {
    writeFileSync(file, 'one');
    const { token } = fileToken(file);
    await token();
    writeFileSync(file, 'two');
    expect(await token('one')).toBe('two');
    expect(await token('two')).toBe('two');
  });

  it('is kept while the file cannot be read', async () => {
    writeFileSync(file, 'one');
    const { token } = fileToken(file);
    await token();
    for (const broken of ['', 'two words']) {
      writeFileSync(file, broken);
      expect(await token('one')).toBe('one');
    }
    rmSync(file);
    expect(await token('one')).toBe('one');
  });

  it('is an error that names the file, but not what it contains', async () => {
    await expect(fileToken(file).token()).rejects.toThrow(
      `the file ${file}, which should contain the token, does not exist`,
    );
    await expect(fileToken(folder).token()).rejects.toThrow(`cannot be read (EISDIR)`);
    writeFileSync(file, '');
    await expect(fileToken(file).token()).rejects.toThrow(`the file ${file} has no token: it contains nothing`);
    writeFileSync(file, 'my secret\nnotes');
    const problem = await fileToken(file)
      .token()
      .catch((error: Error) => error.message);
    expect(problem).toBe(
      `the file ${file} has no token: it contains more than one word, or characters that are not ASCII`,
    );
  });

  it('may be missing until it is made', async () => {
    const { token } = fileToken(file, { mayBeMissing: true });
    expect(await token()).toBeUndefined();
    writeFileSync(file, 'one');
    expect(await token()).toBe('one');
  });

  it('is bounded, so that a wrong file does not fill the memory', async () => {
    await expect(fileToken('/dev/zero').token()).rejects.toThrow('/dev/zero has no token');
  });
});
