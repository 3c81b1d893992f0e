import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { checkExposure } from '../../../src/cli/processes/exposure.ts';

const BIN = join(import.meta.dirname, '../../../bin/reconciler.js');
const LOCAL = ['127.0.0.1:7460', '127.8.0.1:1', '[::1]:7460', 'localhost:7460'];
const REMOTE = ['0.0.0.0:7460', '[::]:7460', '10.0.0.1:7460', 'catalog.internal:7460', '127.0.0.1.example.com:7460'];

const exposure = (address: string, more: object = {}) =>
  checkExposure({ address, hasTls: false, noAuth: false, plaintext: false, ...more });

it.each(LOCAL)('%s needs no TLS', (address) => {
  expect(exposure(address)).toEqual([]);
  expect(exposure(address, { noAuth: true })).toEqual([expect.stringMatching(/^INSECURE: --insecure-no-auth is on/)]);
});

it.each(REMOTE)('%s needs TLS, or the word of whoever starts it that something else encrypts', (address) => {
  const text = `the catalog does not listen on ${address} without TLS`;
  expect(() => exposure(address)).toThrow(text);
  expect(exposure(address, { hasTls: true })).toEqual([]);
  expect(exposure(address, { plaintext: true })).toEqual([
    expect.stringMatching(/^INSECURE: --insecure-plaintext is on, so tokens and data are sent/),
  ]);
});

it.each(REMOTE)('%s never goes without authentication', (address) => {
  for (const more of [{ hasTls: true }, { plaintext: true }, {}]) {
    expect(() => exposure(address, { noAuth: true, ...more })).toThrow('--insecure-no-auth is refused');
  }
});

it('the command ends with 2, says what to set, and creates nothing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'exposed-'));
  const env = { PATH: process.env.PATH, HOME: folder, RECONCILER_DATA_DIR: join(folder, 'data') };
  const { status, stderr } = spawnSync(BIN, ['catalog', '--address', '0.0.0.0:0'], { env, encoding: 'utf8' });
  expect([status, stderr]).toEqual([2, expect.stringContaining('without TLS')]);
  expect(stderr).toContain('set RECONCILER_TLS_CERT and RECONCILER_TLS_KEY');
  expect(readdirSync(folder)).not.toContain('data');
  rmSync(folder, { recursive: true });
});
