import { rememberIssuedSecret } from '../../secrets.ts';
import { withLock } from '../../stack/lock-file.ts';
import type { TokenSource } from '../tokens/token-source.ts';
import { type Login, loginEnded, readLogin, writeLogin } from './login-file.ts';

/** How long before its expiry a token is renewed. */
const RENEW_AHEAD_MS = 30_000;
/** Least time between two renewals of tokens that the catalog service refuses although they have not expired. */
const MIN_PAUSE_MS = 60_000;

/** The token of `reconciler login`, which is renewed with its refresh token before it expires. */
export function loginToken(file: string): TokenSource {
  let login = readLogin(file);
  let renewedAt = Number.NEGATIVE_INFINITY;
  let renewing: Promise<string | undefined> | undefined;

  const isGood = (found: Login, refused: string | undefined) =>
    found.token !== refused && (found.expiresAt === undefined || Date.now() < found.expiresAt - RENEW_AHEAD_MS);

  /** Under a lock, because many providers accept a refresh token only once. Another process may have renewed it meanwhile. */
  const renew = (refused: string | undefined) =>
    withLock(`${file}.lock`, async () => {
      login = readLogin(file);
      if (login === undefined || isGood(login, refused)) return login?.token;
      const isRefused = login.token === refused;
      if (isRefused && Date.now() - renewedAt < MIN_PAUSE_MS) return login.token;
      if (login.refreshToken === undefined) {
        if (isRefused) return login.token;
        throw loginEnded(login, 'it has expired');
      }
      rememberIssuedSecret(login.refreshToken);
      renewedAt = Date.now();
      const { refreshLogin } = await import('./openid.ts');
      login = await refreshLogin(login);
      writeLogin(file, login);
      return login.token;
    });

  return {
    name: '`reconciler login`',
    token(refused) {
      if (login !== undefined && isGood(login, refused)) return Promise.resolve(login.token);
      renewing ??= renew(refused).finally(() => {
        renewing = undefined;
      });
      return renewing;
    },
  };
}
