import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { CodedError } from '../errors.ts';
import { isReferenceIn, isSecretReference, rememberOwnSecret } from '../secrets.ts';
import { awsCredentials, credentialsKey, credentialsName } from '../storage/aws/credentials.ts';
import { awsError } from '../storage/aws/errors.ts';
import { awsRegion } from '../storage/aws/region.ts';
import { awsRequestHandler } from '../storage/aws/request-handler.ts';
import { RecentlyUsed } from '../storage/recently-used.ts';
import type { ConnectorSpec, ResolvedSpec } from './connector-spec.ts';

/** Secrets Manager itself takes no larger ones. */
const MAX_SECRET_BYTES = 65_536;
/** A connector is opened for every few tables; a secret that was changed is to be found soon all the same. */
const KEPT_MS = 60_000;

const AWS = 'aws-secretsmanager:';

type Properties = Readonly<Record<string, string>>;

/**
 * The connector with its references (see `REFERENCE_FORM`) replaced by what they refer to in this process: in properties, header hints,
 * auth properties and the secret. What was resolved is masked from now on in logs and errors.
 *
 * Properties that say how to get at Secrets Manager (`secretsmanager.*`, `client.*`) may be `env:` and `file:` references themselves.
 * Those that are `aws-secretsmanager:` references are resolved with the others of them, or by the worker's own credentials.
 *
 * @throws CodedError `FAILED_PRECONDITION` if it is not there, `PERMISSION_DENIED` or `UNAUTHENTICATED` if it may not be read; the
 *   message names the reference and where it stands, never a value
 */
export async function resolveSecrets(spec: ConnectorSpec): Promise<ResolvedSpec> {
  const { secretRef, ...auth } = spec.auth;
  const local = await resolveAll('properties', spec.properties, async (reference, place) =>
    reference.startsWith(AWS) ? reference : resolveLocal(reference, place),
  );
  const access = accessOf(local);
  const resolve = (reference: string, place: string): Promise<string> =>
    reference.startsWith(AWS) ? resolveAws(reference, place, access) : resolveLocal(reference, place);
  const [properties, headerHints, authProperties, secret] = await Promise.all([
    resolveAll('properties', local, resolve),
    resolveAll('auth.header_hints', auth.headerHints, resolve),
    resolveAll('auth.properties', auth.properties, resolve),
    secretRef === '' ? undefined : resolveSecretRef(secretRef, resolve),
  ]);
  return {
    ...spec,
    properties,
    auth: { ...auth, headerHints, properties: authProperties, ...(secret !== undefined && { secret }) },
  };
}

const KEYS = /\.(access-key-id|secret-access-key|session-token)$/;

/** Without references to Secrets Manager, which are no keys for asking there, and without the other parts of such keys. */
function accessOf(properties: Properties): Properties {
  const entries = Object.entries(properties);
  const referring = entries.filter(([, value]) => value.startsWith(AWS)).map(([key]) => key);
  const withoutKeys = new Set(referring.filter((key) => KEYS.test(key)).map((key) => key.replace(KEYS, '')));
  return Object.fromEntries(
    entries.filter(([key]) => !referring.includes(key) && !(KEYS.test(key) && withoutKeys.has(key.replace(KEYS, '')))),
  );
}

type Resolve = (reference: string, place: string) => Promise<string>;

async function resolveAll(what: string, properties: Properties, resolve: Resolve): Promise<Record<string, string>> {
  const entries = await Promise.all(
    Object.entries(properties).map(async ([key, value]): Promise<[string, string]> => {
      if (!isReferenceIn(key, value)) return [key, value];
      return [key, await resolve(value, `${what}[${key}]`)];
    }),
  );
  return Object.fromEntries(entries);
}

async function resolveSecretRef(reference: string, resolve: Resolve): Promise<string> {
  if (isSecretReference(reference)) return resolve(reference, 'auth.secret_ref');
  throw new CodedError(
    'INVALID_ARGUMENT',
    'auth.secret_ref is no reference to a secret (env:, file: or aws-secretsmanager:)',
  );
}

async function resolveLocal(reference: string, place: string): Promise<string> {
  const secret = reference.startsWith('env:')
    ? fromEnvironment(reference.slice('env:'.length), reference, place)
    : await fromFile(reference.slice('file:'.length).replace(/^\/\/(?=\/)/, ''), reference, place);
  rememberOwnSecret(secret);
  return secret;
}

function fromEnvironment(name: string, reference: string, place: string): string {
  const value = process.env[name];
  if (value) return value;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `${place} refers to ${reference}, and ${value === undefined ? 'there is no such variable' : 'it is empty'} in the worker's ` +
      'environment: set it where the worker is started',
  );
}

async function fromFile(path: string, reference: string, place: string): Promise<string> {
  const unusable = (text: string, cause?: unknown) =>
    new CodedError('FAILED_PRECONDITION', `${place} refers to ${reference}, and on the worker's machine ${text}`, {
      cause,
    });
  // O_NONBLOCK: a pipe is not waited for.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
    throw unusable(error.code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${error.code})`, error);
  });
  try {
    if (!(await handle.stat()).isFile()) throw unusable('it is no file');
    const bytes = Buffer.alloc(MAX_SECRET_BYTES + 1);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    if (bytesRead > MAX_SECRET_BYTES) throw unusable(`it has more than ${MAX_SECRET_BYTES} bytes: it is no secret`);
    const value = bytes.toString('utf8', 0, bytesRead).replace(/\r?\n$/, '');
    if (value === '') throw unusable('it is empty');
    return value;
  } finally {
    await handle.close();
  }
}

const kept = new RecentlyUsed<string, { until: number; value: Promise<string> }>(256);

async function resolveAws(reference: string, place: string, properties: Properties): Promise<string> {
  const [, id = '', jsonKey] = /^aws-secretsmanager:([^#]+)(?:#(.+))?$/.exec(reference) ?? [];
  const key = JSON.stringify([
    id,
    properties['secretsmanager.endpoint'],
    properties['secretsmanager.region'] ?? properties['client.region'],
    credentialsKey(properties, 'secretsmanager'),
  ]);
  let entry = kept.get(key);
  if (entry === undefined || entry.until < Date.now()) {
    const value = fromSecretsManager(id, reference, place, properties);
    entry = { until: Date.now() + KEPT_MS, value };
    kept.set(key, entry);
    value.catch(() => kept.delete(key));
  }
  const text = await entry.value;
  const secret = jsonKey === undefined ? text : fieldOf(text, jsonKey, reference, place);
  rememberOwnSecret(secret);
  return secret;
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
  const client = new SecretsManagerClient({
    region,
    ...(endpoint !== undefined && { endpoint }),
    credentials: awsCredentials(properties, 'secretsmanager'),
    requestHandler: awsRequestHandler(),
  });
  try {
    const { SecretString, SecretBinary } = await client.send(new GetSecretValueCommand({ SecretId: id }));
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

function fieldOf(text: string, key: string, reference: string, place: string): string {
  let field: unknown;
  try {
    field = (JSON.parse(text) as Record<string, unknown> | null)?.[key];
  } catch {
    throw new CodedError('FAILED_PRECONDITION', `${place} refers to ${reference}, and the secret is no JSON`);
  }
  if (typeof field === 'string' && field !== '') return field;
  if (typeof field === 'number') return String(field);
  throw new CodedError(
    'FAILED_PRECONDITION',
    `${place} refers to ${reference}, and the secret has no text under that key`,
  );
}
