import { existsSync } from 'node:fs';
import { runInstaller } from './cache.ts';

/** Debian's, Fedora's and Chrome's own. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/**
 * Path of a Chromium of this machine; where there is none it is installed from Debian's packages, which takes root.
 *
 * @throws Error that says what to install
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
