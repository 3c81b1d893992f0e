import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installed, mavenRepository, runInstaller } from './cache.ts';
import { findJava } from './java.ts';

const POM = fileURLToPath(new URL('delta-jars-pom.xml', import.meta.url));

/** A Python with pyspark and delta-rs, and what Spark needs to write Delta tables. */
export interface Spark {
  python: string;
  env: { JAVA_HOME: string; DELTA_JARS: string };
}

/** Installs Spark 4.1 with Delta 4.4 and delta-rs the first time (0.9 GB). */
export async function spark(): Promise<Spark> {
  const folder = await installed('spark-4.1.4-delta-4.4.0', async (unfinished) => {
    const venv = join(unfinished, 'venv');
    await runInstaller('python3', ['-m', 'venv', venv]);
    await Promise.all([
      runInstaller(join(venv, 'bin', 'python'), [
        ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input'],
        ...['pyspark==4.1.4', 'deltalake==1.6.6', 'pyarrow'],
      ]),
      runInstaller('mvn', [
        ...['-q', '-B', ...mavenRepository(), '-f', POM],
        'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies',
        `-DoutputDirectory=${join(unfinished, 'jars')}`,
      ]),
    ]);
  });
  return {
    python: join(folder, 'venv', 'bin', 'python'),
    // Spark 4 needs Java 17 or 21.
    env: { JAVA_HOME: dirname(dirname(findJava({ min: 17, max: 21 }))), DELTA_JARS: join(folder, 'jars') },
  };
}
