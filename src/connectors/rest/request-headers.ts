import { CodedError } from '../../errors.ts';
import { isSecretKey, rememberConnectorSecret } from '../../secrets.ts';
import type { ResolvedSpec } from '../connector-spec.ts';

const PREFIX = 'header.';
export const DELEGATION = 'x-iceberg-access-delegation';

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
  const headers = [
    ...Object.entries(properties)
      .filter(([key]) => key.toLowerCase().startsWith(PREFIX))
      .map(([key, value]) => [key.slice(PREFIX.length), value] as const),
    ...Object.entries(auth.headerHints),
  ];
  for (const [header, value] of headers) {
    const name = header.trim().toLowerCase();
    // Names are tokens (RFC 9110, section 5.6.2). A connector may not set the headers of the connection itself.
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) || /^(host|content-length|transfer-encoding|connection)$/.test(name)) {
      throw new CodedError('INVALID_ARGUMENT', `${JSON.stringify(header)} cannot be set as a header of the requests`);
    }
    if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw new CodedError(
        'INVALID_ARGUMENT',
        `the value of the header ${name} has characters that HTTP does not allow`,
      );
    }
    if (isSecretKey(name)) rememberConnectorSecret(value.replace(/^(bearer|basic)\s+/i, ''));
    all[name] = value;
  }
  const { [DELEGATION]: asHeader, ...rest } = all;
  const delegation = asHeader ?? properties['rest.access-delegation'] ?? 'vended-credentials';
  return { all: rest, delegation: delegation.toLowerCase() === 'none' ? '' : delegation };
}
