import { CodedError } from '../../errors.ts';
import { withoutSecrets } from '../../secrets.ts';
import { failureOf, runCommand } from '../../stack/run-command.ts';
import { jwtExpiry } from './jwt-expiry.ts';
import { type TokenSource, tokenIn } from './token-source.ts';

const NAME = 'RECONCILER_TOKEN_COMMAND';
const TIMEOUT_MS = 60_000;
/** How long a token is used whose expiry is not known. */
const LIFE_MS = 5 * 60_000;
/** How long before its expiry a JWT is replaced. */
const RENEW_AHEAD_MS = 30_000;
/** Least time between two runs. A catalog service that refuses each token does not cause a run per call. */
const MIN_PAUSE_MS = 5_000;

/**
 * The token that a command prints. `/bin/sh` runs it, so that people can quote and pipe as they are used to; whoever can set the variable can
 * run programs as this user anyway. The token is used until shortly before its expiry if it is a JWT, otherwise for five minutes.
 */
export function commandToken(command: string): TokenSource {
  let last: { token: string; renewAt: number } | undefined;
  let ranAt = Number.NEGATIVE_INFINITY;
  let running: Promise<string> | undefined;

  async function run(): Promise<string> {
    ranAt = Date.now();
    const result = await runCommand('/bin/sh', ['-c', command], { timeoutMs: TIMEOUT_MS });
    if (result.problem !== undefined || result.code !== 0) {
      // Without what it printed, which may be a token.
      const failure = failureOf({ ...result, stdout: '' });
      throw new CodedError('UNAUTHENTICATED', `the command of ${NAME} failed: ${withoutSecrets(failure)}`);
    }
    const token = tokenIn(result.stdout, `what the command of ${NAME} printed`);
    const expiry = jwtExpiry(token);
    last = { token, renewAt: expiry === undefined ? ranAt + LIFE_MS : expiry - RENEW_AHEAD_MS };
    return token;
  }

  return {
    name: NAME,
    token(refused) {
      const ranRecently = Date.now() - ranAt < MIN_PAUSE_MS;
      const isGood = last !== undefined && last.token !== refused && Date.now() < last.renewAt;
      if (last !== undefined && (isGood || ranRecently) && running === undefined) return Promise.resolve(last.token);
      running ??= run().finally(() => {
        running = undefined;
      });
      return running;
    },
  };
}
