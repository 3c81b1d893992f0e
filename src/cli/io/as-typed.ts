import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const NAME = 'reconciler';
const CHECKOUT = fileURLToPath(new URL('../../../', import.meta.url));

/** A command in a text: the name, followed by a subcommand; not a part of a path, a URL or another name. */
const COMMAND = /(?<![\w/.:@-]|npx )reconciler(?= [a-z]+\b)/g;

/**
 * The text with its commands (`reconciler job list`) as they work in this shell: as they are once the command line is on the PATH,
 * with `npx` in a folder in which npm finds it, otherwise with the path of this program. Messages of the service and of workers,
 * which do not know the shell, are changed in the same way.
 */
export function asTyped(text: string): string {
  return text.includes(NAME) ? text.replace(COMMAND, () => nameIn(process.env.PATH ?? '', process.cwd())) : text;
}

/** What to type in a shell with this PATH and working directory. */
export function nameIn(path: string, folder: string, checkout = CHECKOUT): string {
  // npm and npx put these folders on the PATH of what they run, and not on that of the shell.
  const folders = path.split(delimiter).filter((entry) => entry !== '' && !/node_modules[\\/]\.bin[\\/]?$/.test(entry));
  if (folders.some((entry) => isExecutable(join(entry, NAME)))) return NAME;
  return npmFindsIt(resolve(folder), checkout)
    ? `npx ${NAME}`
    : `node ${shellPath(join(checkout, 'bin', `${NAME}.js`))}`;
}

/** npx runs the program of the package that contains the folder, or one that is installed there. */
function npmFindsIt(folder: string, checkout: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'node_modules', '.bin', NAME))) return true;
    if (existsSync(join(at, 'package.json'))) return resolve(at) === resolve(checkout);
    if (at === dirname(at)) return false;
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const shellPath = (path: string) => (/^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);
