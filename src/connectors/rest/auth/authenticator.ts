import { rememberConnectorSecret } from '../../../secrets.ts';

/** A request about to be sent. Header names in lower case. */
export interface Outgoing {
  method: 'GET' | 'POST';
  url: string;
  headers: Readonly<Record<string, string>>;
  body?: string;
}

/** Puts a connector's credentials to requests. Calls run side by side. */
export interface Authenticator {
  authenticate(request: Outgoing): Promise<Outgoing>;
  /**
   * The request that was sent was answered 401 or 419. Whether it is worth sending it again, with other credentials. Absent where
   * there can be no others.
   */
  renew?(rejected: Outgoing): Promise<boolean>;
}

export const ANONYMOUS: Authenticator = { authenticate: async (request) => request };

/** A token that stays as it is (RFC 6750). White space around it is none of it: a file ends with a line break, or with two. */
export function bearer(text: string): Authenticator {
  const token = text.trim();
  rememberConnectorSecret(token);
  return { authenticate: async (request) => withBearer(request, token) };
}

export function withBearer(request: Outgoing, token: string): Outgoing {
  return { ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } };
}
