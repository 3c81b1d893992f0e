import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { shellWord } from '../../../src/text.ts';
import { installed, mavenRepository, runInstaller } from './cache.ts';
import { findJava } from './java.ts';

const POM = fileURLToPath(new URL('temporal-test-server-pom.xml', import.meta.url));

/** Installs the server and returns the folder of its jars. */
export function installTemporalTestServer(): Promise<string> {
  return installed('temporal-test-server-1.38.0', (folder) =>
    runInstaller('mvn', [
      ...['-q', '-B', ...mavenRepository(), '-f', POM],
      'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies',
      `-DoutputDirectory=${folder}`,
    ]),
  );
}

/**
 * Starts the in-memory server of Temporal's Java SDK 1.38.0, whose time is skipped while a test waits for a result or for `sleep`, and nothing
 * runs. It is the server that the TypeScript SDK would download as a native image.
 */
export async function startTemporalTestServer(): Promise<TestWorkflowEnvironment> {
  const lib = await installTemporalTestServer();
  const folder = mkdtempSync(join(tmpdir(), 'temporal-test-server-'));
  try {
    // The SDK starts an executable, with the port and --enable-time-skipping.
    const path = join(folder, 'server');
    const java = [findJava({ min: 17 }), '-Xmx256m', '-XX:+UseSerialGC', '-cp', join(lib, '*')]
      .map(shellWord)
      .join(' ');
    writeFileSync(path, `#!/bin/sh\nexec ${java} io.temporal.testserver.TestServer "$@"\n`);
    chmodSync(path, 0o755);
    return await TestWorkflowEnvironment.createTimeSkipping({
      server: { executable: { type: 'existing-path', path } },
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
