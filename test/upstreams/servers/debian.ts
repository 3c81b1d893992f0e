import { existsSync } from 'node:fs';
import { runInstaller } from './cache.ts';

/**
 * The first of these paths that exists. If there is none, installs Debian's package, which requires root.
 *
 * @throws Error that states what to install
 */
export async function debianProgram(name: string, places: readonly string[]): Promise<string> {
  const there = () => places.find((path) => existsSync(path));
  if (!there() && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    console.error(`installing ${name} with apt-get; this takes about a minute`);
    await runInstaller('apt-get', ['update', '-qq']);
    await runInstaller('apt-get', ['install', '-y', '-qq', '--no-install-recommends', name]);
  }
  const path = there();
  if (!path) throw new Error(`none of ${places.join(', ')} exists: install Debian's package ${name}`);
  return path;
}
