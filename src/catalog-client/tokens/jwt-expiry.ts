/** Whether a token has the form of a JWT: three parts of base64url. */
export const isJwt = (token: string) => /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token);

/**
 * When a JWT expires, as in `Date.now()`; undefined for other tokens, and for a JWT without `exp` (RFC 7519, section 4.1.4). The signature is
 * not checked: that is for the catalog service.
 */
export function jwtExpiry(token: string): number | undefined {
  if (!isJwt(token)) return undefined;
  try {
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return typeof exp === 'number' ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}
