import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installed, mavenRepository, runInstaller } from './cache.ts';
import { findJava } from './java.ts';
import type { Moto } from './moto.ts';
import { type Server, startServer } from './server.ts';

const POM = fileURLToPath(new URL('iceberg-rest-pom.xml', import.meta.url));

export interface IcebergRestOptions {
  /** `file:///folder` or `s3://bucket/prefix`. */
  warehouse: string;
  /** The S3 of an S3 warehouse. */
  s3?: Pick<Moto, 'url' | 'access'>;
}

/** Installs the server and returns the folder of its jars. */
export function installIcebergRest(): Promise<string> {
  return installed('iceberg-rest-1.11.0', (folder) =>
    runInstaller('mvn', [
      ...['-q', '-B', ...mavenRepository(), '-f', POM],
      'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies',
      `-DoutputDirectory=${folder}`,
    ]),
  );
}

/** Starts Iceberg's own REST catalog server 1.11.0 on SQLite. Its config sets `.` as the separator of namespace levels in paths. */
export async function startIcebergRest({ warehouse, s3 }: IcebergRestOptions): Promise<Server> {
  const lib = await installIcebergRest();
  return startServer({
    name: 'iceberg-rest',
    // The server's Hadoop needs the security manager, which Java 24 removed.
    command: findJava({ min: 17, max: 23 }),
    start: (port, folder) => {
      mkdirSync(join(folder, 'db'));
      return {
        args: ['-Xmx512m', '-XX:+UseSerialGC', '-cp', join(lib, '*'), 'org.apache.iceberg.rest.RESTCatalogServer'],
        env: {
          REST_PORT: String(port),
          CATALOG_REST_PORT: String(port),
          CATALOG_CATALOG__IMPL: 'org.apache.iceberg.jdbc.JdbcCatalog',
          CATALOG_URI: `jdbc:sqlite:${join(folder, 'db', 'catalog.sqlite')}`,
          CATALOG_JDBC_SCHEMA__VERSION: 'V1',
          CATALOG_WAREHOUSE: warehouse,
          ...(s3 && {
            CATALOG_IO__IMPL: 'org.apache.iceberg.aws.s3.S3FileIO',
            CATALOG_S3_ENDPOINT: s3.url,
            CATALOG_S3_PATH__STYLE__ACCESS: 'true',
            AWS_ACCESS_KEY_ID: s3.access.accessKeyId,
            AWS_SECRET_ACCESS_KEY: s3.access.secretAccessKey,
            AWS_REGION: s3.access.region,
          }),
        },
      };
    },
    readyPath: '/v1/config',
  });
}
