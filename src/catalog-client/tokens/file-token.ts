import { open } from 'node:fs/promises';
import { CodedError } from '../../errors.ts';
import { MAX_TOKEN_BYTES, type TokenSource, tokenIn } from './token-source.ts';

/** How old what was read may be. Kubernetes replaces the token of a service account some time before it expires. */
const MAX_AGE_MS = 1_000;

/**
 * The token in a file, which is read again when it may have changed. While it cannot be read, the last token is used: some tools replace a file
 * in two steps.
 *
 * @param options.mayBeMissing whether a file that does not exist, or that another user keeps private, means that there is no token
 */
export function fileToken(path: string, options: { name?: string; mayBeMissing?: boolean } = {}): TokenSource {
  const name = options.name ?? `the file ${path}`;
  let last: { token: string; readAt: number } | undefined;
  return {
    name,
    async token(refused) {
      const isRecent = last !== undefined && Date.now() - last.readAt < MAX_AGE_MS;
      if (isRecent && last?.token !== refused) return last?.token;
      try {
        last = { token: tokenIn(await readStart(path), name), readAt: Date.now() };
      } catch (error) {
        if (last !== undefined) return last.token;
        if (error instanceof CodedError) throw error;
        const { code } = error as NodeJS.ErrnoException;
        if (options.mayBeMissing && /^(ENOENT|EACCES|ENOTDIR)$/.test(code ?? '')) return undefined;
        const reason = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
        throw new CodedError('UNAUTHENTICATED', `${name}, which should contain the token, ${reason}`);
      }
      return last.token;
    },
  };
}

async function readStart(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_TOKEN_BYTES), 0, MAX_TOKEN_BYTES, null);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
