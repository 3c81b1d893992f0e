import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { CodedError } from '../errors.ts';
import { currentPolicy } from '../policy/current-policy.ts';
import { openSecretFile } from '../policy/file-reference.ts';
import { policyTenant } from '../policy/policy-tenant.ts';
import { governSecret } from '../policy/secret-grants.ts';
import { rememberConnectorSecret } from '../secrets.ts';
import { type AwsCredentials, awsCredentials, credentialsName, isDefaultChain } from './aws/credentials.ts';
import { awsError, mayBeRefused } from './aws/errors.ts';
import { awsRegion } from './aws/region.ts';
import { awsRequestHandler } from './aws/request-handler.ts';
import { connectorProxy } from './proxy/proxy.ts';

/** Secrets Manager's own limit. */
const MAX_SECRET_BYTES = 65_536;

export const AWS_PREFIX = 'aws-secretsmanager:';

export type Properties = Readonly<Record<string, string>>;

/**
 * Resolves a connector's reference (see `REFERENCE_FORM`) in this process, if the worker's policy allows the current tenant to use it. From then on
 * the secret is masked in logs and errors, and is sent only to the hosts that the policy lists for it.
 *
 * @param place where the reference was found, for messages
 * @param options.access properties for Secrets Manager (`secretsmanager.*`, `client.*`); by default the process's settings apply
 * @param options.known secrets of Secrets Manager that were just read, by their ids; others are added
 * @throws CodedError `FAILED_PRECONDITION` if the secret does not exist, `PERMISSION_DENIED` or `UNAUTHENTICATED` if it may not be read.
 *   The message names the reference and the place, never a value
 */
export async function resolveReference(
  reference: string,
  place: string,
  { access = {}, known = new Map() }: { access?: Properties; known?: Map<string, Promise<string>> } = {},
): Promise<string> {
  const { grant, fileRule } = currentPolicy().secret(reference, place, policyTenant());
  const openFile = (path: string) => openSecretFile(path, reference, fileRule);
  const secret = await read(reference, place, { access, known, processName: 'the worker', isOwn: false, openFile });
  if (grant !== undefined) governSecret(secret, grant);
  rememberConnectorSecret(secret);
  return secret;
}

/**
 * Resolves a reference in the process's own settings, which no policy limits. Errors as of `resolveReference`.
 *
 * @param processName the process that resolves the reference, for messages
 */
export async function resolveOwnReference(reference: string, place: string, processName: string): Promise<string> {
  // O_NONBLOCK, so that opening a pipe does not block.
  const openFile = (path: string) => open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const secret = await read(reference, place, { access: {}, known: new Map(), processName, isOwn: true, openFile });
  rememberConnectorSecret(secret);
  return secret;
}

interface Reading {
  access: Properties;
  known: Map<string, Promise<string>>;
  processName: string;
  /** The reference is in the process's own settings. */
  isOwn: boolean;
  openFile: (path: string) => Promise<FileHandle>;
}

async function read(reference: string, place: string, reading: Reading): Promise<string> {
  if (reference.startsWith(AWS_PREFIX)) return fromAws(reference, place, reading);
  if (!reference.startsWith('env:')) return fromFile(reference, place, reading);
  return fromEnvironment(reference.slice('env:'.length), reference, place, reading.processName);
}

function fromEnvironment(name: string, reference: string, place: string, processName: string): string {
  const value = process.env[name];
  if (value) return value;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `${place} refers to ${reference}, and ${value === undefined ? 'there is no such variable' : 'it is empty'} in ${processName}'s ` +
      `environment: set it where you start ${processName}`,
  );
}

