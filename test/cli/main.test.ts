import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from '@jest/globals';
import type { Command } from 'commander';
import { loadAll } from '../../src/cli/main.ts';
import { freePort } from '../../src/stack/ports.ts';
import { runCli, startHarness } from './harness.ts';

const BIN = join(import.meta.dirname, '../../bin/reconciler.js');
const folder = mkdtempSync(join(tmpdir(), 'cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Every command below the program, with its groups. */
async function allCommands(): Promise<Command[]> {
  const program = await loadAll();
  const below = (command: Command): Command[] => command.commands.flatMap((sub) => [sub, ...below(sub)]);
  return below(program);
}

const pathOf = (command: Command): string =>
  command.parent ? `${pathOf(command.parent)} ${command.name()}`.trim() : '';

describe('the help', () => {
  it('names every command', async () => {
    const { code, stdout } = await runCli(['--help']);
    expect(code).toBe(0);
    for (const name of [
      'up',
      'start',
      'catalog',
      'worker',
      'connector',
      'job',
      'namespace',
      'table',
      'view',
      'snapshot',
      'stats',
      'plan',
    ]) {
      expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    }
    expect(stdout).toContain('Exit codes: 0 success, 1 ');
  });

  it('has one style: commands are described in sentences, options in phrases, within 100 columns', async () => {
    const commands = await allCommands();
    expect(commands.length).toBeGreaterThan(30);
    const wrong: string[] = [];
    for (const command of commands) {
      const path = pathOf(command);
      if (!/^[A-Z][^\n]*\.$/.test(command.description())) wrong.push(`${path}: ${command.description()}`);
      const options = [...command.options, ...command.registeredArguments];
      for (const { description } of options)
        if (!/^(?:[a-z`]|HTTP|SQLite|gRPC)[^\n]*[^.\s]$/.test(description ?? '')) wrong.push(`${path}: ${description}`);
      let help = '';
      command.configureOutput({ writeOut: (text) => (help += text), getOutHelpWidth: () => 100 }).outputHelp();
      for (const line of help.split('\n')) if ([...line].length > 100) wrong.push(`${path}: ${line}`);
    }
    expect(wrong).toEqual([]);
  });

  it('groups the options of `connector create` by topic', async () => {
    const { stdout } = await runCli(['connector', 'create', '--help']);
    const groups = [...stdout.matchAll(/^(\S.*):$/gm)].map(([, title]) => title);
    expect(groups).toEqual([
      ...['Arguments', 'Upstream', 'What is ingested', 'Destination', 'Authentication', 'Schedule'],
      ...['Tables and views that are missing upstream', 'Load and workers', 'Alerts', 'Options', 'Global Options'],
      'Examples',
    ]);
  });

  const groups = {
    connector: ['create', 'get', 'list', 'update', 'delete', 'validate', 'trigger'],
    job: ['get', 'list', 'watch', 'cancel', 'retry', 'failures'],
    schedule: ['list', 'repair'],
    namespace: ['list'],
    table: ['list', 'get'],
    view: ['list', 'get'],
    snapshot: ['list'],
    stats: ['table', 'columns', 'files'],
    plan: ['get'],
    tenant: ['create', 'list', 'get', 'update', 'delete'],
    token: ['create', 'list', 'revoke', 'whoami'],
  };
  const leaves = Object.entries(groups).flatMap(([group, names]) => names.map((name) => `${group} ${name}`));
  it.each(['up', 'start', 'catalog', 'worker', 'login', 'logout', 'audit', ...leaves])(
    'of %s has examples',
    async (command) => {
      const { code, stdout } = await runCli(['help', ...command.split(' ')]);
      expect(code).toBe(0);
      expect(stdout).toMatch(/Examples:\n +\$ /);
    },
  );

  it('is shown for a command group without a command, as wrong usage', async () => {
    for (const args of [[], ['job']]) {
      const { code, stdout, stderr } = await runCli(args);
      expect(code).toBe(2);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/^Usage: reconciler/);
    }
  });

  it('prints the version', async () => {
    expect((await runCli(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('the catalog service', () => {
  it('is named if it cannot be reached, with a hint how to start one and exit code 3', async () => {
    const address = `127.0.0.1:${await freePort('127.0.0.1')}`;
    const { code, stdout, stderr } = await runCli(['connector', 'list'], { RECONCILER_ADDRESS: address });
    expect(code).toBe(3);
    expect(stdout).toBe('');
    expect(stderr).toBe(
      `error: no catalog service answers at ${address} (connect ECONNREFUSED ${address})\n` +
        'hint: start one with `reconciler up`, or set the address with --address or RECONCILER_ADDRESS\n',
    );
  });

  it('is taken from --address before RECONCILER_ADDRESS', async () => {
    await using cli = await startHarness();
    const env = { RECONCILER_ADDRESS: '127.0.0.1:1' };
    expect((await runCli(['connector', 'list', '--address', cli.address], env)).code).toBe(0);
    expect((await runCli(['--address', cli.address, 'connector', 'list', '--json'], env)).code).toBe(0);
    expect((await runCli(['connector', 'list', '--address', 'nowhere'], env)).code).toBe(2);
  });

  it('is refused if its address is malformed', async () => {
    const { code, stderr } = await runCli(['connector', 'list'], { RECONCILER_ADDRESS: 'nowhere' });
    expect(code).toBe(2);
    expect(stderr).toContain('RECONCILER_ADDRESS=nowhere is not host:port');
  });

  it.each([
    ['nowhere', 'is not host:port: the port is missing'],
    ['ftp://127.0.0.1:7460', 'is a URL: give host:port, or https://host:port for TLS, for example 127.0.0.1:7460'],
    ['https://127.0.0.1', 'is not host:port: the port is missing'],
    ['127.0.0.1:99999', 'is not host:port: a port is a number up to 65535'],
    ['user@host:1', 'is not host:port, for example 127.0.0.1:7460'],
    ['::1:7460', 'is not host:port, for example 127.0.0.1:7460'],
  ])('is checked before the first call: %s', async (address, problem) => {
    expect(await runCli(['connector', 'list', '--address', address])).toMatchObject({
      code: 2,
      stderr: `error: --address '${address}' ${problem}\n`,
    });
    expect((await runCli(['connector', 'list'], { RECONCILER_ADDRESS: address })).stderr).toBe(
      `error: RECONCILER_ADDRESS=${address} ${problem}. Correct it or unset it.\n`,
    );
  });

  it('is accepted with an IPv6 address in brackets', async () => {
    const { code, stderr } = await runCli(['connector', 'list', '--address', '[::1]:1']);
    expect({ code, stderr }).toMatchObject({ code: 3, stderr: expect.stringContaining('no catalog service answers') });
  });

  it('is not started if the address of Temporal is malformed', async () => {
    for (const [address, problem] of [
      ['http://127.0.0.1:7233', 'is a URL: give only host:port, for example 127.0.0.1:7460'],
      ['127.0.0.1:72333', 'is not host:port: a port is a number up to 65535'],
    ] as const) {
      const env = { TEMPORAL_ADDRESS: address, RECONCILER_ADDRESS: '127.0.0.1:0' };
      const message = `error: TEMPORAL_ADDRESS '${address}' ${problem}\n`;
      for (const process of ['catalog', 'setup'])
        expect(await runCli([process], env)).toMatchObject({ code: 2, stderr: message });
    }
  });

  it('is not needed to print a stack trace with RECONCILER_LOG_LEVEL=debug', async () => {
    const { code, stderr } = await runCli(['table', 'list', 'a'], { RECONCILER_LOG_LEVEL: 'debug' });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^\s+at /m);
  });
});

describe('bin/reconciler.js', () => {
  it('runs from any folder, through a link, with an empty HOME', async () => {
    const link = join(folder, 'reconciler');
    symlinkSync(BIN, link);
    const env = { PATH: process.env.PATH, HOME: '' };
    const { stdout, stderr } = await promisify(execFile)(link, ['--help'], { cwd: folder, env });
    expect(stdout).toMatch(/^Usage: reconciler/);
    // If the sources have just been edited, it reports that it builds.
    expect(stderr).toMatch(/^(reconciler: building\n)?$/);
  });

  it('passes exit codes on', () => {
    expect(spawnSync(BIN, ['connector', 'list', '--nonsense']).status).toBe(2);
    expect(spawnSync(BIN, ['connector', 'list', '--address', '127.0.0.1:1']).status).toBe(3);
  });

  it('ends quietly if the reader closes the pipe', async () => {
    await using cli = await startHarness();
    for (let n = 0; n < 100; n++) {
      const description = 'x'.repeat(4_000);
      await cli.clients.connectors.createConnector({
        connector: {
          displayName: `c${n}`,
          uri: 'file:///x',
          kind: 'CONNECTOR_KIND_ICEBERG' as never,
          description,
          destination: { catalogName: 'm' },
        },
      });
    }
    const child = spawn('/bin/sh', ['-c', `'${BIN}' connector list --json | head -n 1`], {
      env: { ...process.env, RECONCILER_ADDRESS: cli.address },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    await new Promise((resolve) => child.on('close', resolve));
    expect(stdout.split('\n')).toHaveLength(2);
    expect(stderr).toBe('');
  });
});
