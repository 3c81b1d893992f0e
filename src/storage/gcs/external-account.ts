import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CodedError } from '../../errors.ts';
import { rememberIssuedSecret } from '../../secrets.ts';
import { type Token, tokenIn } from '../cloud/credentials.ts';
import { requestToken, requestTokenText } from '../cloud/token-request.ts';
import type { HttpSettings } from '../http/send-request.ts';
import { resolveReference } from '../secret-reference.ts';

/** An identity of another provider, which Google trusts (workload identity federation). */
export interface ExternalAccount {
  audience: string;
  subjectTokenType: string;
  tokenUrl: string;
  /** Where the other provider's token is: `credential_source`. */
  source: unknown;
  impersonationUrl?: string;
}

/**
 * Exchanges the other provider's token for one of Google (RFC 8693). https://google.aip.dev/auth/4117
 *
 * @param failed start of error messages
 * @throws CodedError `UNIMPLEMENTED` for tokens of AWS, of a certificate or of a program; `FAILED_PRECONDITION` if there is no token; as
 *   `requestToken` does
 */
export async function externalToken(
  account: ExternalAccount,
  scope: string,
  failed: string,
  settings: HttpSettings,
): Promise<Token> {
  const subject = await subjectToken(account.source, failed, settings);
  const response = await requestToken({
    url: account.tokenUrl,
    form: {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      audience: account.audience,
      scope,
      subject_token_type: account.subjectTokenType,
      subject_token: subject,
    },
    failed,
    settings,
  });
  const token = tokenIn(response, 'Google');
  rememberIssuedSecret(token.value, subject);
  return token;
}

async function subjectToken(source: unknown, failed: string, settings: HttpSettings): Promise<string> {
  const { file, url, headers, format } = (source ?? {}) as {
    file?: unknown;
    url?: unknown;
    headers?: Record<string, string>;
    format?: { type?: string; subject_token_field_name?: string };
  };
  let text: string;
  if (typeof file === 'string' && !settings.isWorkersOwn) {
    // Whoever wrote the credentials may not be whoever starts the worker.
    text = await resolveReference(`file:${resolve(file)}`, 'credential_source.file of gcs.credentials');
  } else if (typeof file === 'string') {
    text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new CodedError('FAILED_PRECONDITION', `${failed}: the token file ${file} cannot be read (${error.code})`);
    });
  } else if (typeof url === 'string' && !('environment_id' in (source as object))) {
    // Such addresses are those of the machine or the cluster.
    const lowered = Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]);
    text = await requestTokenText({ url, headers: Object.fromEntries(lowered), failed, settings });
  } else {
    throw new CodedError(
      'UNIMPLEMENTED',
      `${failed}: its credential_source is neither a file nor a url. Use a service account's key or the metadata server`,
    );
  }
  if (format?.type !== 'json') return text.trim();
  let token: unknown;
  try {
    token = JSON.parse(text)[format.subject_token_field_name ?? ''];
  } catch {
    // Not shown, because it may contain a token.
  }
  if (typeof token === 'string' && token !== '') return token;
  throw new CodedError('FAILED_PRECONDITION', `${failed}: its credential_source has no token`);
}
