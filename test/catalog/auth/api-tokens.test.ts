import { expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { pino } from 'pino';
import { acceptApiTokens } from '../../../src/catalog/auth/api-tokens.ts';
import { newTokenSecret } from '../../../src/catalog/identity/token-secret.ts';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { findToken, insertToken, revokeToken } from '../../../src/catalog/store/tokens/tokens.ts';
import { waitFor } from '../../jest/wait-for.ts';
import { recordStatements } from '../statements.ts';

const HOUR_MS = 3_600_000;

async function setUp() {
  const database = await openDatabase(':memory:');
  const { db } = database;
  let clock = 1_000 * HOUR_MS;
  const log: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => log.push(line) });
  const accept = acceptApiTokens({ db, logger }, () => clock);
  const create = async () => {
    const { tokenId, text, hash } = newTokenSecret();
    const fields = { subject: 's', tenants: ['default'], roles: ['reader' as const], createdAt: 0, createdBy: 'test' };
    await insertToken(db, { tokenId, hash, ...fields });
    return { tokenId, text };
  };
  return {
    db,
    log,
    accept,
    create,
    now: () => clock,
    pass: (ms: number) => {
      clock += ms;
    },
    [Symbol.asyncDispose]: () => database.close(),
  };
}

it('a revoked token is refused within 10 s', async () => {
  await using tokens = await setUp();
  const { tokenId, text } = await tokens.create();
  expect(await tokens.accept(text)).toMatchObject({ subject: 's', tokenId });
  await revokeToken(tokens.db, tokenId, tokens.now());
  tokens.pass(10_000);
  await expect(tokens.accept(text)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

it('a valid token is read once in 10 s', async () => {
  await using tokens = await setUp();
  const { text } = await tokens.create();
  await tokens.accept(text);
  await recorded(tokens.db, text);
  const end = recordStatements();
  for (let i = 0; i < 99; i++) {
    await tokens.accept(text);
    tokens.pass(100);
  }
  expect(end()).toEqual([]);
  tokens.pass(100);
  const again = recordStatements();
  await tokens.accept(text);
  expect(again()).toHaveLength(1);
});

it('the use is recorded once an hour', async () => {
  await using tokens = await setUp();
  const { tokenId, text } = await tokens.create();
  await tokens.accept(text);
  await recorded(tokens.db, text);
  tokens.pass(HOUR_MS + 1);
  await tokens.accept(text);
  await waitFor(async () => expect((await findToken(tokens.db, tokenId))?.lastUsedAt).toBe(1_001 * HOUR_MS));
});

it('a call does not fail if its use cannot be recorded', async () => {
  await using tokens = await setUp();
  const { text } = await tokens.create();
  await sql`create trigger no_use before update on tokens begin select raise(fail, 'no updates'); end`.execute(
    tokens.db,
  );
  expect(await tokens.accept(text)).toMatchObject({ subject: 's' });
  await waitFor(() => expect(tokens.log.join()).toContain('the use of a token cannot be recorded'));
});

it('what is no token costs no statement, and an unknown token costs one', async () => {
  await using tokens = await setUp();
  const { text } = await tokens.create();
  const refused = { code: 'UNAUTHENTICATED' };
  const end = recordStatements();
  await expect(tokens.accept(`${text}x`)).rejects.toMatchObject(refused);
  await expect(tokens.accept('x')).rejects.toMatchObject(refused);
  await expect(tokens.accept(newTokenSecret().text)).rejects.toMatchObject(refused);
  expect(end()).toHaveLength(1);
});

/** Resolves once the first use of a token is stored. */
async function recorded(db: Awaited<ReturnType<typeof setUp>>['db'], text: string): Promise<void> {
  const tokenId = text.split('_')[1] ?? '';
  await waitFor(async () => expect((await findToken(db, tokenId))?.lastUsedAt).toBeDefined());
}
