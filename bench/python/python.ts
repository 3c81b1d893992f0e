import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const here = import.meta.dirname;

/** Path of Python in a virtual environment with `requirements.txt`, which is created in `cacheDir` the first time. */
export function ensurePython(cacheDir: string): string {
  const folder = join(cacheDir, 'python');
  const python = join(folder, 'bin', 'python');
  const stamp = join(folder, '.installed');
  if (!existsSync(stamp)) {
    console.error('bench: installing pyiceberg (once)');
    execFileSync('python3', ['-m', 'venv', folder], { stdio: ['ignore', 2, 2] });
    const install = ['-m', 'pip', 'install', '--quiet', '--requirement', join(here, 'requirements.txt')];
    execFileSync(python, install, { stdio: ['ignore', 2, 2] });
    writeFileSync(stamp, '');
  }
  return python;
}

/** Runs a script of this folder that prints one line of JSON. */
export async function runScript<T>(python: string, script: string, ...args: string[]): Promise<T> {
  const { stdout } = await promisify(execFile)(python, [join(here, script), ...args]);
  return JSON.parse(stdout) as T;
}

/** Path of a warehouse of Iceberg tables in `cacheDir`, made by `make_table.py` if it does not exist. */
export function ensureWarehouse(python: string, cacheDir: string, name: string, ...args: string[]): Promise<string> {
  return ensureMade(python, cacheDir, name, 'make_table.py', args);
}

/** The same for Delta tables, by `make_delta.py`. */
export function ensureDeltaWarehouse(python: string, cacheDir: string, name: string, ...args: string[]) {
  return ensureMade(python, cacheDir, name, 'make_delta.py', args);
}

/** A table of many versions, or with a large checkpoint, by `make_delta_log.py`. */
export function ensureDeltaLog(python: string, cacheDir: string, name: string, ...args: string[]) {
  return ensureMade(python, cacheDir, name, 'make_delta_log.py', args);
}

async function ensureMade(python: string, cacheDir: string, name: string, script: string, args: string[]) {
  const warehouse = join(cacheDir, name);
  const stamp = join(warehouse, '.made');
  if (existsSync(stamp)) return warehouse;
  console.error(`bench: making ${name} (once)`);
  // The metadata contains absolute paths, so the warehouse is made in place. The remains of an interrupted run are deleted.
  rmSync(warehouse, { recursive: true, force: true });
  mkdirSync(warehouse, { recursive: true });
  await runScript(python, script, ...args, '--warehouse', warehouse);
  writeFileSync(`${stamp}.new`, '');
  renameSync(`${stamp}.new`, stamp);
  return warehouse;
}
