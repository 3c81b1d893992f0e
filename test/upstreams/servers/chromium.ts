import { debianProgram } from './debian.ts';

/** Paths of Debian's, Fedora's and Google's packages. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Path of this machine's Chromium. */
export const chromium = (): Promise<string> => debianProgram('chromium', PLACES);
