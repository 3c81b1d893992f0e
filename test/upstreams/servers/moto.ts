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
  /** @param body Without one the object is deleted. */
  putObject(bucket: string, key: string, body?: Uint8Array): Promise<void>;
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
    createBucket: (name) => put(`${server.url}/${name}`, new Uint8Array()),
    putObject: (bucket, key, body) =>
      put(`${server.url}/${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`, body),
  };
}

async function put(url: string, body?: Uint8Array): Promise<void> {
  // moto asks that there be a signature, not that it be right.
  const authorization = `AWS4-HMAC-SHA256 Credential=${ACCESS.accessKeyId}/20260101/${ACCESS.region}/s3/aws4_request`;
  const response = await fetch(url, { method: body ? 'PUT' : 'DELETE', body, headers: { authorization } });
  if (!response.ok) throw new Error(`moto answered ${response.status} for ${url}: ${await response.text()}`);
}
