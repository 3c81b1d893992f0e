import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { CodedError } from '../errors.ts';
import { rememberConnectorSecret } from '../secrets.ts';
import { type AwsCredentials, awsCredentials, credentialsName } from './aws/credentials.ts';
import { awsError, mayBeRefused } from './aws/errors.ts';
import { awsRegion } from './aws/region.ts';
import { awsRequestHandler } from './aws/request-handler.ts';
import { connectorProxy } from './proxy/proxy.ts';

/** Secrets Manager's own limit. */
const MAX_SECRET_BYTES = 65_536;

export const AWS_PREFIX = 'aws-secretsmanager:';

export type Properties = Readonly<Record<string, string>>;

/**
 * Resolves a reference (see `REFERENCE_FORM`) in this process. From then on the secret is masked in logs and errors.
 *
 * @param place where the reference was found, for messages
 * @param options.access properties for Secrets Manager (`secretsmanager.*`, `client.*`); by default the process's settings apply
 * @param options.processName the process that resolves the reference, for messages
 * @param options.known secrets of Secrets Manager that were just read, by their ids; others are added
 * @throws CodedError `FAILED_PRECONDITION` if the secret does not exist, `PERMISSION_DENIED` or `UNAUTHENTICATED` if it may not be read.
 *   The message names the reference and the place, never a value
 */
export async function resolveReference(
  reference: string,
  place: string,
  {
    access = {},
    processName = 'the worker',
    known = new Map(),
  }: { access?: Properties; processName?: string; known?: Map<string, Promise<string>> } = {},
): Promise<string> {
  const secret = reference.startsWith(AWS_PREFIX)
    ? await fromAws(reference, place, access, known)
    : reference.startsWith('env:')
      ? fromEnvironment(reference.slice('env:'.length), reference, place, processName)
      : await fromFile(reference.slice('file:'.length).replace(/^\/\/(?=\/)/, ''), reference, place, processName);
  rememberConnectorSecret(secret);
  return secret;
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

async function fromFile(path: string, reference: string, place: string, processName: string): Promise<string> {
  const unusable = (text: string, cause?: unknown) =>
    new CodedError('FAILED_PRECONDITION', `${place} refers to ${reference}, and on ${processName}'s machine ${text}`, {
      cause,
    });
  // O_NONBLOCK, so that opening a pipe does not block.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
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

async function fromAws(
  reference: string,
  place: string,
  properties: Properties,
  known: Map<string, Promise<string>>,
): Promise<string> {
  const [, id = '', jsonKey] = /^aws-secretsmanager:([^#]+)(?:#(.+))?$/.exec(reference) ?? [];
  const reading = known.get(id) ?? fromSecretsManager(id, reference, place, properties);
  known.set(id, reading);
  const text = await reading;
  return jsonKey === undefined ? text : secretField(text, jsonKey, reference, place);
}

async function fromSecretsManager(
  id: string,
  reference: string,
  place: string,
  properties: Properties,
): Promise<string> {
  // arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME
  const region = /^arn:[^:]+:secretsmanager:([^:]+):/.exec(id)?.[1] ?? (await awsRegion(properties, 'secretsmanager'));
  const endpoint = properties['secretsmanager.endpoint'] || undefined;
  const credentials = awsCredentials(properties, 'secretsmanager');
  const client = new SecretsManagerClient({
    region,
    ...(endpoint !== undefined && { endpoint }),
    credentials,
    requestHandler: awsRequestHandler({ proxy: connectorProxy(properties) }),
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
