import { CodedError } from '../../errors.ts';
import { isSecretKey, rememberConnectorSecret } from '../../secrets.ts';
import type { ResolvedSpec } from '../connector-spec.ts';

const PREFIX = 'header.';
export const DELEGATION = 'x-iceberg-access-delegation';

/**
 * Headers that the connector adds to every request: properties `header.<name>`, and the auth's header hints, which win. Which access to
 * storage is asked for (`rest.access-delegation`, or the header of that name; vended credentials unless it says otherwise) is apart.
 *
 * @throws CodedError `INVALID_ARGUMENT` for what HTTP does not take
 */
export function requestHeaders({ properties, auth }: ResolvedSpec): {
  all: Record<string, string>;
  delegation: string;
} {
  const all: Record<string, string> = Object.create(null);
  const given = [
    ...Object.entries(properties)
      .filter(([key]) => key.toLowerCase().startsWith(PREFIX))
      .map(([key, value]) => [key.slice(PREFIX.length), value] as const),
    ...Object.entries(auth.headerHints),
  ];
  for (const [header, value] of given) {
    const name = header.trim().toLowerCase();
    // RFC 9110, section 5.6.2. Those of the connection itself are not the connector's to set.
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) || /^(host|content-length|transfer-encoding|connection)$/.test(name)) {
      throw new CodedError('INVALID_ARGUMENT', `${JSON.stringify(header)} cannot be set as a header of the requests`);
    }
    if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw new CodedError(
        'INVALID_ARGUMENT',
        `the value of the header ${name} has characters that HTTP does not take`,
      );
    }
    if (isSecretKey(name)) rememberConnectorSecret(value.replace(/^(bearer|basic)\s+/i, ''));
    all[name] = value;
  }
  const { [DELEGATION]: asHeader, ...rest } = all;
  const delegation = asHeader ?? properties['rest.access-delegation'] ?? 'vended-credentials';
  return { all: rest, delegation: delegation.toLowerCase() === 'none' ? '' : delegation };
}
