import { CreateDatabaseCommand, CreateTableCommand, GlueClient } from '@aws-sdk/client-glue';
import { S3Client } from '@aws-sdk/client-s3';
import { startIcebergRest } from '../test/upstreams/servers/iceberg-rest.ts';
import { startMoto } from '../test/upstreams/servers/moto.ts';
import { inParallel } from './in-parallel.ts';
import { loadBucket } from './load-bucket.ts';
import { BUCKET, type ManyTables, NAMESPACE } from './many-tables.ts';
import { startMinio } from './minio.ts';
import { PagedGlue } from './paged-glue.ts';

/** URLs of an upstream's servers, or of proxies in front of them. */
export interface Addresses {
  rest?: string;
  glue?: string;
  s3?: string;
}

/** Servers on this machine that contain the tables. */
export interface Upstream extends AsyncDisposable {
  addresses: Addresses;
  /** Options of `connector create` for these addresses. */
  connector(addresses: Addresses): string[];
  /** Properties of the catalog for pyiceberg. */
  datahub: Record<string, string>;
}

/** Credentials for MinIO, which verifies them; moto accepts any. */
const ACCESS = { accessKeyId: 'bench-access', secretAccessKey: 'bench-secret', region: 'us-east-1' };

/** The credentials as environment variables, for child processes. */
export const AWS_ENV = {
  AWS_ACCESS_KEY_ID: ACCESS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: ACCESS.secretAccessKey,
  AWS_REGION: ACCESS.region,
};

/** Starts Iceberg's own REST server, with the tables on MinIO or on this disk. */
export async function restUpstream(many: ManyTables): Promise<Upstream> {
  const s3 = many.root.startsWith('s3:') ? await startMinio(ACCESS) : undefined;
  if (s3) await loadBucket(s3Client(s3.url), BUCKET, many.folder);
  const warehouse = `${many.root}/${NAMESPACE}`;
  const rest = await startIcebergRest({ warehouse, ...(s3 && { s3: { url: s3.url, access: ACCESS } }) });
  await post(rest.url, '/v1/namespaces', { namespace: [NAMESPACE] });
  await inParallel(many.tables, 8, ({ name, metadataLocation }) =>
    post(rest.url, `/v1/namespaces/${NAMESPACE}/register`, { name, 'metadata-location': metadataLocation }),
  );
  return {
    addresses: { rest: rest.url, ...(s3 && { s3: s3.url }) },
    connector: (addresses) => ['--kind', 'iceberg', '--uri', addresses.rest!, ...s3Properties(addresses)],
    datahub: { type: 'rest', uri: rest.url, ...(s3 && pyicebergS3(s3.url)) },
    [Symbol.asyncDispose]: () => endAll(rest, s3),
  };
}

/** Starts moto's Glue with pages as on AWS, and with the tables on MinIO. */
export async function glueUpstream(many: ManyTables): Promise<Upstream> {
  const s3 = await startMinio(ACCESS);
  await loadBucket(s3Client(s3.url), BUCKET, many.folder);
  const moto = await startMoto();
  const paged = await PagedGlue.start(moto.url);
  const glue = new GlueClient({ endpoint: moto.url, region: ACCESS.region, credentials: ACCESS });
  await glue.send(new CreateDatabaseCommand({ DatabaseInput: { Name: NAMESPACE } }));
  await inParallel(many.tables, 8, async ({ name, location, metadataLocation }) => {
    const Parameters = { table_type: 'ICEBERG', metadata_location: metadataLocation };
    const table = { Name: name, TableType: 'EXTERNAL_TABLE', Parameters, StorageDescriptor: { Location: location } };
    await glue.send(new CreateTableCommand({ DatabaseName: NAMESPACE, TableInput: table }));
  });
  const keys = { 'glue.access-key-id': ACCESS.accessKeyId, 'glue.secret-access-key': ACCESS.secretAccessKey };
  return {
    addresses: { glue: paged.url, s3: s3.url },
    connector: (addresses) => [
      '--kind',
      'glue',
      '--uri',
      addresses.glue!,
      '--property',
      `glue.region=${ACCESS.region}`,
      ...s3Properties(addresses),
    ],
    datahub: { type: 'glue', 'glue.endpoint': moto.url, 'glue.region': ACCESS.region, ...keys, ...pyicebergS3(s3.url) },
    [Symbol.asyncDispose]: () => endAll(paged, moto, s3),
  };
}

async function endAll(...parts: (AsyncDisposable | undefined)[]): Promise<void> {
  for (const part of parts) await part?.[Symbol.asyncDispose]();
}

function s3Client(endpoint: string): S3Client {
  return new S3Client({ endpoint, region: ACCESS.region, credentials: ACCESS, forcePathStyle: true });
}

function s3Properties({ s3 }: Addresses): string[] {
  if (s3 === undefined) return [];
  const properties = [`s3.endpoint=${s3}`, 's3.path-style-access=true', `s3.region=${ACCESS.region}`];
  return properties.flatMap((property) => ['--property', property]);
}

function pyicebergS3(endpoint: string): Record<string, string> {
  return {
    's3.endpoint': endpoint,
    's3.region': ACCESS.region,
    's3.access-key-id': ACCESS.accessKeyId,
    's3.secret-access-key': ACCESS.secretAccessKey,
  };
}

async function post(url: string, path: string, body: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${text.slice(0, 500)}`);
}
