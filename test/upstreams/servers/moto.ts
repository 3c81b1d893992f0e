import { python } from './python.ts';
import { type Server, startServer } from './server.ts';

/** Any credentials will do, because moto verifies no signatures. */
const ACCESS = { accessKeyId: 'AKIATESTACCESSKEY', secretAccessKey: 'moto-takes-any-secret', region: 'us-east-1' };

/** moto, a fake of AWS: S3, Glue, STS and Secrets Manager at one address. */
export interface Moto extends Server {
  readonly access: typeof ACCESS;
  /** Environment variables with which an AWS SDK uses moto, for child processes. */
  readonly env: Readonly<Record<string, string>>;
  createBucket(name: string): Promise<void>;
  /** Writes an object. @param body if undefined, the object is deleted */
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
  // moto requires a signature but does not verify it.
  const authorization = `AWS4-HMAC-SHA256 Credential=${ACCESS.accessKeyId}/20260101/${ACCESS.region}/s3/aws4_request`;
  const response = await fetch(url, { method: body ? 'PUT' : 'DELETE', body, headers: { authorization } });
  if (!response.ok) throw new Error(`moto answered ${response.status} for ${url}: ${await response.text()}`);
}
