import { CodedError } from '../../errors.ts';

/** The address of a Glue catalog. Absent parts come from AWS's own settings (environment, profile). */
export interface GlueAddress {
  region?: string;
  /** If absent, the endpoint of `AWS_ENDPOINT_URL_GLUE` or `AWS_ENDPOINT_URL`, or otherwise the region's own. */
  endpoint?: string;
}

/** `eu-west-1`, `us-gov-east-1`, `cn-north-1`, `us-iso-east-1` */
const REGION = /^[a-z]{2,}(-[a-z]+)+-\d+$/;
/** `glue.eu-west-1.amazonaws.com`, `glue-fips.us-east-1.api.aws`, `vpce-0a-1b.glue.eu-west-1.vpce.amazonaws.com`, … */
const AWS_HOST =
  /(?:^|\.)glue(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)$/;

/**
 * Parses the connector's URI: empty or `glue:` for the region of AWS's settings, `glue://eu-west-1`, or the URL of an endpoint. The
 * properties `glue.endpoint`, `glue.region` and `client.region` take precedence over it.
 *
 * @throws CodedError `INVALID_ARGUMENT` for any other URI
 */
export function glueAddress(uri: string, properties: Readonly<Record<string, string>>): GlueAddress {
  const fromConnectorUri = parseUri(uri);
  const region = properties['glue.region'] || properties['client.region'] || fromConnectorUri.region;
  const endpoint = properties['glue.endpoint']
    ? httpUrl(properties['glue.endpoint'], 'glue.endpoint')
    : fromConnectorUri.endpoint;
  return { ...(region && { region }), ...(endpoint && { endpoint }) };
}

function parseUri(uri: string): GlueAddress {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(uri) ?? [];
  if (uri === '') return {};
  if (scheme.toLowerCase() === 'glue') {
    const region = rest.replace(/^\/\//, '').replace(/\/+$/, '');
    if (region === '') return {};
    if (REGION.test(region)) return { region };
    throw new CodedError(
      'INVALID_ARGUMENT',
      `the URI ${uri} does not name an AWS region. Use one such as glue://eu-west-1, or glue:// for the region of the worker's settings.`,
    );
  }
  const endpoint = httpUrl(uri, 'the URI');
  const region = AWS_HOST.exec(new URL(endpoint).hostname)?.[1];
  return { endpoint, ...(region && { region }) };
}

function httpUrl(text: string, what: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.hostname !== '') return text;
  throw new CodedError(
    'INVALID_ARGUMENT',
    `${what} of a Glue connector is ${JSON.stringify(text.slice(0, 200))}. Use glue://REGION, or the URL of an endpoint such as ` +
      'https://glue.eu-west-1.amazonaws.com.',
  );
}
