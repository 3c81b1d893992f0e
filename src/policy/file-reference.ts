import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { POLICY_SETTING, PolicyError } from './policy-error.ts';

/** Where the system's own files are, which are not secrets for connectors. */
const SYSTEM = ['/proc', '/sys', '/dev', '/etc'];

/** Which files a reference may read after its links are followed. */
export type FileRule = (real: string) => Promise<string | undefined>;

/**
 * The rule without a policy file.
 *
 * @param dataDir the folder of the catalog's own data
 */
export function defaultFileRule(dataDir: string): FileRule {
  return async (real) => {
    const excluded = [...SYSTEM, await realPath(dataDir)];
    const folder = excluded.find((each) => isBelow(real, each));
    return folder && `it is below ${folder}`;
  };
}

/** The rule of an entry of a policy: a link may not lead out of the folder before the first `*`. A path without `*` may be a link to any file. */
export function entryFileRule(pattern: string): FileRule {
  const at = pattern.indexOf('*');
  if (at < 0) return async () => undefined;
  const folder = pattern.slice(0, pattern.lastIndexOf('/', at)) || '/';
  return async (real) =>
    isBelow(real, await realPath(folder)) ? undefined : `it is a link that leads out of ${folder}`;
}

/**
 * Opens a file that a reference names, after its links were followed and the result was checked.
 *
 * @param reference for the error
 * @throws PolicyError if the rule refuses it; errors of the file system
 */
export async function openSecretFile(path: string, reference: string, rule: FileRule): Promise<FileHandle> {
  const real = await realpath(path).catch(async (error) => {
    // The error must not reveal which files exist where none may be read.
    const folder = await realpath(dirname(path)).catch(() => dirname(path));
    await check(folder);
    throw error;
  });
  await check(real);
  // O_NONBLOCK, so that opening a pipe does not block; O_NOFOLLOW, because a link in its place was not checked.
  return open(real, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);

  async function check(file: string): Promise<void> {
    const problem = await rule(file);
    if (problem === undefined) return;
    throw new PolicyError(
      `the worker does not read ${reference}: ${problem}. Keep the secret in another file, or have it listed in the worker's policy ` +
        `(${POLICY_SETTING})`,
    );
  }
}

function realPath(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);
}
