import { type Token, tokenIn } from '../cloud/credentials.ts';
import { MetadataService } from '../cloud/metadata-service.ts';
import { requestToken } from '../cloud/token-request.ts';
import { STORAGE_RESOURCE } from './principal.ts';

/** The Instance Metadata Service, which only Azure's machines have. */
const IMDS = 'http://169.254.169.254';

export const instanceMetadata = new MetadataService({
  via: 'azure',
  // What Azure's SDKs read.
  origin: () => (process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST || IMDS).replace(/\/+$/, ''),
  path: '/metadata/identity/oauth2/token',
  // Without the header `Metadata` it responds with an error, and requests no token.
  headers: {},
  isFrom: () => true,
});

/**
 * A token of the managed identity: from the endpoint of App Service, Functions or Container Apps (`IDENTITY_ENDPOINT`), otherwise that of a virtual
 * machine.
 *
 * @param clientId of a user-assigned identity; by default the machine's only one or its own
 * @throws CodedError as `requestToken` does
 */
export async function managedIdentityToken(clientId?: string): Promise<Token> {
  const { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: header } = process.env;
  const url = new URL(endpoint || `${instanceMetadata.origin}/metadata/identity/oauth2/token`);
  url.searchParams.set('api-version', endpoint ? '2019-08-01' : '2018-02-01');
  url.searchParams.set('resource', STORAGE_RESOURCE);
  if (clientId) url.searchParams.set('client_id', clientId);
  const response = await requestToken({
    url: url.href,
    headers: endpoint ? { 'x-identity-header': header ?? '' } : { metadata: 'true' },
    failed: `cannot get a token of the managed identity${clientId ? ` ${clientId}` : ''}`,
    settings: instanceMetadata.settings,
  });
  return tokenIn(response, 'the managed identity endpoint');
}
