/**
 * What is a secret: how connectors refer to one, which keys and values hold one, and which values are known in this process, so
 * that none of them gets into a log or an error.
 */

/** `env:NAME`, `file:/path` and `aws-secretsmanager:ID-OR-ARN[#JSON-KEY]`, resolved in the worker. */
const REFERENCE = /^(env:[A-Za-z_][A-Za-z0-9_]*|file:\/.+|aws-secretsmanager:[^\s#]+(#.+)?)$/;

export const REFERENCE_FORM = 'env:NAME, file:/path or aws-secretsmanager:ID[#JSON-KEY]';

const SECRET_KEY =
  /(password|passwd|passphrase|secret|token|credential|authorization|cookie|signature|api[-_.]?key|access[-_.]?key|account[-_.]?key|shared[-_.]?key|private[-_.]?key|connection[-_.]?string)/i;

/** Keys that hold such a word and no secret: `oauth2-token-uri`, `s3.access-key-id`, `s3.session-token-expires-at-ms`, … */
const HARMLESS_KEY =
  /(uri|url|endpoint|path|name|enabled|type|provider|scope|audience|region|(expires|expiry|ttl|timeout|seconds|ms)([-_.]?(in|at|ms|seconds))*|access[-_.]?key[-_.]?id|ref)$/i;

/** Values that are secrets whatever they are called. */
const SECRET_VALUE = /^(bearer|basic)\s+\S|-----BEGIN [A-Z ]*PRIVATE KEY/i;

/** The first half of a key pair: no secret, but kept beside one. */
const KEY_ID = /access[-_.]?key[-_.]?id$/i;

export function isSecretReference(value: string): boolean {
  return REFERENCE.test(value);
}

/** Whether the value of such a key is to be kept secret, whatever it is. */
export function isSecretKey(key: string): boolean {
  return SECRET_KEY.test(key) && !HARMLESS_KEY.test(key);
}

/** Whether the entry holds a secret as it is, which must not be stored. */
export function isPlainSecret(key: string, value: string): boolean {
  if (value === '' || isSecretReference(value)) return false;
  return isSecretKey(key) || SECRET_VALUE.test(value);
}

/**
 * Whether a worker has to put something else in the value's place. `file:` refers to a secret only where a secret is wanted: elsewhere
 * (`warehouse`, …) it is an address.
 */
export function isReferenceIn(key: string, value: string): boolean {
  if (!isSecretReference(value)) return false;
  return !value.startsWith('file:') || isSecretKey(key) || KEY_ID.test(key);
}

/** Shorter ones stand by chance in other text. */
const MIN_LENGTH = 6;
/** Larger than any credential. */
const MAX_LENGTH = 65_536;
const MAX_KNOWN = 1_000;

/** The forms in which a secret may stand in a text, by secret; the one used last is last. */
type KnownSecrets = Map<string, readonly string[]>;
/** Connectors' own, and those that servers gave out: so many come of these that none of the own ones would be left. */
const connectorSecrets: KnownSecrets = new Map();
const issuedSecrets: KnownSecrets = new Map();

/**
 * From now on `withoutSecrets` masks the value, which a server gave out: a vended key, a token, a session. Values below 6 characters are
 * not taken. The last 1,000 are kept.
 */
export function rememberIssuedSecret(value: string): void {
  remember(issuedSecrets, value);
}

/** The same for a secret of a connector itself; 1,000 of these are kept apart. */
export function rememberConnectorSecret(value: string): void {
  remember(connectorSecrets, value);
}

function remember(known: KnownSecrets, value: string): void {
  if (value.length < MIN_LENGTH || value.length > MAX_LENGTH) return;
  const forms = known.get(value) ?? formsOf(value);
  known.delete(value);
  known.set(value, forms);
  for (const oldest of known.keys()) {
    if (known.size <= MAX_KNOWN) break;
    known.delete(oldest);
  }
}

/** The text with `***` in place of every known secret, also where it is percent-encoded, JSON-escaped or in base64. */
export function withoutSecrets(text: string): string {
  const found: string[] = [];
  for (const known of [connectorSecrets, issuedSecrets]) {
    for (const forms of known.values()) {
      for (const form of forms) if (text.includes(form)) found.push(form);
    }
  }
  // The longest first: one secret can be a part of another.
  found.sort((a, b) => b.length - a.length);
  return found.reduce((masked, form) => masked.replaceAll(form, '***'), text);
}

function formsOf(secret: string): string[] {
  const forms = new Set([secret, JSON.stringify(secret).slice(1, -1)]);
  try {
    const encoded = encodeURIComponent(secret);
    forms.add(encoded);
    forms.add(encoded.replaceAll('%20', '+'));
    forms.add(new URLSearchParams([['', secret]]).toString().slice(1));
  } catch {
    // A lone surrogate has no such form.
  }
  // `user:pass` in base64 holds one of three forms of `pass`, by the length of what stands before it.
  for (let before = 0; before < 3; before++) {
    const encoded = Buffer.from('\0'.repeat(before) + secret).toString('base64');
    const first = Math.ceil((before * 8) / 6);
    const last = Math.floor(((before + Buffer.byteLength(secret)) * 8) / 6);
    const inner = encoded.slice(first, last);
    if (inner.length >= MIN_LENGTH) forms.add(inner);
  }
  return [...forms];
}
