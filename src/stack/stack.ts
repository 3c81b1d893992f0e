import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_ADDRESS } from '../config.ts';
import { declarationOf, SEARCH_ATTRIBUTES } from '../contract/search-attributes.ts';
import { CodedError } from '../errors.ts';
import { waitUntilServing } from './health.ts';
import { tryLock } from './lock-file.ts';
import { findNode, type NodeRuntime } from './node-runtime.ts';
import { choosePort } from './ports.ts';
import { makeDataDir } from './private-data.ts';
import { startReaper } from './reaper.ts';
import { readStackFile, STACK_NAMESPACE, type StackFile, writeStackFile } from './stack-file.ts';
import { type ProcessSpec, type Supervised, supervise } from './supervise.ts';
import { findTemporalCli } from './temporal-cli.ts';

const HOST = '127.0.0.1';
/** Temporal's own defaults. */
const DEFAULT_UI_PORT = 8233;
const DEFAULT_TEMPORAL_PORT = 7233;
/** The command that users run; it installs and builds what is missing. */
const CLI = fileURLToPath(new URL('../../bin/reconciler.js', import.meta.url));

/** Node 20's default, in MiB. With Node 24's, which is twice that, a worker needs 100 MiB more for the same speed. Not settable later. */
const YOUNG_GENERATION = '--max-semi-space-size=16';

export interface StackOptions {
  /** All state is stored below it. One stack at a time uses it. */
  dataDir: string;
  /** Port of the catalog service; must be free if given. */
  port?: number;
  /** Port of the Temporal UI; must be free if given. */
  uiPort?: number;
  cacheDir: string;
  temporalCli?: string;
  /** Receives one line for people about a slow step or a problem. */
  log(line: string): void;
  /** Aborts the start; the processes that have started are stopped. */
  signal?: AbortSignal;
  env?: NodeJS.ProcessEnv;
}

export interface Stack {
  readonly dataDir: string;
  /** The catalog service, host:port. */
  readonly address: string;
  readonly uiUrl: string;
  readonly temporalAddress: string;
  /** Where catalog and worker serve metrics and answer probes, host:port. */
  readonly observed: StackFile['observed'];
  /** What catalog and worker run on. */
  readonly node: NodeRuntime;
  /** Stops worker, catalog and Temporal, in this order. */
  stop(): Promise<void>;
}

