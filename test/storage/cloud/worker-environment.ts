import { stubEnv } from '../../jest/stub-env.ts';

/** An address at which nothing listens. */
const NOWHERE = '127.0.0.1:1';

/** Removes this machine's own identities of Azure and Google until `unstubAllEnvs` is called. */
export function withoutCloudIdentity(): void {
  for (const name of Object.keys(process.env)) {
    if (/^(AZURE_|IDENTITY_|GOOGLE_|GCE_|CLOUDSDK_)/.test(name)) stubEnv(name, undefined);
  }
  stubEnv('AZURE_POD_IDENTITY_AUTHORITY_HOST', `http://${NOWHERE}`);
  stubEnv('GCE_METADATA_HOST', NOWHERE);
  stubEnv('CLOUDSDK_CONFIG', '/no/such/folder');
  // The Azure CLI is found by it.
  stubEnv('PATH', '/no/such/folder');
}
