/** How a secret is given: the name of an environment variable or of a file that the worker reads. */
const REFERENCE = /^(env:[A-Za-z_][A-Za-z0-9_]*|file:\/.+)$/;

const SECRET_KEY =
  /(password|passwd|passphrase|secret|token|credential|authorization|cookie|signature|api[-_.]?key|access[-_.]?key|account[-_.]?key|shared[-_.]?key|private[-_.]?key)/i;

/** Keys that hold such a word and no secret: `oauth2-token-uri`, `s3.access-key-id`, `token-refresh-enabled`, … */
const HARMLESS_KEY =
  /(uri|url|endpoint|path|enabled|type|provider|scope|audience|(expires|expiry|ttl|timeout|seconds|ms)([-_.]?(in|ms|seconds))*|access[-_.]?key[-_.]?id|ref)$/i;

/** Values that are secrets whatever they are called. */
const SECRET_VALUE = /^(bearer|basic)\s+\S|-----BEGIN [A-Z ]*PRIVATE KEY/i;

export const REFERENCE_FORM = 'env:NAME or file:/path';

export function isSecretReference(value: string): boolean {
  return REFERENCE.test(value);
}

/** Whether the entry holds a secret as it is, which the catalog must not store. */
export function isPlainSecret(key: string, value: string): boolean {
  if (value === '' || isSecretReference(value)) return false;
  return (SECRET_KEY.test(key) && !HARMLESS_KEY.test(key)) || SECRET_VALUE.test(value);
}
