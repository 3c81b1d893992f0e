import { CodedError } from '../../errors.ts';
import { type AwsCall, type AwsError, awsError } from '../aws/errors.ts';
import { OverlongBodyError, TruncatedBodyError } from '../http/read-body.ts';

/** Like `awsError`, with S3's own errors. */
export function s3Error(error: unknown, call: AwsCall & { bucket: string }): CodedError {
  const { failed, where, bucket } = call;
  const { name = '', $metadata } = error as AwsError;
  const coded = (code: CodedError['code'], text: string) =>
    new CodedError(code, `${failed}: ${text}`, { cause: error });
  if (error instanceof TruncatedBodyError || error instanceof OverlongBodyError) {
    return coded('UNAVAILABLE', `every response of ${where} was truncated or too long (${error.message})`);
  }
  switch (name) {
    case 'NoSuchKey':
      return coded('NOT_FOUND', `there is no such object at ${where}`);
    case 'NoSuchBucket':
      return coded('NOT_FOUND', `there is no bucket ${bucket} at ${where}`);
    case 'InvalidObjectState':
      return coded('FAILED_PRECONDITION', 'the object is archived; restore it to a storage class that can be read');
    case 'PermanentRedirect':
    case 'TemporaryRedirect':
    case 'Redirect':
      return coded(
        'FAILED_PRECONDITION',
        `bucket ${bucket} is not at ${where}${regionNamedIn(error) === undefined ? '' : ` but in ${regionNamedIn(error)}`}: set ` +
          's3.region (and s3.endpoint, if you have set it)',
      );
    case 'InvalidBucketName':
      return coded('INVALID_ARGUMENT', `${bucket} is not a valid bucket name`);
  }
  const status = $metadata?.httpStatusCode;
  if (status === 404) return coded('NOT_FOUND', `there is no such object at ${where}`);
  const mapped = awsError(error, call);
  if (mapped.code !== 'PERMISSION_DENIED') return mapped;
  return new CodedError(
    'PERMISSION_DENIED',
    `${mapped.message}. S3 also returns this for missing objects if the credentials may not list the bucket (s3:ListBucket)`,
    { cause: error },
  );
}

/** The bucket's region, if S3 named it in a response that redirects to another region. */
export function regionNamedIn(error: unknown): string | undefined {
  const { name = '', $metadata, $response, Region } = error as AwsError & { Region?: string };
  const status = $metadata?.httpStatusCode ?? 0;
  if (status !== 301 && status !== 307 && status !== 400) return undefined;
  if (
    status === 400 &&
    !/^(AuthorizationHeaderMalformed|IllegalLocationConstraintException|Unknown(Error)?|\d*)$/.test(name)
  ) {
    return undefined;
  }
  return $response?.headers?.['x-amz-bucket-region'] || Region || undefined;
}
