import { join } from 'node:path';
import { installed, runInstaller } from '../test/upstreams/servers/cache.ts';
import { type Server, startServer } from '../test/upstreams/servers/server.ts';

/** Go module version. MinIO (AGPL) is a tool of the benchmark and not a part of the product. */
const VERSION = 'v0.0.0-20260212201848-7aac2a2c5b7c';

/**
 * Starts MinIO, an S3 that verifies signatures and is fast enough not to be the bottleneck (moto's serves 300 reads per second). It is built
 * the first time, which takes minutes.
 */
export async function startMinio(access: { accessKeyId: string; secretAccessKey: string }): Promise<Server> {
  const folder = await installed(`minio-${VERSION}`, async (unfinished) => {
    const work = join(unfinished, 'build');
    const env = [`GOBIN=${unfinished}`, `GOPATH=${work}`, `GOCACHE=${join(work, 'cache')}`, 'GOFLAGS=-modcacherw'];
    await runInstaller('env', [...env, 'go', 'install', `github.com/minio/minio@${VERSION}`]);
    await runInstaller('rm', ['-rf', work]);
  });
  return startServer({
    name: 'minio',
    command: join(folder, 'minio'),
    start: (port, data) => ({
      args: ['server', '--address', `127.0.0.1:${port}`, join(data, 'data')],
      env: {
        MINIO_ROOT_USER: access.accessKeyId,
        MINIO_ROOT_PASSWORD: access.secretAccessKey,
        MINIO_BROWSER: 'off',
        MINIO_UPDATE: 'off',
      },
    }),
    readyPath: '/minio/health/ready',
  });
}
