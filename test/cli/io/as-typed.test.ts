import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { asTyped, nameIn } from '../../../src/cli/io/as-typed.ts';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';

let folder: string;
/** A folder below the temporary one. */
const at = (...parts: string[]) => {
  const path = join(folder, ...parts);
  mkdirSync(path, { recursive: true });
  return path;
};
const program = (...parts: string[]) => writeFileSync(join(at(...parts), 'reconciler'), '', { mode: 0o755 });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'as-typed-'));
  writeFileSync(join(at('checkout'), 'package.json'), '{}');
});
afterEach(() => {
  unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

describe('commands in hints', () => {
  it('have the plain name once it is linked', () => {
    program('bin');
    expect(nameIn([at('usr'), at('bin')].join(delimiter), at('elsewhere'), at('checkout'))).toBe('reconciler');
  });

  it('begin with npx below the checkout, although npx itself puts the program on the PATH', () => {
    program('checkout', 'node_modules', '.bin');
    const path = at('checkout', 'node_modules', '.bin');
    expect(nameIn(path, at('checkout'), at('checkout'))).toBe('npx reconciler');
    expect(nameIn(path, at('checkout', 'docs', 'deep'), at('checkout'))).toBe('npx reconciler');
  });

  it('have the path of the program in another folder, in which npx would look for a package of this name', () => {
    expect(nameIn('', at('elsewhere'), at('checkout'))).toBe(
      `node ${join(folder, 'checkout', 'bin', 'reconciler.js')}`,
    );
    expect(nameIn('', at('elsewhere'), at('my checkout'))).toBe(
      `node '${join(folder, 'my checkout', 'bin', 'reconciler.js')}'`,
    );
    writeFileSync(join(at('other'), 'package.json'), '{}');
    expect(nameIn('', at('other'), at('checkout'))).toMatch(/^node /);
  });

  it('are found in messages, and nothing else is', () => {
    stubEnv('PATH', '');
    expect(asTyped('`reconciler job list` shows it; run reconciler up')).toBe(
      '`npx reconciler job list` shows it; run npx reconciler up',
    );
    for (const text of [
      'npx reconciler up',
      '/srv/reconciler data',
      'the Reconciler stops',
      'reconciler',
      'my-reconciler up',
      'reconciler: done',
    ]) {
      expect(asTyped(text)).toBe(text);
    }
  });
});
