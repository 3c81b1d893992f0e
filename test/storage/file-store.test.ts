import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FileStore } from '../../src/storage/file-store.ts';
import { listed } from './listed.ts';

const store = new FileStore();
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'file-store-'));
  writeFileSync(join(folder, 'ten'), '0123456789');
  writeFileSync(join(folder, 'empty'), '');
  mkdirSync(join(folder, 'sub'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
});
afterAll(() => rmSync(folder, { recursive: true }));

const text = async (...args: Parameters<FileStore['read']>) => Buffer.from(await store.read(...args)).toString();
const failing = (code: string, ...parts: string[]) =>
  expect.objectContaining({ code, message: expect.stringMatching(new RegExp(parts.join('.*'))) });

describe('read', () => {
  it('returns the whole file or a part', async () => {
    const path = join(folder, 'ten');
    expect(await text(path, { maxBytes: 10 })).toBe('0123456789');
    expect(await text(`file:${path}`, { maxBytes: 10 })).toBe('0123456789');
    expect(await text(`file://${path}`, { maxBytes: 3, start: 2, end: 5 })).toBe('234');
    expect(await text(path, { maxBytes: 10, start: 8 })).toBe('89');
    expect(await text(path, { maxBytes: 100, start: 8, end: 100 })).toBe('89');
    expect(await text(path, { maxBytes: 10, start: 50, end: 60 })).toBe('');
    expect(await text(join(folder, 'empty'), { maxBytes: 0 })).toBe('');
  });

  it('rejects more than maxBytes', async () => {
    await expect(store.read(join(folder, 'ten'), { maxBytes: 9 })).rejects.toEqual(
      failing('FAILED_PRECONDITION', 'ten', '10 bytes', 'limit is 9'),
    );
  });

  it('names paths that are missing or not files, and does not wait for pipes', async () => {
    const read = (name: string) => store.read(join(folder, name), { maxBytes: 10 });
    await expect(read('nothing')).rejects.toEqual(failing('NOT_FOUND', 'nothing', 'no such file'));
    await expect(read('ten/below')).rejects.toEqual(failing('NOT_FOUND', 'below'));
    await expect(read('sub')).rejects.toEqual(failing('FAILED_PRECONDITION', 'sub', 'a folder'));
    await expect(read('pipe')).rejects.toEqual(failing('FAILED_PRECONDITION', 'pipe', 'a pipe'));
    await expect(store.read('/dev/zero', { maxBytes: 10 })).rejects.toEqual(
      failing('FAILED_PRECONDITION', '/dev/zero'),
    );
    await expect(read('x'.repeat(5_000))).rejects.toEqual(failing('INVALID_ARGUMENT', 'too long'));
    await expect(read('a\0b')).rejects.toEqual(failing('INVALID_ARGUMENT', 'not a path'));
    await expect(store.read('s3://b/k', { maxBytes: 1 })).rejects.toEqual(failing('UNIMPLEMENTED', 's3://b/k'));
  });
});

describe('stat', () => {
  it('returns size and time', async () => {
    const { size, modifiedMs } = await store.stat(join(folder, 'ten'));
    expect(size).toBe(10);
    expect(Math.abs(modifiedMs - Date.now())).toBeLessThan(600_000);
  });

  it('names paths that are not files', async () => {
    await expect(store.stat(join(folder, 'sub'))).rejects.toEqual(failing('FAILED_PRECONDITION', 'sub'));
    await expect(store.stat(join(folder, 'nothing'))).rejects.toEqual(failing('NOT_FOUND', 'nothing'));
  });
});

describe('list', () => {
  it('is sorted and distinguishes folders', async () => {
    expect(await listed(store.list(folder))).toEqual([
      { name: 'empty', folder: false },
      { name: 'pipe', folder: false },
      { name: 'sub', folder: true },
      { name: 'ten', folder: false },
    ]);
    expect(await listed(store.list(`file:${folder}/sub`))).toEqual([]);
  });

  it('starts after a key, which need not exist', async () => {
    const behind = async (key: string) => (await listed(store.list(folder, { after: key }))).map(({ name }) => name);
    expect(await behind('pipe')).toEqual(['sub', 'ten']);
    expect(await behind('q')).toEqual(['sub', 'ten']);
    expect(await behind('sub')).toEqual(['sub', 'ten']);
    expect(await behind('sub/')).toEqual(['ten']);
    expect(await behind('ten')).toEqual([]);
  });

  it('names paths that are not folders', async () => {
    await expect(listed(store.list(join(folder, 'nothing')))).rejects.toEqual(failing('NOT_FOUND', 'nothing'));
    await expect(listed(store.list(join(folder, 'ten')))).rejects.toEqual(failing('NOT_FOUND', 'ten'));
  });

  it('follows links, but not to a folder above', async () => {
    const root = mkdtempSync(join(tmpdir(), 'links-'));
    mkdirSync(join(root, 'a'));
    mkdirSync(join(root, 'b'));
    writeFileSync(join(root, 'file'), '');
    symlinkSync('../b', join(root, 'a', 'to-b'));
    symlinkSync('../a', join(root, 'b', 'to-a'));
    symlinkSync('..', join(root, 'a', 'up'));
    symlinkSync('.', join(root, 'a', 'self'));
    symlinkSync('../file', join(root, 'a', 'to-file'));
    symlinkSync('nowhere', join(root, 'a', 'dangling'));
    symlinkSync('loop', join(root, 'a', 'loop'));
    expect(await listed(store.list(join(root, 'a')))).toEqual([
      { name: 'dangling', folder: false },
      { name: 'loop', folder: false },
      { name: 'to-b', folder: true },
      { name: 'to-file', folder: false },
    ]);
    expect(await listed(store.list(join(root, 'a', 'to-b')))).toEqual([]);
    await expect(store.read(join(root, 'a', 'loop'), { maxBytes: 1 })).rejects.toEqual(
      failing('FAILED_PRECONDITION', 'loop'),
    );
    rmSync(root, { recursive: true });
  });
});
