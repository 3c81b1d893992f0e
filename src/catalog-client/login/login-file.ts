import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { hostPortOf } from '../../config.ts';
import { CodedError } from '../../errors.ts';

const login = z.object({
  issuer: z.string(),
  clientId: z.string(),
  scope: z.string(),
  audience: z.string().optional(),
  /** What is sent to the catalog service. */
  token: z.string(),
  refreshToken: z.string().optional(),
  /** Milliseconds since 1970. */
  expiresAt: z.number().optional(),
});

/** What `reconciler login` keeps for the address of one catalog service. */
export type Login = z.infer<typeof login>;

/** The file of the login for an address, with or without TLS. It is below the user's own configuration folder. */
export function loginFileOf(configDir: string, address: string): string {
  return join(
    configDir,
    'logins',
    `${hostPortOf(address)
      .toLowerCase()
      .replace(/[^\w.-]/g, '_')}.json`,
  );
}

/** @returns undefined if there is no login, or if the file is not one */
export function readLogin(file: string): Login | undefined {
  try {
    return login.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}

/** Replaces the login. Only this user can read it, and no reader sees half of it. */
export function writeLogin(file: string, value: Login): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, file);
}

/** @returns whether there was a login */
export function deleteLogin(file: string): boolean {
  const existed = readLogin(file) !== undefined;
  rmSync(file, { force: true });
  return existed;
}

/** The error of a login that cannot be renewed. */
export function loginEnded({ issuer }: Pick<Login, 'issuer'>, reason: string): CodedError {
  return new CodedError(
    'UNAUTHENTICATED',
    `your login at ${issuer} is no longer valid: ${reason}. Run \`reconciler login\` again.`,
  );
}
