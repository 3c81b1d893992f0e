import { readFile } from 'node:fs/promises';
import { CodedError } from '../../errors.ts';
import { type Token, tokenIn } from '../cloud/credentials.ts';
import { requestToken } from '../cloud/token-request.ts';
import type { HttpSettings } from '../http/send-request.ts';

/** The audience of tokens for Azure's storage, in all of its clouds. */
export const STORAGE_RESOURCE = 'https://storage.azure.com';
const DEFAULT_AUTHORITY = 'https://login.microsoftonline.com';

export interface Principal {
  tenantId: string;
  clientId: string;
  /** The client's secret. */
  secret?: string;
  /** A file with a token of another issuer, which the client trusts (workload identity federation). */
  tokenFile?: string;
}

/**
 * A token by the client credentials grant. The authority is `AZURE_AUTHORITY_HOST` of this process, or that of Azure's public cloud.
 * https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
 *
 * @throws CodedError as `requestToken` does
 */
export async function principalToken(
  principal: Principal,
  { proxy, isWorkersOwn }: Pick<HttpSettings, 'proxy' | 'isWorkersOwn'> = {},
): Promise<Token> {
  const { tenantId, clientId, secret, tokenFile } = principal;
  if (!/^[A-Za-z0-9.-]+$/.test(tenantId)) {
    throw new CodedError('FAILED_PRECONDITION', 'the Azure tenant is neither an id nor a domain: check adls.tenant-id');
  }
  const authority = (process.env.AZURE_AUTHORITY_HOST || DEFAULT_AUTHORITY).replace(/\/+$/, '');
  const failed = `cannot get a token for the Azure client ${clientId} of tenant ${tenantId}`;
  const response = await requestToken({
    url: `${authority}/${tenantId}/oauth2/v2.0/token`,
    form: {
      grant_type: 'client_credentials',
      client_id: clientId,
      scope: `${STORAGE_RESOURCE}/.default`,
      ...(secret !== undefined && { client_secret: secret }),
      ...(tokenFile !== undefined && {
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await assertionIn(tokenFile),
      }),
    },
    failed,
    settings: { via: 'azure', isWorkersOwn, ...(proxy && { proxy }) },
  });
  return tokenIn(response, authority);
}

/** Kubernetes replaces the file before the token in it expires. */
async function assertionIn(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `the worker's AZURE_FEDERATED_TOKEN_FILE cannot be read (${error.code})`,
    );
  });
  return text.trim();
}
