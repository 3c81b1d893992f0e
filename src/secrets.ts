import { formsOf, MIN_SECRET_LENGTH } from './policy/secret-forms.ts';
import { inheritGrants } from './policy/secret-grants.ts';

/**
 * Defines what a secret is: how connectors refer to one, which keys and values contain one, and which secrets this process knows and
 * masks in logs and errors.
 */

/** `env:NAME`, `file:/path` and `aws-secretsmanager:ID-OR-ARN[#JSON-KEY]`. The worker resolves them. */
const REFERENCE = /^(env:[A-Za-z_][A-Za-z0-9_]*|file:\/.+|aws-secretsmanager:[^\s#]+(#.+)?)$/;

export const REFERENCE_FORM = 'env:NAME, file:/path or aws-secretsmanager:ID[#JSON-KEY]';

const SECRET_KEY =
  /(password|passwd|passphrase|secret|token|credential|authorization|cookie|signature|api[-_.]?key|access[-_.]?key|account[-_.]?key|shared[-_.]?key|private[-_.]?key|connection[-_.]?string)/i;

/** Keys that match `SECRET_KEY` but have harmless values: `oauth2-token-uri`, `s3.access-key-id`, `s3.session-token-expires-at-ms`, … */
const HARMLESS_KEY =
  /(uri|url|endpoint|path|name|enabled|type|provider|scope|audience|region|(expires|expiry|ttl|timeout|seconds|ms)([-_.]?(in|at|ms|seconds))*|access[-_.]?key[-_.]?id|ref)$/i;

/** Properties that end with the name of an Azure storage account, which says nothing about the value. */
const OF_ACCOUNT = /^(adls\.(?:sas-token(?:-expires-at-ms)?|connection-string))\..+$/i;

/** Iceberg Java takes a URL under `adls.connection-string`. One without a query contains no credentials. */
const PLAIN_URL = /^https?:\/\/[^@?;]+$/i;

/** Values that are secrets under any key. */
const SECRET_VALUE = /^(bearer|basic)\s+\S|-----BEGIN [A-Z ]*PRIVATE KEY/i;

/** The public half of a key pair. It is not a secret, but it is usually stored next to one. */
const KEY_ID = /access[-_.]?key[-_.]?id$/i;

export function isSecretReference(value: string): boolean {
  return REFERENCE.test(value);
}

/** Whether every value of this key must be kept secret. */
export function isSecretKey(key: string): boolean {
  const name = key.replace(OF_ACCOUNT, '$1');
  return SECRET_KEY.test(name) && !HARMLESS_KEY.test(name);
}

/** Whether the entry contains a secret in plain text, which must not be stored. References to secrets are allowed. */
export function isPlainSecret(key: string, value: string): boolean {
  if (value === '' || isSecretReference(value)) return false;
  if (/^adls\.connection-string(\.|$)/i.test(key) && PLAIN_URL.test(value)) return false;
  return isSecretKey(key) || SECRET_VALUE.test(value);
}

/**
 * Whether a worker must replace the value with the secret that it refers to. `file:` is a reference only under a key that can hold a
 * secret; under other keys (`warehouse`, …) it is an address.
 */
export function isReferenceIn(key: string, value: string): boolean {
  if (!isSecretReference(value)) return false;
  return !value.startsWith('file:') || isSecretKey(key) || KEY_ID.test(key);
}

/** Larger than any credential. */
const MAX_LENGTH = 65_536;
const MAX_KNOWN = 1_000;

/** The encoded forms in which each secret can appear in a text. The most recently used secret is last. */
type KnownSecrets = Map<string, readonly string[]>;
const connectorSecrets: KnownSecrets = new Map();
/** Kept apart from the secrets of connectors, which these would push out: servers issue many. */
const issuedSecrets: KnownSecrets = new Map();

/**
 * Makes `withoutSecrets` mask a secret that a server issued: a vended key, a token, a session. Values shorter than 6 characters are
 * ignored. The 1,000 most recently used secrets are kept.
 *
 * @param source the secret with which it was obtained, if there is one: it may be sent to the same hosts only
 */
export function rememberIssuedSecret(value: string, source?: string): void {
  if (source !== undefined) inheritGrants(value, source);
  remember(issuedSecrets, value);
}

/**
 * Like `rememberIssuedSecret`, for a secret from a connector's configuration; another 1,000 of these are kept. A part of a secret may be sent to
 * the same hosts only.
 */
export function rememberConnectorSecret(value: string): void {
  inheritGrants(value);
  remember(connectorSecrets, value);
}

function remember(known: KnownSecrets, value: string): void {
  if (value.length < MIN_SECRET_LENGTH || value.length > MAX_LENGTH) return;
  const forms = known.get(value) ?? formsOf(value);
  known.delete(value);
  known.set(value, forms);
  for (const oldest of known.keys()) {
    if (known.size <= MAX_KNOWN) break;
    known.delete(oldest);
  }
}

/** Returns the text with `***` in place of every known secret, including percent-encoded, JSON-escaped and base64 forms. */
export function withoutSecrets(text: string): string {
  const found: string[] = [];
  for (const known of [connectorSecrets, issuedSecrets]) {
    for (const forms of known.values()) {
      for (const form of forms) if (text.includes(form)) found.push(form);
    }
  }
  // The longest first, because one secret can be part of another.
  found.sort((a, b) => b.length - a.length);
  return found.reduce((masked, form) => masked.replaceAll(form, '***'), text);
}
