import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { installed, mavenRepository, runInstaller } from './cache.ts';
import { findJava } from './java.ts';
import type { Moto } from './moto.ts';
import { type Server, startServer } from './server.ts';

/** Nessie 0.99.0 in memory. Its Iceberg REST catalog is at `restUrl`, and its prefix is the branch. */
export interface Nessie extends Server {
  readonly restUrl: string;
}

/** Installs Nessie and returns the folder of its jar. */
export function installNessie(): Promise<string> {
  return installed('nessie-0.99.0', (folder) =>
    runInstaller('mvn', [
      ...['-q', '-B', ...mavenRepository(), 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy'],
      '-Dartifact=org.projectnessie.nessie:nessie-quarkus:0.99.0:jar:runner',
      `-DoutputDirectory=${folder}`,
    ]),
  );
}

/** Starts Nessie. @param options.warehouse `s3://bucket/prefix` on moto; the bucket must exist */
export async function startNessie(options: { warehouse: string; s3: Pick<Moto, 'url' | 'access'> }): Promise<Nessie> {
  const folder = await installNessie();
  const jar = readdirSync(folder).find((name) => name.endsWith('.jar'));
  if (!jar) throw new Error(`${folder} has no jar: delete it to have it installed again`);
  const { s3, warehouse } = options;
  const settings = {
    'quarkus.http.host': '127.0.0.1',
    // Any port, because only the other one is used.
    'quarkus.management.port': '0',
    'quarkus.management.host': '127.0.0.1',
    'quarkus.banner.enabled': 'false',
    'nessie.version.store.type': 'IN_MEMORY',
    'nessie.catalog.default-warehouse': 'warehouse',
    'nessie.catalog.warehouses.warehouse.location': warehouse,
    'nessie.catalog.service.s3.default-options.endpoint': s3.url,
    'nessie.catalog.service.s3.default-options.region': s3.access.region,
    'nessie.catalog.service.s3.default-options.path-style-access': 'true',
    'nessie.catalog.service.s3.default-options.access-key': 'urn:nessie-secret:quarkus:test-key',
    'test-key.name': s3.access.accessKeyId,
    'test-key.secret': s3.access.secretAccessKey,
  };
  const server = await startServer({
    name: 'nessie',
    command: findJava({ min: 21 }),
    start: (port) => ({
      args: [
        ...['-Xmx512m', '-XX:+UseSerialGC', `-Dquarkus.http.port=${port}`],
        ...Object.entries(settings).map(([name, value]) => `-D${name}=${value}`),
        ...['-jar', join(folder, jar)],
      ],
    }),
    readyPath: '/iceberg/v1/config',
  });
  return { ...server, restUrl: `${server.url}/iceberg` };
}
