import type { Moto } from '../servers/moto.ts';

/** Connector properties that use moto as S3. Credentials come from the worker's environment (`moto.env`). */
export function connectorS3(moto: Moto): Record<string, string> {
  return { 's3.endpoint': moto.url, 's3.path-style-access': 'true', 's3.region': moto.access.region };
}

/** pyiceberg's catalog properties for moto's S3, with credentials. */
export function pyicebergS3({ url, access }: Moto): Record<string, string> {
  return {
    's3.endpoint': url,
    's3.access-key-id': access.accessKeyId,
    's3.secret-access-key': access.secretAccessKey,
    's3.region': access.region,
  };
}
