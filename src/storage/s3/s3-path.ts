import { CodedError } from '../../errors.ts';

export interface S3Path {
  bucket: string;
  /** As it stands in the path: nothing is decoded. Empty for the bucket itself. */
  key: string;
}

/**
 * Bucket and key of `s3://bucket/key`, `s3a:` and `s3n:` too. Iceberg's writers put keys into metadata as they are: `%20`, `+`, `?` and
 * `#` are parts of them.
 *
 * @throws CodedError `INVALID_ARGUMENT` without a bucket
 */
export function s3Path(path: string): S3Path {
  const [, bucket = '', key = ''] = /^s3[an]?:\/\/([^/]*)\/?(.*)$/is.exec(path) ?? [];
  if (bucket === '') throw new CodedError('INVALID_ARGUMENT', `${path} names no bucket: write s3://bucket/key`);
  return { bucket, key };
}
