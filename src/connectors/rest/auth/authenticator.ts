import { rememberConnectorSecret } from '../../../secrets.ts';

/** A request that is about to be sent. Header names are in lower case. */
export interface OutgoingRequest {
  method: 'GET' | 'POST';
  url: string;
  headers: Readonly<Record<string, string>>;
  body?: string;
}

/** Adds a connector's credentials to requests. Calls may run concurrently. */
export interface Authenticator {
  authenticate(request: OutgoingRequest): Promise<OutgoingRequest>;
  /**
   * Looks for other credentials after a response with which the catalog may have refused those of the request: 401, 419 or 403. Resolves with
   * whether it is worth sending the request again. Absent if there can be no other credentials.
   *
   * @param rejected as `authenticate` returned it
   */
  renew?(rejected: OutgoingRequest, status: number): Promise<boolean>;
}

export const ANONYMOUS: Authenticator = { authenticate: async (request) => request };

/** Authenticates with a fixed token (RFC 6750). White space around it is removed, because files often end with line breaks. */
export function bearer(text: string): Authenticator {
  const token = text.trim();
  rememberConnectorSecret(token);
  return { authenticate: async (request) => withBearer(request, token) };
}

export function withBearer(request: OutgoingRequest, token: string): OutgoingRequest {
  return { ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } };
}
