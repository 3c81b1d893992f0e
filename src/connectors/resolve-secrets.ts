import { CodedError } from '../errors.ts';
import { isReferenceIn, isSecretReference } from '../secrets.ts';
import { AWS_PREFIX, type Properties, resolveReference } from '../storage/secret-reference.ts';
import type { ConnectorSpec, ResolvedSpec } from './connector-spec.ts';

/**
 * Resolves the connector's references (see `REFERENCE_FORM`) in properties, header hints, auth properties and the secret. The resolved
 * values are masked in logs and errors from now on.
 *
 * The properties that configure access to Secrets Manager (`secretsmanager.*`, `client.*`) may be `env:` and `file:` references themselves.
 * If some of them are `aws-secretsmanager:` references, those are resolved with the remaining ones or with the worker's own credentials.
 *
 * @throws CodedError `FAILED_PRECONDITION` if a secret does not exist, `PERMISSION_DENIED` or `UNAUTHENTICATED` if it may not be read; the
 *   message names the reference and the property that has it, never a value
 */
export async function resolveSecrets(spec: ConnectorSpec): Promise<ResolvedSpec> {
  const { secretRef, ...auth } = spec.auth;
  const local = await resolveLocally(spec.properties);
  const access = accessOf(local);
  const known = new Map<string, Promise<string>>();
  const resolve = (reference: string, place: string) => resolveReference(reference, place, { access, known });
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

/** Resolves one more reference of the connector, with the same access and the same errors as `resolveSecrets`. */
export async function resolveConnectorReference(
  reference: string,
  place: string,
  properties: Properties,
): Promise<string> {
  const access = reference.startsWith(AWS_PREFIX) ? accessOf(await resolveLocally(properties)) : {};
  return resolveReference(reference, place, { access });
}

/** The connector's properties whose keys begin with the prefix, with their references resolved. Errors as of `resolveSecrets`. */
export function resolveProperties(properties: Properties, prefix: string): Promise<Properties> {
  const chosen = Object.fromEntries(Object.entries(properties).filter(([key]) => key.startsWith(prefix)));
  return resolveAll('properties', chosen, (reference, place) =>
    resolveConnectorReference(reference, place, properties),
  );
}

/** Resolves all properties but references to Secrets Manager. */
function resolveLocally(properties: Properties): Promise<Record<string, string>> {
  return resolveAll('properties', properties, async (reference, place) =>
    reference.startsWith(AWS_PREFIX) ? reference : resolveReference(reference, place),
  );
}

const KEYS = /\.(access-key-id|secret-access-key|session-token)$/;

/**
 * The properties with which Secrets Manager is accessed. If a part of an AWS key (id, secret or session token) is itself a reference to
 * Secrets Manager, all parts of that key are left out.
 */
function accessOf(properties: Properties): Properties {
  const entries = Object.entries(properties);
  const referring = entries.filter(([, value]) => value.startsWith(AWS_PREFIX)).map(([key]) => key);
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
    'auth.secret_ref is not a reference to a secret: it must begin with env:, file: or aws-secretsmanager:',
  );
}
