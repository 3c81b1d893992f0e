import { readFileSync } from 'node:fs';
import { isAbsolute, normalize } from 'node:path';
import { z } from 'zod';
import { ALL_TENANTS, TENANT_ID } from '../contract/tenant.ts';
import { CodedError } from '../errors.ts';
import { networkProblem } from './addresses.ts';
import { hostProblem } from './patterns.ts';
import { POLICY_SETTING } from './policy-error.ts';

/** The worker's own identities, which a connector uses if it has no credentials. */
export const IDENTITIES = ['aws', 'azure', 'google', 'databricks'] as const;
export type Identity = (typeof IDENTITIES)[number];

const text = (problem: (value: string) => string | undefined) =>
  z.string().superRefine((value, context) => {
    const message = problem(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

const tenants = z
  .array(
    text((value) =>
      value === ALL_TENANTS || TENANT_ID.test(value)
        ? undefined
        : `${JSON.stringify(value)} is not the id of a tenant, nor "*" for all`,
    ),
  )
  .min(1, 'has no tenant');
/** An entry without hosts serves no host. */
const hosts = z.array(text(hostProblem)).default([]);
const networks = z.array(text(networkProblem)).default([]);

const schema = z.strictObject({
  /** The tenants that the worker works for. Absent: all. */
  tenants: tenants.optional(),
  secrets: z.array(z.strictObject({ ref: text(referenceProblem), tenants, hosts })).default([]),
  identities: z.array(z.strictObject({ name: z.enum(IDENTITIES), tenants, hosts })).default([]),
  profiles: z.array(z.strictObject({ name: z.string().min(1), tenants, hosts })).default([]),
  networks: z.strictObject({ allow: networks, deny: networks }).default({ allow: [], deny: [] }),
});

/** What the file of RECONCILER_WORKER_POLICY contains. */
export type PolicyFile = z.infer<typeof schema>;

/**
 * Reads a policy.
 *
 * @throws CodedError `INVALID_ARGUMENT` that names the file, the place in it and what is wrong; unknown keys are errors
 */
export function readPolicyFile(path: string): PolicyFile {
  const wrong = (problem: string) =>
    new CodedError(
      'INVALID_ARGUMENT',
      `${POLICY_SETTING}=${path}: ${problem}. Correct the file or unset the variable.`,
    );
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw wrong(code === undefined ? `the file is not JSON (${(error as Error).message})` : `cannot be read (${code})`);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  // A misspelled key is the reason that another one is missing.
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
  const place = issue?.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  throw wrong(`${place ? place.replace(/^\./, '') : 'the policy'}: ${issue?.message}`);
}

function referenceProblem(ref: string): string | undefined {
  if (/^env:[A-Za-z0-9_*]+$/.test(ref) || /^aws-secretsmanager:\S+$/.test(ref)) return undefined;
  if (ref.startsWith('file:')) {
    const path = ref.slice('file:'.length);
    if (isAbsolute(path) && normalize(path) === path) return undefined;
    return `${JSON.stringify(ref)} is not an absolute path without . and ..`;
  }
  return `${JSON.stringify(ref)} is not env:NAME, file:/path or aws-secretsmanager:ID; each * stands for any characters`;
}
