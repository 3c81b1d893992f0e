import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, hostPortOf } from '../../config.ts';
import { isThisMachine } from '../../policy/this-machine.ts';
import { readRunningStack } from '../../stack/stack-file.ts';
import { loginFileOf } from '../login/login-file.ts';
import { loginToken } from '../login/login-token.ts';
import { commandToken } from './command-token.ts';
import { fileToken } from './file-token.ts';
import type { TokenSource } from './token-source.ts';

/**
 * The first of these that is set: the file of `--token-file`, RECONCILER_TOKEN, RECONCILER_TOKEN_FILE, RECONCILER_TOKEN_COMMAND, the token of
 * `reconciler login` for this address, the token in the data directory. Undefined if there is none.
 */
export function openTokenSource(config: Config, address: string, tokenFileOption?: string): TokenSource | undefined {
  const { token, tokenFile, tokenCommand } = config.credentials;
  if (tokenFileOption !== undefined) return fileToken(tokenFileOption);
  if (token !== undefined) return { name: 'RECONCILER_TOKEN', token: async () => token };
  if (tokenFile !== undefined) return fileToken(tokenFile);
  if (tokenCommand !== undefined) return commandToken(tokenCommand);
  const login = loginFileOf(config.configDir, address);
  if (existsSync(login)) return loginToken(login);
  return isOfDataDir(config.dataDir, address) ? dataDirToken(config.dataDir) : undefined;
}

/** The token that the catalog service writes into its data directory, which only its user can read. */
export function dataDirToken(dataDir: string): TokenSource {
  const file = join(dataDir, 'token');
  const name = `the data directory ${dataDir}`;
  return { name: isReadable(file) ? name : undefined, token: fileToken(file, { name, mayBeMissing: true }).token };
}

/** Whether the address can be that of the service that uses the data directory: its token must reach no other. */
function isOfDataDir(dataDir: string, address: string): boolean {
  if (!isThisMachine(`http://${hostPortOf(address)}`)) return false;
  const stack = readRunningStack(dataDir);
  return stack === undefined || portOf(stack.address) === portOf(hostPortOf(address));
}

const portOf = (address: string) => address.slice(address.lastIndexOf(':') + 1);

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
