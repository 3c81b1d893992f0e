import { S3Client } from '@aws-sdk/client-s3';
import { CodedError } from '../../errors.ts';
import type { AwsService } from './credentials.ts';

/** Region for signing requests to a self-hosted server if none is configured. */
export const DEFAULT_REGION = 'us-east-1';

/**
 * The region from `<service>.region`, `client.region`, `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile, in this order. For signed requests to
 * a REST catalog `rest.signing-region` comes first; if a role is assumed, `client.assume-role.region` comes before `client.region`.
 *
 * @throws CodedError `FAILED_PRECONDITION` if none of them is set
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
    'FAILED_PRECONDITION',
    `no AWS region is set for ${service}: set the connector's property client.region or ${service}.region, or AWS_REGION for the worker`,
  );
}

/** The region that the SDK finds in the shared configuration files. */
async function profileRegion(profile: string | undefined): Promise<string | undefined> {
  try {
    return await new S3Client(profile === undefined ? {} : { profile }).config.region();
  } catch {
    return undefined; // 'Region is missing'
  }
}
