import { fileURLToPath } from 'node:url';
import type { Truth } from '../integration/contents/truth.ts';
import { runPython } from './servers/python.ts';

/** A table of a catalog, and its content according to the engine that wrote it. */
export interface WrittenTable {
  path: string[];
  truth: Truth;
}

/**
 * Runs a writer of `engines/`.
 *
 * @param catalog pyiceberg's properties of the REST catalog
 * @returns every table that the catalog lists afterwards
 */
export async function write(
  script: 'write_tables.py' | 'keep_writing.py',
  args: string[],
  input: { catalog: Record<string, string>; [parameter: string]: unknown },
): Promise<WrittenTable[]> {
  return JSON.parse(await runPython(fileURLToPath(new URL(`engines/${script}`, import.meta.url)), args, { input }));
}
