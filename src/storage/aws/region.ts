import { S3Client } from '@aws-sdk/client-s3';
import { CodedError } from '../../errors.ts';
import type { AwsService } from './credentials.ts';

/** Signs requests to a server of one's own, for which no region is said. */
export const DEFAULT_REGION = 'us-east-1';

/**
 * The region by `<service>.region`, `client.region`, `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile. For requests that are signed to a
 * REST catalog `rest.signing-region` comes first; with a role to take on, `client.assume-role.region` before `client.region`.
 *
 * @throws CodedError `INVALID_ARGUMENT` if none of them says it
 */
export async function awsRegion(properties: Readonly<Record<string, string>>, service: AwsService): Promise<string> {
  const region =
    (service === 'rest' && properties['rest.signing-region']) ||
    properties[`${service}.region`] ||
    (properties['client.assume-role.arn'] && properties['client.assume-role.region']) ||
    properties['client.region'] ||
    process.env.AWS_REGION ||
    process.env.AWS_DEFAULT_REGION ||
    (await profileRegion(properties[`${service}.profile-name`] || properties['client.profile-name'] || undefined));
  if (region) return region;
  throw new CodedError(
    'INVALID_ARGUMENT',
    `no AWS region for ${service}: set the connector's property client.region or ${service}.region, or AWS_REGION for the worker`,
  );
}

/** As the SDK finds it in the shared files. */
async function profileRegion(profile: string | undefined): Promise<string | undefined> {
  try {
    return await new S3Client(profile === undefined ? {} : { profile }).config.region();
  } catch {
    return undefined; // 'Region is missing'
  }
}
