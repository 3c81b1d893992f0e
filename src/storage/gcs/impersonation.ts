import { CodedError } from '../../errors.ts';
import { type Token, tokenIn } from '../cloud/credentials.ts';
import { requestToken } from '../cloud/token-request.ts';
import type { HttpSettings } from '../http/send-request.ts';

/** Reading objects needs no more. */
export const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_only';
/** What a token needs that is used to get others. */
export const CLOUD_SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const IAM = 'https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts';

/**
 * A token of another service account.
 * https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
 *
 * @param account.delegates the service accounts in between
 * @param account.url replaces the account's own URL
 * @throws CodedError as `requestToken` does
 */
export async function impersonated(
  { account, delegates, url }: { account: string; delegates: readonly string[]; url?: string },
  source: Token,
  settings: HttpSettings,
): Promise<Token> {
  if (!/^[^\s/?#]+@[^\s/?#]+$/.test(account) && url === undefined) {
    throw new CodedError('FAILED_PRECONDITION', `${account} is not the e-mail address of a service account`);
  }
  const response = await requestToken({
    url: url ?? `${IAM}/${account}:generateAccessToken`,
    headers: { authorization: `Bearer ${source.value}` },
    json: { scope: [SCOPE], delegates: delegates.map((name) => `projects/-/serviceAccounts/${name}`) },
    failed: `cannot impersonate the Google service account ${account}`,
    settings,
  });
  return tokenIn(response, 'IAM');
}
