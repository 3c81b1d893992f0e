import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { openProcessLog } from '../../src/stack/process-log.ts';

const MAX_BYTES = 1024 * 1024;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'process-log-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A process that writes numbered lines of 100 bytes to stdout, and its last words to stderr. */
function writer(lines: number) {
  const code = `for (let n = 0; n < ${lines}; n++) console.log(String(n).padEnd(99, '.')); console.error('last words')`;
  return spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'pipe'] });
}

it('is rotated while the process runs, keeps three rotated files, and loses no line of them', async () => {
  const log = openProcessLog(join(folder, 'catalog.log'), (line) => expect(line).toBe(''), MAX_BYTES);
  // 6 MiB: more than what is kept.
  const lines = 6 * 10_486;
  const child = writer(lines);
  for (const stream of [child.stdout, child.stderr]) log.add(stream);
  await once(child, 'close');
  await log.flush();
  const names = readdirSync(folder).sort();
  expect(names).toEqual(['catalog.log', 'catalog.log.1', 'catalog.log.2', 'catalog.log.3']);
  // A file ends with the chunk that reaches the size; pipes have chunks of up to 64 KiB.
  for (const name of names) expect(statSync(join(folder, name)).size).toBeLessThan(MAX_BYTES + 2 * 65_536);
  const kept = names.reverse().map((name) => readFileSync(join(folder, name), 'utf8'));
  const numbers = kept
    .join('')
    .split('\n')
    .filter((line) => /^\d+\.+$/.test(line))
    .map(Number.parseFloat);
  const whole = numbers.slice(1);
  expect(whole.length).toBeGreaterThan((3 * MAX_BYTES) / 100);
  expect(whole).toEqual(whole.map((_, n) => lines - whole.length + n));
  await log.close();
});

it('goes on in the same file after a restart', async () => {
  const path = join(folder, 'worker.log');
  const log = openProcessLog(path, (line) => expect(line).toBe(''));
  for (let start = 0; start < 2; start++) {
    const child = writer(1);
    for (const stream of [child.stdout, child.stderr]) log.add(stream);
    await once(child, 'close');
    await log.flush();
  }
  expect(readFileSync(path, 'utf8').match(/last words/g)).toHaveLength(2);
  await log.close();
});

it('reports once that the file cannot be written, and holds up no process', async () => {
  const reported: string[] = [];
  const path = join(folder, 'temporal.log');
  mkdirSync(path);
  const log = openProcessLog(path, (line) => reported.push(line), MAX_BYTES);
  const child = writer(50_000);
  for (const stream of [child.stdout, child.stderr]) log.add(stream);
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(reported).toEqual([
    expect.stringMatching(
      new RegExp(`^the log ${path} cannot be written: .*not a file.* Lines are lost until it can.$`),
    ),
  ]);
  await log.flush();
  await log.close();
});
