import { python } from './python.ts';
import { type Server, startServer } from './server.ts';

/** Any are taken: moto checks no signature. */
const ACCESS = { accessKeyId: 'AKIATESTACCESSKEY', secretAccessKey: 'moto-takes-any-secret', region: 'us-east-1' };

/** AWS by moto: S3, Glue, STS and Secrets Manager at one address. */
export interface Moto extends Server {
  readonly access: typeof ACCESS;
  /** What makes an AWS SDK speak to it, for child processes. */
  readonly env: Readonly<Record<string, string>>;
  createBucket(name: string): Promise<void>;
}

export async function startMoto(): Promise<Moto> {
  const server = await startServer({
    name: 'moto',
    command: await python(),
    start: (port) => ({ args: ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)] }),
    readyPath: '/moto-api/',
  });
  return {
    ...server,
    access: ACCESS,
    env: {
      AWS_ACCESS_KEY_ID: ACCESS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ACCESS.secretAccessKey,
      AWS_REGION: ACCESS.region,
      AWS_DEFAULT_REGION: ACCESS.region,
      AWS_ENDPOINT_URL: server.url,
    },
    async createBucket(name) {
      const response = await fetch(`${server.url}/${name}`, { method: 'PUT' });
      if (!response.ok) throw new Error(`moto made no bucket ${name}: ${response.status} ${await response.text()}`);
    },
  };
}
