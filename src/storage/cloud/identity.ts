import { endpointOnly } from '../azure/connection-string.ts';
import { schemeOf } from '../location.ts';

type Properties = Readonly<Record<string, string>>;

/** How the credentials of a kind of storage are named. */
interface Identity {
  /** The scheme of its paths, as of `schemeOf`. */
  scheme: string;
  /** Properties with which its objects can be read. */
  keys: RegExp;
  /** Properties that choose how its objects are read: keys, a role, or no credentials at all. */
  all: RegExp;
  /** A profile. With keys it only supplies the region, so it is kept. */
  profile?: RegExp;
}

const IDENTITIES: readonly Identity[] = [
  {
    scheme: 's3',
    keys: /^(s3|client)\.access-key-id$/,
    all: /^(s3|client)\.(access-key-id|secret-access-key|session-token|role-arn|anonymous)$|^client\.assume-role\.arn$/,
    profile: /^(s3|client)\.profile-name$/,
  },
  {
    scheme: 'abfss',
    keys: /^adls\.(sas-token(\..+)?|auth\.shared-key\.account\.key|account-key|token|client-secret)$/,
    all: /^adls\.(sas-token(-expires-at-ms)?(\..+)?|auth\.shared-key\..+|account-key|token|tenant-id|client-id|client-secret|anon)$/,
  },
  {
    scheme: 'gs',
    keys: /^gcs\.(oauth2\.token|credentials)$/,
    all: /^gcs\.(oauth2\.token(-expires-at)?|credentials|no-auth)$|^gcp\.impersonate\./,
  },
];

/** What a connector can set to read a kind of storage with credentials of its own, by scheme. */
export const OWN_KEYS: Readonly<Record<string, string>> = {
  s3: 's3.access-key-id and s3.secret-access-key, or a profile or role',
  abfss:
    'adls.auth.shared-key.account.name and .key, adls.sas-token.ACCOUNT, or adls.tenant-id, adls.client-id and adls.client-secret',
  gs: 'gcs.credentials',
};

/** The values of connection strings may be keys, endpoints or both. */
const CONNECTION_STRING = /^adls\.connection-string(\.|$)/;

const identityOf = (scheme: string) => IDENTITIES.find((identity) => identity.scheme === scheme);

const isKey = ({ scheme, keys }: Identity, [name, value]: [string, string]): boolean =>
  value !== '' &&
  (keys.test(name) || (scheme === 'abfss' && CONNECTION_STRING.test(name) && endpointOnly(value) !== value));

/** Whether the properties contain keys with which the path's storage can be read. */
export function hasKeys(properties: Properties, path: string): boolean {
  const identity = identityOf(schemeOf(path));
  return identity !== undefined && Object.entries(properties).some((entry) => isKey(identity, entry));
}

/** Whether the properties choose with which credentials the path's storage is read: keys, a profile, a role, or none. */
export function hasIdentity(properties: Properties, path: string): boolean {
  const identity = identityOf(schemeOf(path));
  if (identity === undefined) return false;
  return Object.entries(properties).some(
    ([name, value]) =>
      value !== '' && (identity.all.test(name) || identity.profile?.test(name) || isKey(identity, [name, value])),
  );
}

/**
 * The lower properties with the upper ones added. Keys among the upper ones replace the whole identity of the lower ones for the same kind of
 * storage: its session and role do not belong to them, and they apply even if the lower ones are anonymous.
 */
export function overlaid(lower: Properties, upper: Properties): Record<string, string> {
  const replaced = IDENTITIES.filter((identity) => Object.entries(upper).some((entry) => isKey(identity, entry)));
  if (replaced.length === 0) return { ...lower, ...upper };
  const kept = Object.entries(lower).flatMap(([name, value]): [string, string][] => {
    if (replaced.some(({ all }) => all.test(name))) return [];
    if (!CONNECTION_STRING.test(name) || !replaced.some(({ scheme }) => scheme === 'abfss')) return [[name, value]];
    const endpoint = endpointOnly(value);
    return endpoint === undefined ? [] : [[name, endpoint]];
  });
  return { ...Object.fromEntries(kept), ...upper };
}
