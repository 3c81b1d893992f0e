import { sign } from 'node:crypto';
import { CodedError } from '../../errors.ts';
import { checkSecretUse } from '../../policy/secret-grants.ts';
import { rememberConnectorSecret } from '../../secrets.ts';
import { type Token, tokenIn } from '../cloud/credentials.ts';
import { requestToken } from '../cloud/token-request.ts';
import type { HttpSettings } from '../http/send-request.ts';
import { type ExternalAccount, externalToken } from './external-account.ts';
import { CLOUD_SCOPE, impersonated, SCOPE } from './impersonation.ts';

const TOKEN_URI = 'https://oauth2.googleapis.com/token';
/** The longest lifetime that Google accepts. */
const ASSERTION_SECONDS = 3_600;
/** Chains of impersonation are no longer in practice. */
const MAX_DEPTH = 3;

/** Credentials in the JSON that Google's tools write. */
export type GoogleCredentials = { readonly name: string } & (
  | { type: 'service_account'; email: string; privateKey: string; keyId?: string; tokenUri: string }
  | { type: 'authorized_user'; clientId: string; clientSecret: string; refreshToken: string; tokenUri: string }
  | { type: 'external_account'; external: ExternalAccount }
  | { type: 'impersonated_service_account'; url: string; delegates: string[]; source: GoogleCredentials }
);

/**
 * Parses the JSON of a service account's key, of `gcloud auth application-default login`, of a workload identity federation, or of an impersonated
 * service account. https://google.aip.dev/auth/4110
 *
 * @param where the text is from, for messages
 * @throws CodedError `FAILED_PRECONDITION` for JSON of another kind; the message shows no values
 */
export function parseGoogleCredentials(text: string, where: string): GoogleCredentials {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new CodedError('FAILED_PRECONDITION', `${where} has no JSON of Google credentials`);
  }
  return credentialsIn(json, where, 0);
}

function credentialsIn(json: unknown, where: string, depth: number): GoogleCredentials {
  const fields = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
  const text = (name: string): string => {
    const value = fields[name];
    if (typeof value === 'string' && value !== '') return value;
    throw new CodedError('FAILED_PRECONDITION', `${where} has Google credentials without the field ${name}`);
  };
  const secret = (name: string): string => {
    const value = text(name);
    rememberConnectorSecret(value);
    return value;
  };
  const tokenUri = () => (fields.token_uri === undefined ? TOKEN_URI : text('token_uri'));
  const { type } = fields;
  switch (type) {
    case 'service_account':
      return {
        type,
        name: `the service account ${text('client_email')}`,
        email: text('client_email'),
        privateKey: secret('private_key'),
        tokenUri: tokenUri(),
        ...(typeof fields.private_key_id === 'string' && { keyId: fields.private_key_id }),
      };
    case 'authorized_user':
      return {
        type,
        name: 'an authorized user',
        clientId: text('client_id'),
        clientSecret: secret('client_secret'),
        refreshToken: secret('refresh_token'),
        tokenUri: tokenUri(),
      };
    case 'external_account':
      return {
        type,
        name: `the workload identity of ${text('audience')}`,
        external: {
          audience: text('audience'),
          subjectTokenType: text('subject_token_type'),
          tokenUrl: text('token_url'),
          source: fields.credential_source,
          ...(fields.service_account_impersonation_url !== undefined && {
            impersonationUrl: text('service_account_impersonation_url'),
          }),
        },
      };
    case 'impersonated_service_account': {
      if (depth === MAX_DEPTH) {
        throw new CodedError('FAILED_PRECONDITION', `${where} impersonates more than ${MAX_DEPTH} accounts`);
      }
      const url = text('service_account_impersonation_url');
      const delegates = Array.isArray(fields.delegates) ? fields.delegates.map(String) : [];
      const source = credentialsIn(fields.source_credentials, where, depth + 1);
      return { type, name: `${accountIn(url)}, impersonated with ${source.name}`, url, delegates, source };
    }
    default:
      throw new CodedError(
        'FAILED_PRECONDITION',
        `${where} has no Google credentials that are supported: the field type must be service_account, authorized_user, external_account or ` +
          'impersonated_service_account',
      );
  }
}

/**
 * Requests a token.
 *
 * @throws CodedError as `requestToken` does, and as `externalToken`
 */
export async function googleToken(
  credentials: GoogleCredentials,
  settings: HttpSettings,
  scope = SCOPE,
): Promise<Token> {
  const failed = `cannot get a token for ${credentials.name}`;
  switch (credentials.type) {
    case 'service_account': {
      const form = {
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: assertion(credentials, scope),
      };
      return tokenIn(await requestToken({ url: credentials.tokenUri, form, failed, settings }), 'Google');
    }
    case 'authorized_user': {
      const { clientId, clientSecret, refreshToken } = credentials;
      // The scopes are those of the login.
      const form = {
        grant_type: 'refresh_token',
        client_id: clientId,
        client_secret: clientSecret,
        refresh_token: refreshToken,
      };
      return tokenIn(await requestToken({ url: credentials.tokenUri, form, failed, settings }), 'Google');
    }
    case 'external_account': {
      const { external } = credentials;
      const url = external.impersonationUrl;
      const token = await externalToken(external, url === undefined ? scope : CLOUD_SCOPE, failed, settings);
      return url === undefined ? token : impersonated({ account: accountIn(url), delegates: [], url }, token, settings);
    }
    case 'impersonated_service_account': {
      const { url, delegates, source } = credentials;
      const token = await googleToken(source, settings, CLOUD_SCOPE);
      return impersonated({ account: accountIn(url), delegates, url }, token, settings);
    }
  }
}

/** The claims of a service account, signed with its key (RFC 7523). https://google.aip.dev/auth/4112 */
function assertion(
  { email, privateKey, keyId, tokenUri }: Extract<GoogleCredentials, { type: 'service_account' }>,
  scope: string,
): string {
  if (URL.canParse(tokenUri)) checkSecretUse(privateKey, new URL(tokenUri));
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: 'RS256', typ: 'JWT', ...(keyId && { kid: keyId }) };
  const claims = { iss: email, scope, aud: tokenUri, iat: now, exp: now + ASSERTION_SECONDS };
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  let signature: Buffer;
  try {
    signature = sign('RSA-SHA256', Buffer.from(signed), privateKey);
  } catch {
    // The error of OpenSSL does not help, and must not show the key.
    throw new CodedError('FAILED_PRECONDITION', `the private key of the Google service account ${email} is not valid`);
  }
  return `${signed}.${signature.toString('base64url')}`;
}

/** The service account in the URL of its impersonation. */
function accountIn(url: string): string {
  return /serviceAccounts\/([^/:]+):/.exec(url)?.[1] ?? 'a service account';
}
