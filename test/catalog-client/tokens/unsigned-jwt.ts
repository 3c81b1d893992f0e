const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Has the form of a JWT, for code that does not check signatures. */
export const unsignedJwt = (claims: object) => `${part({ alg: 'RS256' })}.${part(claims)}.c2ln`;
