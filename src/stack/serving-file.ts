import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from './lock-file.ts';

/** `catalog.json` in a data directory: the catalog service that uses it. */
interface Serving {
  pid: number;
  /** host:port */
  address: string;
}

const pathIn = (dataDir: string) => join(dataDir, 'catalog.json');

/** Records that this process serves the catalog of a data directory. @returns what removes the record */
export function recordServing(dataDir: string, address: string): () => void {
  const serving: Serving = { pid: process.pid, address };
  const temporary = `${pathIn(dataDir)}.${process.pid}`;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  writeFileSync(temporary, `${JSON.stringify(serving)}\n`, { mode: 0o600 });
  renameSync(temporary, pathIn(dataDir));
  return () => {
    if (readServing(dataDir)?.pid === process.pid) rmSync(pathIn(dataDir), { force: true });
  };
}

/** @returns the address of the catalog service that uses the data directory; undefined if none runs */
export function servedAddress(dataDir: string): string | undefined {
  const serving = readServing(dataDir);
  return serving && isAlive(serving.pid) ? serving.address : undefined;
}

function readServing(dataDir: string): Serving | undefined {
  try {
    return JSON.parse(readFileSync(pathIn(dataDir), 'utf8')) as Serving;
  } catch {
    return undefined;
  }
}
