import { CodedError } from '../../errors.ts';
import { isSecretKey, rememberConnectorSecret, rememberIssuedSecret } from '../../secrets.ts';
import { plural, truncate } from '../../text.ts';
import type { ResolvedSpec } from '../connector-spec.ts';

const PREFIX = 'header.';
export const DELEGATION = 'x-iceberg-access-delegation';
/** Characters of a name that messages show. */
const MAX_SHOWN = 200;

/**
 * Headers that the connector adds to every request: the properties `header.<name>`, and the auth's header hints, which take precedence.
 * `delegation` is the requested access to storage, from the header x-iceberg-access-delegation or the property `rest.access-delegation`
 * (default: vended credentials); empty for none.
 *
 * @throws CodedError `INVALID_ARGUMENT` for a name or value that HTTP does not allow
 */
export function requestHeaders({ properties, auth }: ResolvedSpec): {
  all: Record<string, string>;
  delegation: string;
} {
  const all: Record<string, string> = Object.create(null);
  for (const [header, value] of [...headersOf(properties), ...Object.entries(auth.headerHints)]) {
    const invalid = whyInvalid(header, value);
    if (invalid !== undefined) throw new CodedError('INVALID_ARGUMENT', invalid);
    const name = nameOf(header);
    if (isSecretKey(name)) rememberConnectorSecret(secretOf(value));
    all[name] = value;
  }
  const { [DELEGATION]: asHeader, ...rest } = all;
  const delegation = asHeader ?? properties['rest.access-delegation'] ?? 'vended-credentials';
  return { all: rest, delegation: delegation.toLowerCase() === 'none' ? '' : delegation };
}

/**
 * The same headers, changed as the catalog's config says. One of the catalog's that HTTP does not allow is left out: the user of the connector
 * did not set it and cannot remove it, and the catalog may well do without.
 *
 * @param own as `requestHeaders` returns them
 * @param properties the connector's properties after the config was merged
 * @param warn called once if headers are left out
 */
export function withConfigHeaders(
  own: Readonly<Record<string, string>>,
  { auth: { headerHints } }: ResolvedSpec,
  { url, properties }: { url: string; properties: Readonly<Record<string, string>> },
  warn: (message: string) => void = () => {},
): Record<string, string> {
  const all: Record<string, string> = Object.create(null);
  const reasons: string[] = [];
  for (const [header, value] of headersOf(properties)) {
    const name = nameOf(header);
    if (name === DELEGATION) continue;
    const invalid = whyInvalid(header, value);
    if (invalid !== undefined) {
      reasons.push(invalid);
      continue;
    }
    if (isSecretKey(name) && own[name] !== value) rememberIssuedSecret(secretOf(value));
    all[name] = value;
  }
  for (const name of Object.keys(headerHints).map(nameOf)) if (own[name] !== undefined) all[name] = own[name];
  if (reasons.length > 0)
    warn(
      `The config of the catalog at ${url} has ${plural(reasons.length, 'header')} that HTTP does not allow. The requests are sent without. First: ${reasons[0]}.`,
    );
  return all;
}

const nameOf = (header: string) => header.trim().toLowerCase();

function headersOf(properties: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(properties)
    .filter(([key]) => key.toLowerCase().startsWith(PREFIX))
    .map(([key, value]) => [key.slice(PREFIX.length), value]);
}

/** Why HTTP does not allow a header. The reason never has its value, which may be a secret. */
function whyInvalid(header: string, value: string): string | undefined {
  const name = nameOf(header);
  // Names are tokens (RFC 9110, section 5.6.2). A connector may not set the headers of the connection itself.
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) || /^(host|content-length|transfer-encoding|connection)$/.test(name))
    return `${JSON.stringify(truncate(header, MAX_SHOWN))} cannot be set as a header of the requests`;
  if (/[^\t\x20-\x7e\x80-\xff]/.test(value))
    return `the value of the header ${truncate(name, MAX_SHOWN)} has characters that HTTP does not allow`;
  return undefined;
}

/** The value without the name of an auth scheme. */
const secretOf = (value: string) => value.replace(/^(bearer|basic)\s+/i, '');
