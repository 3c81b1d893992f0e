import { isIPv6 } from 'node:net';
import { CodedError } from '../../errors.ts';
import { rememberConnectorSecret } from '../../secrets.ts';
import { isExempt } from './no-proxy.ts';

/** A forward proxy (RFC 9110, section 3.7). */
export interface ForwardProxy {
  /** `http://host:port` or `https://host:port`, without user and password. */
  origin: string;
  /** The value of `Proxy-Authorization`, if the proxy requires it. */
  authorization?: string;
  /** It is that of this process's environment, not of a connector. */
  isWorkers?: true;
}

type Properties = Readonly<Record<string, string>>;

/** Properties of a connector, with Iceberg's names: hostname, port, username and password. */
export const PROXY_PROPERTIES = 'rest.client.proxy.';

/**
 * The connector's own proxy; undefined if it has none.
 *
 * @throws CodedError `FAILED_PRECONDITION` that names the property that is missing or invalid
 */
export function connectorProxy(properties: Properties): ForwardProxy | undefined {
  const [hostname, port, username, password] = ['hostname', 'port', 'username', 'password'].map(
    (name) => properties[PROXY_PROPERTIES + name]?.trim() || undefined,
  );
  for (const [name, value, other, otherValue] of [
    ['hostname', hostname, 'port', port],
    ['port', port, 'hostname', hostname],
    ['username', username, 'password', password],
    ['password', password, 'username', username],
  ] as const) {
    if (value !== undefined && otherValue === undefined) {
      throw invalid(`${PROXY_PROPERTIES}${name} is set but ${PROXY_PROPERTIES}${other} is not; set both or neither`);
    }
  }
  if (hostname === undefined) return undefined;
  const url = `http://${isIPv6(hostname) ? `[${hostname}]` : hostname}:${port}`;
  if (!/^\d{1,5}$/.test(port ?? '') || !URL.canParse(url) || new URL(url).pathname !== '/') {
    throw invalid(
      `${PROXY_PROPERTIES}hostname=${hostname} and ${PROXY_PROPERTIES}port=${port} are not a host and a port`,
    );
  }
  return { origin: new URL(url).origin, ...(username && password && { authorization: basic(username, password) }) };
}

/**
 * The proxy through which to send a request: the connector's own, otherwise that of `HTTP_PROXY` or `HTTPS_PROXY` of this process (or in lower case,
 * which takes precedence). Undefined for this machine and for what `NO_PROXY` lists.
 *
 * @throws CodedError `FAILED_PRECONDITION` that names the variable if it has no URL of a proxy
 */
export function proxyFor(url: URL, own?: ForwardProxy): ForwardProxy | undefined {
  if (isExempt(url, environment('NO_PROXY')[1])) return undefined;
  if (own !== undefined) return own;
  const [name, text] = environment(url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  if (text === '') return undefined;
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const proxy = URL.canParse(address) ? new URL(address) : undefined;
  if (proxy === undefined || !/^https?:$/.test(proxy.protocol)) {
    // The text is not repeated: it may contain a password.
    throw invalid(`${name} of this process has no http(s) URL of a proxy: correct it or unset it`);
  }
  const { origin, username, password } = proxy;
  const credentials = [username, password].map(decoded) as [string, string];
  return { origin, isWorkers: true, ...(username && { authorization: basic(...credentials) }) };
}

function environment(name: string): [name: string, value: string] {
  const lower = name.toLowerCase();
  const chosen = process.env[lower] ? lower : name;
  return [chosen, process.env[chosen]?.trim() ?? ''];
}

function basic(username: string, password: string): string {
  const encoded = Buffer.from(`${username}:${password}`).toString('base64');
  for (const secret of [password, encoded]) rememberConnectorSecret(secret);
  return `Basic ${encoded}`;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function invalid(message: string): CodedError {
  return new CodedError('FAILED_PRECONDITION', message);
}
