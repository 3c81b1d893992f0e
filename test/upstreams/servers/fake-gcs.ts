import { join } from 'node:path';
import { installed, runInstaller } from './cache.ts';
import { type Server, startServer } from './server.ts';

const VERSION = 'v1.56.1';

/** fake-gcs-server, an emulator of Google Cloud Storage. It verifies no tokens. */
export interface FakeGcs extends Server {
  createBucket(name: string): Promise<void>;
  putObject(bucket: string, name: string, body: Uint8Array, headers?: Record<string, string>): Promise<void>;
}

/** Builds the server, which takes minutes the first time. */
export async function installFakeGcs(): Promise<string> {
  const folder = await installed(`fake-gcs-server-${VERSION}`, async (unfinished) => {
    const work = join(unfinished, 'build');
    const env = [`GOBIN=${unfinished}`, `GOPATH=${work}`, `GOCACHE=${join(work, 'cache')}`, 'GOFLAGS=-modcacherw'];
    await runInstaller('env', [...env, 'go', 'install', `github.com/fsouza/fake-gcs-server@${VERSION}`]);
    await runInstaller('rm', ['-rf', work]);
  });
  return join(folder, 'fake-gcs-server');
}

export async function startFakeGcs(): Promise<FakeGcs> {
  const server = await startServer({
    name: 'fake-gcs',
    command: await installFakeGcs(),
    start: (port) => ({
      args: [
        '-scheme',
        'http',
        '-host',
        '127.0.0.1',
        '-port',
        String(port),
        '-backend',
        'memory',
        '-public-host',
        `127.0.0.1:${port}`,
      ],
    }),
    readyPath: '/_internal/healthcheck',
  });
  const post = async (path: string, body: Uint8Array | string, headers: Record<string, string>) => {
    const response = await fetch(server.url + path, { method: 'POST', body, headers });
    if (!response.ok)
      throw new Error(`fake-gcs-server answered ${response.status} for ${path}: ${await response.text()}`);
  };
  return {
    ...server,
    createBucket: (name) => post('/storage/v1/b', JSON.stringify({ name }), { 'content-type': 'application/json' }),
    putObject: (bucket, name, body, headers = {}) =>
      post(`/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${encodeURIComponent(name)}`, body, {
        'content-type': 'application/octet-stream',
        ...headers,
      }),
  };
}
