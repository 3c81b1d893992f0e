import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { tryLock, withLock } from '../../src/stack/lock-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'lock-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The pid of a process that has ended. */
function deadPid(): number {
  return spawnSync('true').pid;
}

it('returns the pid of a live owner', () => {
  const file = join(folder, 'held');
  const lock = tryLock(file);
  expect(tryLock(file)).toEqual({ owner: process.pid });
  if ('release' in lock) lock.release();
  expect(tryLock(file)).toHaveProperty('release');
});

it.each([
  ['of a dead process', () => `${deadPid()} 1`],
  ['of a process whose pid has been reused', () => `${process.pid} 1`],
  ['whose content is missing', () => ''],
  ['whose content is not a pid', () => 'hello'],
])('takes over a lock %s', (_, content) => {
  const file = join(folder, 'stale');
  writeFileSync(file, content());
  const lock = tryLock(file);
  expect(lock).toHaveProperty('release');
  if ('release' in lock) lock.release();
});

it('runs one action at a time and leaves no files behind', async () => {
  const file = join(folder, 'shared', 'lock');
  let running = 0;
  let maxRunning = 0;
  const enter = () =>
    withLock(file, async () => {
      running++;
      maxRunning = Math.max(maxRunning, running);
      await new Promise((resolve) => setTimeout(resolve, 10));
      running--;
    });
  await Promise.all([enter(), enter(), enter(), enter()]);
  expect(maxRunning).toBe(1);
  expect(readdirSync(join(folder, 'shared'))).toEqual([]);
});
