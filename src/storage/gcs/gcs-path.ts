import { CodedError } from '../../errors.ts';
import type { Place } from '../cloud/cloud-service.ts';

/**
 * Bucket and key of `gs://bucket/key`. Iceberg's writers store keys unencoded, so `%20`, `+`, `?` and `#` are parts of the key.
 *
 * @throws CodedError `INVALID_ARGUMENT` if the bucket is missing
 */
export function gcsPath(path: string): Place {
  const [, bucket = '', key = ''] = /^gs:\/\/([^/]*)\/?(.*)$/is.exec(path) ?? [];
  if (bucket === '') throw new CodedError('INVALID_ARGUMENT', `${path} names no bucket: write gs://bucket/key`);
  return { account: '', bucket, key };
}