/**
 * Starts Temporal's dev server, the catalog service and a worker as separate processes, and restarts whichever ends. Resolves when all
 * three serve.
 *
 * @throws CodedError INVALID_ARGUMENT for a named port that is taken, FAILED_PRECONDITION if another stack uses the data directory or no
 *   Temporal CLI is found, UNAVAILABLE if a process does not become ready. The processes that have started are stopped.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const dataDir = resolve(options.dataDir);
  const lock = tryLock(join(dataDir, 'up.lock'));
  if ('owner' in lock) {
    const running = readStackFile(dataDir);
    throw new CodedError(
      'FAILED_PRECONDITION',
      `another stack runs on ${dataDir}: pid ${lock.owner}${running?.pid === lock.owner ? `, catalog at ${running.address}` : ''}. ` +
        `Use that stack, stop it (kill ${lock.owner}), or name another --data-dir.`,
    );
  }
  makeDataDir(dataDir);
  const started: Supervised[] = [];
  const reaper = startReaper();
  const stop = async () => {
    // Whoever stops this process may have stopped the others as well, so none of them is restarted.
    for (const process of started) process.retire();
    for (const process of started.reverse()) await process.stop();
    started.length = 0;
    reaper.close();
    lock.release();
  };
  try {
    const temporalCli = await findTemporalCli({
      cacheDir: options.cacheDir,
      explicit: options.temporalCli,
      env: options.env,
      log: options.log,
      signal: options.signal,
    });
    const env = options.env ?? process.env;
    const node = await findNode(env, { signal: options.signal });
    // All processes inherit it, so that nobody else can read what they create. The Temporal CLI, above, may be shared.
    process.umask(0o077);
    const stack = await choosePorts(dataDir, options);
    const save = () => {
      for (const process of started) stack.processes[process.name] = process.pid;
      writeStackFile(dataDir, stack);
    };
    const superviseOptions = { reaper, log: options.log, onChange: save, signal: options.signal };
    for (const spec of processes(dataDir, stack, { temporalCli, node: node.command, env })) {
      options.signal?.throwIfAborted();
      started.push(await supervise(spec, superviseOptions));
    }
    save();
    return {
      dataDir,
      address: stack.address,
      uiUrl: stack.uiUrl,
      temporalAddress: stack.temporalAddress,
      observed: stack.observed,
      node,
      async stop() {
        await stop();
        writeStackFile(dataDir, { ...stack, pid: undefined, processes: {} });
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function choosePorts(dataDir: string, { port, uiPort, log }: StackOptions): Promise<StackFile> {
  const before = readStackFile(dataDir);
  const portOf = (address: string | undefined) => {
    const found = Number(address?.split(':').at(-1));
    return found > 0 ? [found] : [];
  };
  const catalog = await choosePort(HOST, { option: '--port', named: port, preferred: portOf(DEFAULT_ADDRESS) });
  if (catalog.insteadOf) log(`port ${catalog.insteadOf} is taken; the catalog service uses ${catalog.port}`);
  const ui = await choosePort(HOST, { option: '--ui-port', named: uiPort, preferred: [DEFAULT_UI_PORT] });
  if (ui.insteadOf) log(`port ${ui.insteadOf} is taken; the Temporal UI uses ${ui.port}`);
  // A stack on the default port uses Temporal's usual port too, so that Temporal's CLI needs no options; others use last time's port.
  const usual = [...(port === undefined ? [DEFAULT_TEMPORAL_PORT] : []), ...portOf(before?.temporalAddress)];
  const temporal = await choosePort(HOST, { option: '', preferred: usual });
  // Nobody needs to know these ports beforehand: the same as last time if free, otherwise any.
  const chooseAddress = async (before: string | undefined) =>
    `${HOST}:${(await choosePort(HOST, { option: '', preferred: portOf(before) })).port}`;
  const endpoints = async (before: { metrics: string; health: string } | undefined) => ({
    metrics: await chooseAddress(before?.metrics),
    health: await chooseAddress(before?.health),
  });
  return {
    pid: process.pid,
    observed: {
      catalog: await endpoints(before?.observed?.catalog),
      worker: await endpoints(before?.observed?.worker),
    },
    address: `${HOST}:${catalog.port}`,
    uiUrl: `http://${HOST}:${ui.port}`,
    temporalAddress: `${HOST}:${temporal.port}`,
    processes: {},
  };
}

/** The processes that `up` starts, in this order. */
function processes(
  dataDir: string,
  stack: StackFile,
  { temporalCli, node, env }: { temporalCli: string; node: string; env: NodeJS.ProcessEnv },
): ProcessSpec[] {
  const logFile = (name: string) => join(dataDir, 'logs', `${name}.log`);
  const portOf = (address: string) => address.split(':').at(-1) as string;
  const stackEnv = {
    ...withoutTemporal(env),
    ...WITHOUT_CREDENTIALS,
    // The catalog service makes it when it starts.
    RECONCILER_TOKEN_FILE: join(dataDir, 'token'),
    TEMPORAL_ADDRESS: stack.temporalAddress,
    TEMPORAL_NAMESPACE: STACK_NAMESPACE,
    // The user's own profile may require TLS or a key, which the dev server does not have.
    TEMPORAL_CONFIG_FILE: join(dataDir, 'no-temporal-profile.toml'),
    RECONCILER_ADDRESS: stack.address,
    RECONCILER_DATA_DIR: dataDir,
    RECONCILER_TEMPORAL_UI: stack.uiUrl,
    // With a deployment, jobs would wait forever, because no version of it is current on this server.
    RECONCILER_DEPLOYMENT: undefined,
    // The processes call each other on this machine only, and identify themselves by the token of the data directory.
    RECONCILER_TLS_CERT: undefined,
    RECONCILER_TLS_KEY: undefined,
    RECONCILER_TLS_CLIENT_CA: undefined,
    RECONCILER_OIDC: undefined,
  };
  const envOf = (name: 'catalog' | 'worker') => ({
    ...stackEnv,
    RECONCILER_METRICS_ADDRESS: stack.observed[name].metrics,
    RECONCILER_HEALTH_ADDRESS: stack.observed[name].health,
  });
  return [
    {
      name: 'temporal',
      command: temporalCli,
      args: [
        ...['server', 'start-dev', '--db-filename', join(dataDir, 'temporal.db'), '--ip', HOST],
        ...['--port', portOf(stack.temporalAddress), '--ui-port', portOf(stack.uiUrl), '--ui-ip', HOST],
        ...Object.values(SEARCH_ATTRIBUTES).flatMap((key) => ['--search-attribute', declarationOf(key)]),
        ...['--log-level', 'warn'],
      ],
      env: { ...withoutTemporal(env), ...WITHOUT_CREDENTIALS },
      logFile: logFile('temporal'),
      whenReady: (_, signal) =>
        waitUntilServing(stack.temporalAddress, 'temporal.api.workflowservice.v1.WorkflowService', signal),
      graceMs: 4_000,
    },
    {
      name: 'catalog',
      command: node,
      args: [CLI, 'catalog', '--address', stack.address, '--database', join(dataDir, 'catalog.db')],
      env: envOf('catalog'),
      logFile: logFile('catalog'),
      whenReady: (_, signal) => waitUntilServing(stack.address, '', signal),
      graceMs: 3_500,
    },
    {
      name: 'worker',
      command: node,
      args: [YOUNG_GENERATION, CLI, 'worker'],
      env: envOf('worker'),
      logFile: logFile('worker'),
      // A worker listens on no port; it sends a message once it polls.
      whenReady: async (child, signal) => void (await once(child, 'message', { signal })),
      // Longer than the worker waits for its activities.
      graceMs: 11_000,
    },
  ];
}

/** The user's own credentials and tenant are those of another catalog service. */
const WITHOUT_CREDENTIALS = {
  RECONCILER_TOKEN: undefined,
  RECONCILER_TOKEN_COMMAND: undefined,
  RECONCILER_TENANT: undefined,
  RECONCILER_CA: undefined,
  RECONCILER_CLIENT_CERT: undefined,
  RECONCILER_CLIENT_KEY: undefined,
};

function withoutTemporal(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_')));
}
