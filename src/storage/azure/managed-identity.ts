import { type Token, tokenIn } from '../cloud/credentials.ts';
import { requestToken } from '../cloud/token-request.ts';
import { type HttpSettings, sendRequest } from '../http/send-request.ts';
import { STORAGE_RESOURCE } from './principal.ts';

/** The Instance Metadata Service, which only Azure's machines have. */
const IMDS = 'http://169.254.169.254';
/** On other machines, packets to its address are lost. Azure's SDKs wait as long. */
const PROBE_MS = 1_000;
/** The service itself requests the token; its own time limit is 10 s. */
const IMDS_SETTINGS: HttpSettings = {
  via: 'azure',
  proxy: 'none',
  connectTimeoutMs: PROBE_MS,
  socketTimeoutMs: 15_000,
};
/** How long a machine without the service is taken for one. */
const ABSENT_FOR_MS = 60_000;

let absentUntil = Number.NEGATIVE_INFINITY;

/** Whether a service responds at the address of the Instance Metadata Service. */
export async function isMachineOfCloud(): Promise<boolean> {
  if (performance.now() < absentUntil) return false;
  try {
    const settings = { ...IMDS_SETTINGS, socketTimeoutMs: PROBE_MS };
    const path = '/metadata/identity/oauth2/token';
    // Without the header `Metadata` it responds with an error, and requests no token.
    const response = await sendRequest({ method: 'GET', origin: imds(), path, headers: {} }, settings);
    response.destroy();
    return true;
  } catch {
    absentUntil = performance.now() + ABSENT_FOR_MS;
    return false;
  }
}

/**
 * A token of the managed identity: from the endpoint of App Service, Functions or Container Apps (`IDENTITY_ENDPOINT`), otherwise that of a virtual
 * machine.
 *
 * @param clientId of a user-assigned identity; by default the machine's only one or its own
 * @throws CodedError as `requestToken` does
 */
export async function managedIdentityToken(clientId?: string): Promise<Token> {
  const { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: header } = process.env;
  const url = new URL(endpoint || `${imds()}/metadata/identity/oauth2/token`);
  url.searchParams.set('api-version', endpoint ? '2019-08-01' : '2018-02-01');
  url.searchParams.set('resource', STORAGE_RESOURCE);
  if (clientId) url.searchParams.set('client_id', clientId);
  const response = await requestToken({
    url: url.href,
    headers: endpoint ? { 'x-identity-header': header ?? '' } : { metadata: 'true' },
    failed: `cannot get a token of the managed identity${clientId ? ` ${clientId}` : ''}`,
    settings: IMDS_SETTINGS,
  });
  return tokenIn(response, 'the managed identity endpoint');
}

/** `AZURE_POD_IDENTITY_AUTHORITY_HOST` is what Azure's SDKs read. */
function imds(): string {
  return (process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST || IMDS).replace(/\/+$/, '');
}
