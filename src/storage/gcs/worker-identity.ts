import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CodedError } from '../../errors.ts';
import { type Token, tokenIn } from '../cloud/credentials.ts';
import { MetadataService } from '../cloud/metadata-service.ts';
import { requestToken } from '../cloud/token-request.ts';
import type { HttpSettings } from '../http/send-request.ts';
import { googleToken, parseGoogleCredentials } from './google-credentials.ts';
import { SCOPE } from './impersonation.ts';

/** https://cloud.google.com/compute/docs/metadata/overview */
const metadataServer = new MetadataService({
  via: 'google',
  // What Google's libraries read.
  origin: () => `http://${process.env.GCE_METADATA_HOST || '169.254.169.254'}`,
  path: '/',
  headers: { 'metadata-flavor': 'Google' },
  isFrom: (headers) => headers['metadata-flavor'] === 'Google',
});

/**
 * A token of the worker's Application Default Credentials (https://google.aip.dev/auth/4110): the file that `GOOGLE_APPLICATION_CREDENTIALS` names, that
 * of `gcloud auth application-default login`, or the service account of the machine or, in GKE, of the workload.
 *
 * @throws CodedError `FAILED_PRECONDITION` that lists what was tried if there is none
 */
export async function workerToken(settings: HttpSettings): Promise<Token> {
  const named = process.env.GOOGLE_APPLICATION_CREDENTIALS;
  const file = named || join(process.env.CLOUDSDK_CONFIG || join(homedir(), '.config', 'gcloud'), ADC);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (!named && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return undefined;
    const source = named ? 'that GOOGLE_APPLICATION_CREDENTIALS names ' : '';
    throw new CodedError('FAILED_PRECONDITION', `the file ${file} ${source}cannot be read (${error.code})`);
  });
  if (text !== undefined) return googleToken(parseGoogleCredentials(text, file), settings);
  if (await metadataServer.responds()) return metadataToken();
  throw new CodedError(
    'FAILED_PRECONDITION',
    `found no Google credentials of the worker: GOOGLE_APPLICATION_CREDENTIALS is not set, there is no file ${file}, and no metadata server responds. ` +
      "Give the worker some, or give the connector its own: the property gcs.credentials with a reference to a service account's key",
  );
}

const ADC = 'application_default_credentials.json';

async function metadataToken(): Promise<Token> {
  const response = await requestToken({
    url: `${metadataServer.origin}/computeMetadata/v1/instance/service-accounts/default/token?scopes=${encodeURIComponent(SCOPE)}`,
    headers: { 'metadata-flavor': 'Google' },
    failed: "cannot get a token of the machine's Google service account",
    settings: metadataServer.settings,
  });
  return tokenIn(response, 'the metadata server');
}
