import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { ALL_TENANTS, TENANT_ID } from '../../../contract/tenant.ts';
import { CodedError } from '../../../errors.ts';
import { ROLES } from '../../identity/principal.ts';

/** Signatures of a key pair. With a shared secret, whoever can check a token could make one. */
const ASYMMETRIC = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
] as const;

/** What a token would be checked with must not be changed on its way. */
export const secureUrl = z.url('is not a URL').refine((text) => {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || (protocol === 'http:' && /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(hostname));
}, 'is not an https URL (http is allowed on this machine only)');

const claim = z.string().min(1).max(200);
const tenant = z
  .string()
  .refine((text) => text === ALL_TENANTS || TENANT_ID.test(text), `is neither a tenant nor ${ALL_TENANTS}`);

const issuer = z
  .strictObject({
    /** The `iss` of its tokens. */
    issuer: secureUrl,
    /** What the `aud` of its tokens must contain. */
    audience: z.string().min(1),
    /** Where its keys are. Absent: where `<issuer>/.well-known/openid-configuration` says. */
    jwksUri: secureUrl.optional(),
    algorithms: z
      .array(z.enum(ASYMMETRIC))
      .min(1)
      .default([...ASYMMETRIC]),
    /** The claim with the tenants, a text or a list. Absent: tokens have all of `tenants`. A dot leads into an object: `realm_access.roles`. */
    tenantClaim: claim.optional(),
    /** The claim from which roles are derived, a text or a list. */
    rolesClaim: claim,
    /** Values of that claim and the roles for which they stand. Others stand for none. */
    roleMap: z.record(z.string().min(1), z.enum(ROLES)),
    /** The only tenants that its tokens may name. Absent: any tenant by its name, but not `*`. */
    tenants: z.array(tenant).min(1).optional(),
  })
  .refine(({ tenantClaim, tenants }) => tenantClaim !== undefined || tenants !== undefined, {
    message: 'is required unless `tenants` lists the tenants of all tokens',
    path: ['tenantClaim'],
  });

const file = z.strictObject({
  issuers: z
    .array(issuer)
    .min(1)
    .max(20)
    .refine((all) => new Set(all.map((each) => each.issuer)).size === all.length, 'names an issuer twice'),
});

/** A provider whose tokens the catalog accepts. */
export type Issuer = z.infer<typeof issuer>;

/**
 * Reads the file that RECONCILER_OIDC names: `{"issuers": [{…}]}`.
 *
 * @throws CodedError INVALID_ARGUMENT that names the field and what is wrong
 */
export async function readIssuers(path: string): Promise<Issuer[]> {
  const refuse = (why: string, cause?: unknown) =>
    new CodedError('INVALID_ARGUMENT', `RECONCILER_OIDC=${path} ${why}`, { cause });
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw refuse(code === undefined ? 'is not JSON' : `cannot be read (${code})`, cause);
  }
  const parsed = file.safeParse(content);
  if (parsed.success) return parsed.data.issuers;
  const [first] = parsed.error.issues;
  throw refuse(`is not valid: ${first?.path.join('.') || 'the file'}: ${first?.message}`);
}