async function fromFile(reference: string, place: string, { processName, openFile }: Reading): Promise<string> {
  const path = reference.slice('file:'.length).replace(/^\/\/(?=\/)/, '');
  const unusable = (text: string, cause?: unknown) =>
    new CodedError('FAILED_PRECONDITION', `${place} refers to ${reference}, and on ${processName}'s machine ${text}`, {
      cause,
    });
  const handle = await openFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof CodedError) throw error;
    throw unusable(error.code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${error.code})`, error);
  });
  try {
    if (!(await handle.stat()).isFile()) throw unusable('it is not a file');
    const bytes = Buffer.alloc(MAX_SECRET_BYTES + 1);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    if (bytesRead > MAX_SECRET_BYTES)
      throw unusable(`it has more than ${MAX_SECRET_BYTES} bytes, too many for a secret`);
    const value = bytes.toString('utf8', 0, bytesRead).replace(/\r?\n$/, '');
    if (value === '') throw unusable('it is empty');
    return value;
  } finally {
    await handle.close();
  }
}

async function fromAws(reference: string, place: string, { access, known, isOwn }: Reading): Promise<string> {
  const [, id = '', jsonKey] = /^aws-secretsmanager:([^#]+)(?:#(.+))?$/.exec(reference) ?? [];
  const reading = known.get(id) ?? fromSecretsManager(id, { reference, place, properties: access, isOwn });
  known.set(id, reading);
  const text = await reading;
  return jsonKey === undefined ? text : secretField(text, jsonKey, reference, place);
}

async function fromSecretsManager(
  id: string,
  { reference, place, properties, isOwn }: { reference: string; place: string; properties: Properties; isOwn: boolean },
): Promise<string> {
  // arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME
  const region = /^arn:[^:]+:secretsmanager:([^:]+):/.exec(id)?.[1] ?? (await awsRegion(properties, 'secretsmanager'));
  const endpoint = properties['secretsmanager.endpoint'] || undefined;
  // A policy that lists the reference allows to read it at AWS with the worker's own credentials; at another place they need an entry of their own.
  const isWorkersOwn = isOwn || (endpoint === undefined && isDefaultChain(properties, 'secretsmanager'));
  const credentials = awsCredentials(properties, 'secretsmanager', { isOwn: isWorkersOwn });
  const client = new SecretsManagerClient({
    region,
    ...(endpoint !== undefined && { endpoint }),
    credentials,
    requestHandler: awsRequestHandler({ proxy: connectorProxy(properties), isWorkersOwn }),
  });
  let used: AwsCredentials | undefined;
  const get = async () => {
    used = await credentials();
    return client.send(new GetSecretValueCommand({ SecretId: id }));
  };
  try {
    const { SecretString, SecretBinary } = await get().catch(async (error) => {
      if (used === undefined || !mayBeRefused(error) || !(await credentials.renew(used))) throw error;
      return get();
    });
    const text = SecretString ?? (SecretBinary === undefined ? '' : Buffer.from(SecretBinary).toString('utf8'));
    if (text === '') throw new CodedError('FAILED_PRECONDITION', `${place} refers to ${reference}, and it is empty`);
    return text;
  } catch (error) {
    const coded = awsError(error, {
      failed: `${place} refers to ${reference}, which cannot be read`,
      where: endpoint ?? `Secrets Manager in ${region}`,
      credentials: credentialsName(properties, 'secretsmanager'),
    });
    if ((error as Error).name !== 'ResourceNotFoundException') throw coded;
    throw new CodedError('FAILED_PRECONDITION', coded.message, { cause: error });
  }
}

function secretField(text: string, key: string, reference: string, place: string): string {
  let field: unknown;
  try {
    field = (JSON.parse(text) as Record<string, unknown> | null)?.[key];
  } catch {
    throw new CodedError('FAILED_PRECONDITION', `${place} refers to ${reference}, and the secret is not JSON`);
  }
  if (typeof field === 'string' && field !== '') return field;
  if (typeof field === 'number') return String(field);
  throw new CodedError(
    'FAILED_PRECONDITION',
    `${place} refers to ${reference}, and the secret's JSON has no text under that key`,
  );
}
