import { readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runCommand } from './run-command.ts';

/** Needs a third less CPU for a new stack's first job than Node 20 (docs/decisions/speed.md). */
const PREFERRED = 24;
/** The next one that has not been tried. */
const UNTRIED = 25;

export interface NodeRuntime {
  command: string;
  /** Without `v`. */
  version: string;
}

/**
 * The Node that catalog and worker run on: this process's own if it is 24 or newer, otherwise a Node 24 on PATH or of a version manager (nvm, fnm,
 * mise, asdf, Volta), and this process's own if there is none.
 */
export async function findNode(
  env: NodeJS.ProcessEnv,
  { signal, own = { command: process.execPath, version: process.versions.node } }: FindNodeOptions = {},
): Promise<NodeRuntime> {
  if (majorOf(own.version) >= PREFERRED) return own;
  for (const command of candidates(env)) {
    const { code, stdout } = await runCommand(command, ['--version'], { timeoutMs: 2_000, env, signal });
    const version = /^v(\d+\.\d+\.\d+)\s*$/.exec(stdout)?.[1];
    if (code !== 0 || version === undefined) continue;
    if (majorOf(version) >= PREFERRED && majorOf(version) < UNTRIED) return { command, version };
  }
  return own;
}

interface FindNodeOptions {
  signal?: AbortSignal;
  /** For tests on a Node that is itself preferred. */
  own?: NodeRuntime;
}

const majorOf = (version: string): number => Number(version.split('.')[0]);

/** Programs that may be a Node 24. Those of version managers have their version in their path, so that only those of 24 are run. */
function candidates(env: NodeJS.ProcessEnv): string[] {
  const home = env.HOME ?? '';
  const data = env.XDG_DATA_HOME || join(home, '.local', 'share');
  const onPath = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const managed: [folder: string, ...below: string[]][] = [
    [join(env.NVM_DIR || join(home, '.nvm'), 'versions', 'node'), 'bin', 'node'],
    [join(env.FNM_DIR || join(data, 'fnm'), 'node-versions'), 'installation', 'bin', 'node'],
    [join(env.MISE_DATA_DIR || join(data, 'mise'), 'installs', 'node'), 'bin', 'node'],
    [join(env.ASDF_DATA_DIR || join(home, '.asdf'), 'installs', 'nodejs'), 'bin', 'node'],
    [join(env.VOLTA_HOME || join(home, '.volta'), 'tools', 'image', 'node'), 'bin', 'node'],
  ];
  const programs = managed.flatMap(([folder, ...below]) =>
    namesIn(folder)
      .filter((name) => new RegExp(`^v?${PREFERRED}\\.`).test(name))
      .map((name) => join(folder, name, ...below)),
  );
  return [...new Set([...onPath.map((folder) => join(folder, 'node')), ...programs])];
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
