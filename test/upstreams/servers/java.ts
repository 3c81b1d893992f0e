import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where installers put Java, each in one folder per version. */
const USUAL_FOLDERS = ['/usr/lib/jvm', '/opt/java', '/opt', '/Library/Java/JavaVirtualMachines'];

/** Path of the `java` with the lowest major version from `min` to `max`, both included; throws if there is none. */
export function findJava({ min, max = Number.POSITIVE_INFINITY }: { min: number; max?: number }): string {
  const found = homes()
    .map((home) => ({ java: join(home, 'bin', 'java'), major: majorVersion(home) }))
    .filter(({ java }) => existsSync(java));
  const fitting = found.filter(({ major }) => major >= min && major <= max).sort((a, b) => a.major - b.major);
  if (fitting[0]) return fitting[0].java;
  const versions = max === Number.POSITIVE_INFINITY ? `${min} or newer` : `${min} to ${max}`;
  const there =
    found.map(({ java, major }) => `${java} is ${major || 'of an unknown version'}`).join(', ') || 'no Java at all';
  throw new Error(`this test's server needs Java ${versions}. Install one or set JAVA_HOME to it. Found: ${there}.`);
}

function homes(): string[] {
  const folders = [...USUAL_FOLDERS, join(homedir() || '/', '.sdkman', 'candidates', 'java')];
  const below = folders.flatMap((folder) => {
    if (!existsSync(folder)) return [];
    return readdirSync(folder).flatMap((name) => [join(folder, name), join(folder, name, 'Contents', 'Home')]);
  });
  return process.env.JAVA_HOME ? [process.env.JAVA_HOME, ...below] : below;
}

/** Major version from Java's `release` file; 0 if there is none. */
function majorVersion(home: string): number {
  try {
    const version = /^JAVA_VERSION="?(1\.)?(\d+)/m.exec(readFileSync(join(home, 'release'), 'utf8'));
    return Number(version?.[2] ?? 0);
  } catch {
    return 0;
  }
}
