import { CodedError } from '../../errors.ts';
import type { Token } from '../cloud/credentials.ts';
import type { ForwardProxy } from '../proxy/proxy.ts';
import { azureCliToken } from './azure-cli.ts';
import { instanceMetadata, managedIdentityToken } from './managed-identity.ts';
import { principalToken } from './principal.ts';

/**
 * A token of the worker's own identity, from the first of these that there is, as Azure's SDKs find it: a client in the environment (`AZURE_TENANT_ID`,
 * `AZURE_CLIENT_ID`, and `AZURE_CLIENT_SECRET` or `AZURE_FEDERATED_TOKEN_FILE`), a managed identity, and the Azure CLI.
 *
 * @param options.clientId chooses one of several managed identities, or another client for the federated token
 * @throws CodedError `FAILED_PRECONDITION` that lists what was tried if there is none
 */
export async function workerToken(options: {
  clientId?: string;
  tenantId?: string;
  proxy?: ForwardProxy;
}): Promise<Token> {
  const { env } = process;
  const own = { proxy: options.proxy, isWorkersOwn: true };
  const tenantId = options.tenantId || env.AZURE_TENANT_ID;
  const clientId = options.clientId || env.AZURE_CLIENT_ID;
  const { AZURE_CLIENT_SECRET: secret, AZURE_FEDERATED_TOKEN_FILE: tokenFile } = env;
  if (tenantId && clientId && secret && !options.clientId) {
    return principalToken({ tenantId, clientId, secret }, own);
  }
  if (tenantId && clientId && tokenFile) return principalToken({ tenantId, clientId, tokenFile }, own);
  const tried: string[] = ['AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET are not all set'];
  if (env.IDENTITY_ENDPOINT) return managedIdentityToken(clientId);
  if (await instanceMetadata.responds()) {
    try {
      return await managedIdentityToken(clientId);
    } catch (error) {
      // Other clouds' machines have a service at the same address, and a machine of Azure may have no identity.
      if (!(error instanceof CodedError) || error.code !== 'UNAUTHENTICATED') throw error;
      tried.push(error.message);
    }
  } else {
    tried.push('no managed identity endpoint responds');
  }
  const fromCli = await azureCliToken(tenantId);
  if (typeof fromCli !== 'string') return fromCli;
  tried.push(fromCli);
  throw new CodedError(
    'FAILED_PRECONDITION',
    `found no Azure identity of the worker: ${tried.join('; ')}. Give the worker one, or give the connector credentials of its own: the properties ` +
      'adls.auth.shared-key.account.name and adls.auth.shared-key.account.key, adls.sas-token.ACCOUNT, or adls.tenant-id, adls.client-id and ' +
      'adls.client-secret',
  );
}
