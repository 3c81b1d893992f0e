import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { CodedError } from '../../../errors.ts';
import { type Issuer, secureUrl } from './issuers-file.ts';

/** Keys are read again after this time, and at most once in it for tokens whose key is not known. */
const COOLDOWN_MS = 30_000;
const REFRESH_MS = 600_000;
/** How long keys may be used while the provider cannot be reached. */
const MAX_AGE_MS = 3_600_000;
/** How soon a request that failed is made again. */
const RETRY_MS = 5_000;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 1024 * 1024;

const configuration = z.object({ issuer: z.string(), jwks_uri: secureUrl });
const keySet = z.object({ keys: z.array(z.looseObject({})) });

/**
 * The keys with which an issuer signs. They are read at the first token, again every ten minutes, and when a token has an unknown key.
 *
 * @returns a function that throws CodedError UNAVAILABLE if the provider cannot be reached and no keys are known, or only old ones
 */
export function keysOf({ issuer, jwksUri }: Pick<Issuer, 'issuer' | 'jwksUri'>): JWTVerifyGetKey {
  let keys: ReturnType<typeof createRemoteJWKSet> | undefined;
  let opening: Promise<ReturnType<typeof createRemoteJWKSet>> | undefined;
  let failedAt = Number.NEGATIVE_INFINITY;
  let readAt = 0;

  return async (header, token) => {
    const known = keys ?? (await open());
    if (known.jwks() !== undefined && Date.now() - readAt > REFRESH_MS) known.reload().catch(() => undefined);
    return known(header, token);
  };

  async function open(): Promise<ReturnType<typeof createRemoteJWKSet>> {
    opening ??= (jwksUri === undefined ? discover() : Promise.resolve(jwksUri))
      .then((uri) => {
        keys = createRemoteJWKSet(new URL(uri), {
          cooldownDuration: COOLDOWN_MS,
          cacheMaxAge: MAX_AGE_MS,
          timeoutDuration: TIMEOUT_MS,
          [customFetch]: async (url, init) => {
            const response = await get(url, init, keySet);
            readAt = Date.now();
            return response;
          },
        });
        return keys;
      })
      .finally(() => {
        opening = undefined;
      });
    return opening;
  }

  async function discover(): Promise<string> {
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const describesIssuer = configuration.refine((found) => found.issuer === issuer, `it is not that of ${issuer}`);
    const response = await get(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'manual' }, describesIssuer);
    return ((await response.json()) as z.infer<typeof configuration>).jwks_uri;
  }

  /** A request that has just failed is not made again at once: otherwise, each token would cost one. */
  async function get(url: string, init: RequestInit, content: z.ZodType): Promise<Response> {
    if (Date.now() - failedAt < RETRY_MS) throw unavailable(`${url} has just failed`);
    try {
      const response = await fetch(url, init);
      if (response.status !== 200) throw new Error(`status ${response.status}`);
      const text = await readText(response);
      content.parse(JSON.parse(text));
      return new Response(text, { status: 200 });
    } catch (cause) {
      failedAt = Date.now();
      const why = cause instanceof z.ZodError ? (cause.issues[0]?.message ?? '') : (cause as Error).message;
      throw unavailable(`${url}: ${why}`, cause);
    }
  }

  function unavailable(why: string, cause?: unknown): CodedError {
    return new CodedError(
      'UNAVAILABLE',
      `the keys of the issuer ${issuer} cannot be read, so its tokens cannot be checked: ${why}`,
      {
        cause,
      },
    );
  }
}

/** @throws Error if the response is too large */
async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`the response has more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
