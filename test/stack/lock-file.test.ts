import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { tryLock, withLock } from '../../src/stack/lock-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'lock-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Of a process that has ended. */
function deadPid(): number {
  return spawnSync('true').pid;
}

it('names the live owner', () => {
  const file = join(folder, 'held');
  const lock = tryLock(file);
  expect(tryLock(file)).toEqual({ owner: process.pid });
  if ('release' in lock) lock.release();
  expect(tryLock(file)).toHaveProperty('release');
});

it.each([
  ['of a dead process', () => `${deadPid()} 1`],
  ['of a process whose pid was given again', () => `${process.pid} 1`],
  ['that was cut off', () => ''],
  ['with something else in it', () => 'hello'],
])('takes over a lock %s', (_, content) => {
  const file = join(folder, 'stale');
  writeFileSync(file, content());
  const lock = tryLock(file);
  expect(lock).toHaveProperty('release');
  if ('release' in lock) lock.release();
});

it('lets one at a time in, and leaves nothing behind', async () => {
  const file = join(folder, 'shared', 'lock');
  let inside = 0;
  let most = 0;
  const enter = () =>
    withLock(file, async () => {
      inside++;
      most = Math.max(most, inside);
      await new Promise((resolve) => setTimeout(resolve, 10));
      inside--;
    });
  await Promise.all([enter(), enter(), enter(), enter()]);
  expect(most).toBe(1);
  expect(readdirSync(join(folder, 'shared'))).toEqual([]);
});
