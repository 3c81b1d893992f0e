import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CodedError } from '../../errors.ts';
import { type Token, tokenIn } from '../cloud/credentials.ts';
import { requestToken } from '../cloud/token-request.ts';
import { type HttpSettings, sendRequest } from '../http/send-request.ts';
import { googleToken, parseGoogleCredentials } from './google-credentials.ts';
import { SCOPE } from './impersonation.ts';

/** On other machines than Google's, packets to the metadata server's address are lost. */
const PROBE_MS = 1_000;
const METADATA_SETTINGS: HttpSettings = {
  via: 'google',
  proxy: 'none',
  connectTimeoutMs: PROBE_MS,
  socketTimeoutMs: 15_000,
};
/** How long a machine without the server is taken for one. */
const ABSENT_FOR_MS = 60_000;

let absentUntil = Number.NEGATIVE_INFINITY;

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
  if (await hasMetadataServer()) return metadataToken();
  throw new CodedError(
    'FAILED_PRECONDITION',
    `found no Google credentials of the worker: GOOGLE_APPLICATION_CREDENTIALS is not set, there is no file ${file}, and no metadata server responds. ` +
      "Give the worker some, or give the connector its own: the property gcs.credentials with a reference to a service account's key",
  );
}

const ADC = 'application_default_credentials.json';

/** https://cloud.google.com/compute/docs/metadata/overview */
async function metadataToken(): Promise<Token> {
  const response = await requestToken({
    url: `${metadataServer()}/computeMetadata/v1/instance/service-accounts/default/token?scopes=${encodeURIComponent(SCOPE)}`,
    headers: { 'metadata-flavor': 'Google' },
    failed: "cannot get a token of the machine's Google service account",
    settings: METADATA_SETTINGS,
  });
  return tokenIn(response, 'the metadata server');
}

async function hasMetadataServer(): Promise<boolean> {
  if (performance.now() < absentUntil) return false;
  try {
    const request = {
      method: 'GET' as const,
      origin: metadataServer(),
      path: '/',
      headers: { 'metadata-flavor': 'Google' },
    };
    const response = await sendRequest(request, { ...METADATA_SETTINGS, socketTimeoutMs: PROBE_MS });
    response.destroy();
    return response.headers['metadata-flavor'] === 'Google';
  } catch {
    absentUntil = performance.now() + ABSENT_FOR_MS;
    return false;
  }
}

/** `GCE_METADATA_HOST` is what Google's libraries read. */
function metadataServer(): string {
  return `http://${process.env.GCE_METADATA_HOST || '169.254.169.254'}`;
}
