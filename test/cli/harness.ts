import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, jest } from '@jest/globals';
import { pino } from 'pino';
import { anyone } from '../../src/catalog/auth/authorize-middleware.ts';
import { startCatalog } from '../../src/catalog/server/server.ts';
import { type CatalogClients, connectCatalog } from '../../src/catalog-client/connect.ts';
import { main } from '../../src/cli/main.ts';
import { stubEnv, unstubAllEnvs } from '../jest/stub-env.ts';
import { waitFor } from '../jest/wait-for.ts';
import { FakeJobs } from './fake-jobs.ts';

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
  /** The lines of stdout as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever a command printed
  json: any[];
}

export interface Harness extends AsyncDisposable {
  address: string;
  clients: CatalogClients;
  jobs: FakeJobs;
  /** Runs one command line against the catalog. */
  run(...args: string[]): Promise<Ran>;
  /** Runs `reconciler connector create` with the required options. */
  create(name: string, ...more: string[]): Promise<Ran>;
  /** Stops the catalog service for this time and starts it again at the same address. */
  restart(downMs: number): Promise<void>;
}

/** A real catalog service, with jobs that a test controls. In memory unless a database file is given. */
export async function startHarness(databaseFile = ':memory:'): Promise<Harness> {
  const jobs = new FakeJobs();
  const start = (address: string) =>
    startCatalog({ authenticate: anyone, address, databaseFile, jobs, logger: pino({ level: 'silent' }) });
  let catalog = await start('127.0.0.1:0');
  const clients = connectCatalog(catalog.address);
  jobs.clients = clients;
  const run = (...args: string[]) => runCli(args, { RECONCILER_ADDRESS: catalog.address });
  const required = ['--kind', 'iceberg', '--uri', 'file:///warehouse', '--destination-catalog', 'main'];
  return {
    address: catalog.address,
    clients,
    jobs,
    run,
    create: (name, ...more) => run('connector', 'create', name, ...required, ...more),
    async restart(downMs) {
      const { address } = catalog;
      await catalog.stop();
      await new Promise((resolve) => setTimeout(resolve, downMs));
      catalog = await start(address);
      // Wait until the test's own connection works again.
      await waitFor(() => clients.connectors.listConnectors({}), { timeout: 10_000 });
    },
    async [Symbol.asyncDispose]() {
      clients.close();
      await catalog.stop();
    },
  };
}

/** A folder on the PATH in which `reconciler` is linked, so that hints have the plain name. */
const linked = mkdtempSync(join(tmpdir(), 'linked-'));
writeFileSync(join(linked, 'reconciler'), '', { mode: 0o755 });
afterAll(() => rmSync(linked, { recursive: true }));

/** Runs one command line in this process and catches what it writes. */
export async function runCli(args: string[], env: Record<string, string> = {}): Promise<Ran> {
  const written = { stdout: '', stderr: '' };
  for (const [name, value] of Object.entries({
    FORCE_COLOR: '0',
    NO_COLOR: '',
    PATH: `${linked}${delimiter}${process.env.PATH}`,
    ...env,
  }))
    stubEnv(name, value);
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    jest.spyOn(process[name], 'write').mockImplementation((chunk) => {
      written[name] += String(chunk);
      return true;
    }),
  );
  try {
    const code = await main(args);
    return {
      code,
      ...written,
      get json() {
        return written.stdout
          .trimEnd()
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line));
      },
    };
  } finally {
    for (const spy of spies) spy.mockRestore();
    unstubAllEnvs();
  }
}
