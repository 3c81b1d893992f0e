import { randomBytes } from 'node:crypto';
import { lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { ALL_TENANTS } from '../../contract/tenant.ts';
import { CodedError } from '../../errors.ts';
import { newTokenSecret, parseTokenSecret, type TokenSecret } from '../identity/token-secret.ts';
import type { AllTenants } from '../store/database/scoped.ts';
import { write } from '../store/database/transaction.ts';
import { findToken, hasPlatformToken, insertToken } from '../store/tokens/tokens.ts';

const MAX_FILE_BYTES = 1024;

export interface OwnerTokenOptions {
  db: AllTenants;
  /** Path of the file, for example `.reconciler/token`. */
  file: string;
  /** Others can log in through a provider, so that nobody needs a first token. */
  hasIssuers: boolean;
  logger: Logger;
}

/**
 * Gives the catalog's owner a token, in a file that only this user can read: all roles, in all tenants, without expiry. It is created if there
 * is neither a file nor another way in. The token in an existing file is made known to the database if it is not: whoever can write that file
 * can write the database as well, and a restored or new database would otherwise lock its owner out. A token that was revoked stays revoked.
 *
 * @throws CodedError FAILED_PRECONDITION if the file cannot be read or written
 */
export async function ensureOwnerToken({ db, file, hasIssuers, logger }: OwnerTokenOptions): Promise<void> {
  try {
    const present = await readSecret(file, logger);
    if (present === 'unusable') return;
    if (present !== undefined) return await register(db, present);
    if (hasIssuers || (await hasPlatformToken(db, Date.now()))) return;
    const secret = newTokenSecret();
    await createFile(file, `${secret.text}\n`);
    await register(db, secret);
    logger.info({ file, tokenId: secret.tokenId }, "created the token of the catalog's owner");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (cause instanceof CodedError || code === undefined || !/^E[A-Z]+$/.test(code)) throw cause;
    throw new CodedError(
      'FAILED_PRECONDITION',
      `the token of the catalog's owner cannot be kept in ${file}: ${(cause as Error).message}; make the folder readable and writable for this user`,
      { cause },
    );
  }
}

/** @returns undefined if there is no file */
async function readSecret(file: string, logger: Logger): Promise<TokenSecret | 'unusable' | undefined> {
  const stats = await lstat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (stats === undefined) return undefined;
  const isPrivate = stats.isFile() && (stats.mode & 0o077) === 0 && stats.uid === process.getuid?.();
  const secret =
    isPrivate && stats.size <= MAX_FILE_BYTES ? parseTokenSecret((await readFile(file, 'utf8')).trim()) : undefined;
  if (secret !== undefined) return secret;
  const why = isPrivate ? 'contains no API token' : 'is not a file that only this user can read (chmod 600)';
  logger.warn({ file }, `the file of the owner's token ${why}: it is left alone`);
  return 'unusable';
}

async function register(db: AllTenants, { tokenId, hash }: TokenSecret): Promise<void> {
  // A database that cannot be written to, because the disk is full, is served nevertheless.
  if (await findToken(db, tokenId)) return;
  await write(db, async (trx) => {
    await insertToken(trx, {
      tokenId,
      hash,
      subject: `owner of ${hostname()}`,
      tenants: [ALL_TENANTS],
      roles: ['admin', 'worker', 'platform'],
      createdAt: Date.now(),
      createdBy: 'the catalog service',
    });
  });
}

/** Creates a complete file or none. The catalog has locked its database, so that no other service creates the file. */
async function createFile(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    const handle = await open(draft, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
}
