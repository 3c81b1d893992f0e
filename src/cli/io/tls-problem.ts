/** Why no connection with TLS was made, in the form of an error and a hint; undefined for other reasons. */
export function tlsProblem(details: string, address: string): { message: string; hint: string } | undefined {
  const found = PROBLEMS.find(({ pattern }) => pattern.test(details));
  return found && { message: `the catalog service at ${address} ${found.problem}`, hint: found.hint };
}

/** Texts of OpenSSL and Node, which gRPC passes on. */
const PROBLEMS = [
  {
    pattern: /self[- ]signed certificate|unable to (get (local )?issuer|verify the first) certificate/,
    problem: 'has a certificate of an authority that is not trusted here',
    hint: 'set RECONCILER_CA to the file with the certificate of that authority',
  },
  {
    pattern: /does not match certificate's altnames/,
    problem: 'has a certificate for other names than this',
    hint: 'use the name that is in its certificate',
  },
  {
    pattern: /certificate has expired/,
    problem: 'has a certificate that has expired',
    hint: 'who runs the service has to renew it',
  },
  {
    pattern: /alert (certificate required|handshake failure|bad certificate|unknown ca)/,
    problem: 'does not accept this client without a certificate that it trusts',
    hint: 'set RECONCILER_CLIENT_CERT and RECONCILER_CLIENT_KEY',
  },
  {
    pattern: /:wrong version number:/,
    problem: 'does not use TLS',
    hint: 'give the address without https://',
  },
];
