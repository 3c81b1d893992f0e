import { execFile } from 'node:child_process';
import { CodedError } from '../../errors.ts';
import { withoutSecrets } from '../../secrets.ts';
import { type Token, tokenIn } from '../cloud/credentials.ts';
import { STORAGE_RESOURCE } from './principal.ts';

/** The CLI is a Python program, which takes a second or two to start, and may have to request the token. */
const TIMEOUT_MS = 30_000;
const MAX_BYTES = 1024 * 1024;

/**
 * A token from the Azure CLI (`az login`). If there is no CLI, or nobody is logged in, a text that states it.
 *
 * @throws CodedError `UNAVAILABLE` if the CLI fails otherwise
 */
export async function azureCliToken(tenantId?: string): Promise<Token | string> {
  const args = ['account', 'get-access-token', '--output', 'json', '--resource', STORAGE_RESOURCE];
  if (tenantId) args.push('--tenant', tenantId);
  const result = await run('az', args);
  if (result.missing) return 'there is no Azure CLI (az)';
  if (result.failure !== undefined) {
    if (/az login|az account set/i.test(result.failure)) return 'nobody is logged in to the Azure CLI (az login)';
    const text = withoutSecrets(result.failure).replace(/\s+/g, ' ').trim().slice(0, 300);
    throw new CodedError('UNAVAILABLE', `the Azure CLI returned no token: ${text}`);
  }
  let response: Record<string, unknown> = {};
  try {
    response = JSON.parse(result.output);
  } catch {
    // Not shown, because it may contain a token.
  }
  return tokenIn(response, 'the Azure CLI');
}

function run(command: string, args: string[]): Promise<{ output: string; failure?: string; missing?: boolean }> {
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: MAX_BYTES, env: { ...process.env, AZURE_CORE_NO_COLOR: 'true' } };
    execFile(command, args, options, (error, output, stderr) => {
      if (error === null) return resolve({ output });
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      const failure = error.killed ? `no answer within ${TIMEOUT_MS / 1000} s` : stderr || error.message;
      resolve({ output: '', failure, missing });
    });
  });
}
