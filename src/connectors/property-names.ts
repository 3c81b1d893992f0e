import { distance } from 'fastest-levenshtein';

/** The properties that are read for every kind of connector. Those of `adls.` may end with an account. */
const NAMES = `
  s3.endpoint s3.region s3.path-style-access s3.force-virtual-addressing s3.access-key-id
  s3.secret-access-key s3.session-token s3.profile-name s3.role-arn s3.anonymous s3.requester-pays
  s3.cross-region-access-enabled s3.connect-timeout-ms s3.socket-timeout-ms s3.connect-timeout
  s3.request-timeout s3.remote-signing-enabled s3.signer s3.external-id s3.sts-endpoint
  client.region client.access-key-id client.secret-access-key client.session-token client.profile-name
  client.assume-role.arn client.assume-role.region client.assume-role.session-name client.sts.endpoint
  client.assume-role.external-id client.assume-role.timeout-sec
  adls.connection-string adls.sas-token adls.auth.shared-key.account.name adls.auth.shared-key.account.key
  adls.account-name adls.account-key adls.token adls.tenant-id adls.client-id adls.client-secret adls.anon
  adls.account-host adls.blob-storage-authority adls.blob-storage-scheme
  gcs.credentials gcs.oauth2.token gcs.no-auth gcs.user-project gcs.service.host
  gcp.impersonate.service-account gcp.impersonate.delegates
  secretsmanager.endpoint
  rest.access-delegation rest.client.socket-timeout-ms rest.client.connection-timeout-ms
  rest.client.proxy.hostname rest.client.proxy.port rest.client.proxy.username rest.client.proxy.password
  rest.signing-name rest.signing-region rest.sigv4-enabled rest.access-key-id rest.secret-access-key
  rest.session-token rest.auth.type
  storage.allowed-locations
  warehouse
  prefix
`
  .trim()
  .split(/\s+/);
/** Those that are read for one kind. */
const OF_KIND: Readonly<Record<string, readonly string[]>> = {
  UNITY: ['catalog'],
  GLUE: ['glue.region', 'glue.id', 'glue.endpoint', 'glue.formats', 'glue.access-key-id', 'glue.secret-access-key'],
};
/** Characters by which a misspelled name differs from the one that was meant. */
const MAX_DISTANCE = 2;

/**
 * Properties that nothing reads, but that are almost the name of one that is read. Other unknown ones may be meant for the upstream or another client.
 *
 * @returns each with the name that was probably meant
 */
export function misspelledProperties(
  kind: string,
  properties: Readonly<Record<string, string>>,
): { name: string; meant: string }[] {
  const names = [...NAMES, ...(OF_KIND[kind] ?? [])];
  const isKnown = (name: string) => names.some((known) => name === known || name.startsWith(`${known}.`));
  return Object.keys(properties).flatMap((name) => {
    if (isKnown(name) || properties[name] === '') return [];
    const [nearest] = names
      .map((known) => ({ known, far: distance(name.toLowerCase(), known) }))
      .sort((a, b) => a.far - b.far);
    const isNear = nearest !== undefined && nearest.far <= Math.min(MAX_DISTANCE, name.length / 3);
    return isNear ? [{ name, meant: nearest.known }] : [];
  });
}
