import { existsSync } from 'node:fs';
import { runInstaller } from './cache.ts';

/** Paths of Debian's, Fedora's and Google's packages. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/**
 * Path of this machine's Chromium. If there is none, installs Debian's package, which requires root.
 *
 * @throws Error that states what to install
 */
export async function chromium(): Promise<string> {
  const there = () => PLACES.find((path) => existsSync(path));
  if (!there() && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    console.error('installing chromium with apt-get; this takes about a minute');
    await runInstaller('apt-get', ['update', '-qq']);
    await runInstaller('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium']);
  }
  const path = there();
  if (!path) throw new Error(`no Chromium in ${PLACES.join(', ')}: install Debian's package chromium`);
  return path;
}
