import { CodedError } from '../../errors.ts';
import { JsonFields } from '../../formats/json/json-fields.ts';
import { rememberIssuedSecret } from '../../secrets.ts';
import type { VendedCredential } from '../rest/loaded-table.ts';
import { parseResponse } from '../rest/parse-response.ts';
import { ResponseError } from '../rest/response-error.ts';
import type { DeltaEndpoints } from './delta-endpoints.ts';
import { tablePath } from './managed-commits.ts';
import { nameText, type UnityApi, type UnityName } from './unity-api.ts';
import { isUnknownCall } from './unknown-call.ts';

const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Requests temporary credentials for reading a table's files, as the properties of Iceberg's FileIO. None if its files need none, as on a file system.
 *
 * @throws CodedError `PERMISSION_DENIED` that names what Databricks requires, if they are refused
 */
export async function temporaryCredentials(
  api: UnityApi,
  endpoints: DeltaEndpoints,
  name: UnityName,
  table: { id: string; location: string },
): Promise<VendedCredential[]> {
  try {
    return (await endpoints.has(name.catalog, 'credentials'))
      ? await credentialsByName(api, name, table.location)
      : await credentialsById(api, table);
  } catch (error) {
    throw refusedCredentials(name, error);
  }
}

/** `GET /delta/v1/…/credentials`: each has a prefix, and the longest one that fits a path counts. */
async function credentialsByName(api: UnityApi, name: UnityName, location: string): Promise<VendedCredential[]> {
  const url = `${api.base}/${tablePath(name)}/credentials?operation=READ`;
  const { json } = await api.client.json({ url, maxBytes: MAX_BYTES, confidential: true });
  return parseResponse(`GET ${url}`, 'credentials', 'DATA_LOSS', () =>
    withheld(json)
      .objects('storage-credentials')
      .flatMap((entry) => {
        const config = entry.has('config') ? entry.object('config') : withheld({});
        const prefix = entry.string('prefix');
        return vended(prefix || location, {
          keyId: config.optionalString('s3.access-key-id'),
          key: config.optionalString('s3.secret-access-key'),
          session: config.optionalString('s3.session-token'),
          sas: config.optionalString('azure.sas-token'),
          oauth: config.optionalString('gcs.oauth-token'),
          expiresAtMs: entry.optionalInteger('expiration-time-ms'),
        });
      }),
  );
}

/** `POST /temporary-table-credentials` */
async function credentialsById(
  api: UnityApi,
  { id, location }: { id: string; location: string },
): Promise<VendedCredential[]> {
  const url = `${api.base}/temporary-table-credentials`;
  const body = { table_id: id, operation: 'READ' };
  const request = { url, json: { method: 'POST' as const, body }, maxBytes: MAX_BYTES, confidential: true };
  const { json } = await api.client.json(request);
  return parseResponse(`POST ${url}`, 'credentials', 'DATA_LOSS', () => {
    const fields = withheld(json);
    const part = (field: string) => (fields.has(field) ? fields.object(field) : withheld({}));
    const aws = part('aws_temp_credentials');
    return vended(location, {
      keyId: aws.optionalString('access_key_id'),
      key: aws.optionalString('secret_access_key'),
      session: aws.optionalString('session_token'),
      sas: part('azure_user_delegation_sas').optionalString('sas_token'),
      oauth: part('gcp_oauth_token').optionalString('oauth_token'),
      expiresAtMs: fields.optionalInteger('expiration_time'),
    });
  });
}

/** Values are withheld from errors, because a malformed response may contain credentials in any field. */
const withheld = (json: unknown) => new JsonFields(json, '', 'withheld');

interface Keys {
  keyId?: string;
  key?: string;
  session?: string;
  sas?: string;
  oauth?: string;
  expiresAtMs?: number;
}

/** The properties in which Iceberg's catalogs vend such keys. */
function vended(prefix: string, { keyId, key, session, sas, oauth, expiresAtMs }: Keys): VendedCredential[] {
  for (const secret of [key, session, sas, oauth]) if (secret) rememberIssuedSecret(secret);
  const expiring = (name: string): Record<string, string> => (expiresAtMs ? { [name]: String(expiresAtMs) } : {});
  const config: Record<string, string> = {};
  if (keyId && key) {
    config['s3.access-key-id'] = keyId;
    config['s3.secret-access-key'] = key;
    if (session) config['s3.session-token'] = session;
    Object.assign(config, expiring('s3.session-token-expires-at-ms'));
  }
  if (sas) {
    const account = /^[a-z]+:\/\/[^/@]+@([^/]+)/i.exec(prefix)?.[1] ?? '';
    config[`adls.sas-token.${account}`] = sas.replace(/^\?/, '');
    Object.assign(config, expiring(`adls.sas-token-expires-at-ms.${account}`));
  }
  if (oauth) Object.assign(config, { 'gcs.oauth2.token': oauth }, expiring('gcs.oauth2.token-expires-at'));
  return Object.keys(config).length > 0 ? [{ prefix, config }] : [];
}

/** Databricks may answer 401 to a valid token if external access is off. */
const EXTERNAL_ACCESS_OFF = /outside of Databricks|EXTERNAL_GENERATE_TABLE_CREDENTIALS_DENIED|external.*access/i;

function refusedCredentials(name: UnityName, error: unknown): unknown {
  if (!(error instanceof ResponseError)) return error;
  // The table is gone: that the server vends no credentials is another matter.
  if (error.status === 404 && !isUnknownCall(error))
    return new CodedError('NOT_FOUND', error.message, { cause: error });
  const isOff = (error.status === 400 || error.status === 401) && EXTERNAL_ACCESS_OFF.test(error.message);
  if (error.status !== 403 && !isOff) return error;
  const { catalog, schema } = name;
  const { status, reported } = error;
  // Without the request, because lists of jobs cut long messages.
  const answer = reported ? `${status} ${reported.type}: ${reported.message.replace(/\.?$/, '.')}` : error.message;
  return new CodedError(
    'PERMISSION_DENIED',
    `Unity Catalog gives no temporary credentials for table ${nameText(name)}: ${answer} On Databricks, these require the privilege EXTERNAL USE ` +
      `SCHEMA on ${catalog}.${schema} (ALL PRIVILEGES does not include it; the catalog's owner grants it), SELECT on the table, and external data access ` +
      'enabled on the metastore. Tables with row filters or column masks are refused in any case.',
    { cause: error },
  );
}
