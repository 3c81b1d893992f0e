import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, hostPortOf } from '../../config.ts';
import { isThisMachine } from '../../policy/this-machine.ts';
import { servedAddress } from '../../stack/serving-file.ts';
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
  return dataDirToken(config.dataDir, address);
}

/**
 * The token that the catalog service writes into its data directory, which only its user can read. Whoever else listens on this machine, on the port
 * that the service had or will have, must not get it: it is used only while the service runs, at its address.
 */
export function dataDirToken(dataDir: string, address: string): TokenSource | undefined {
  if (!isThisMachine(`http://${hostPortOf(address)}`)) return undefined;
  const file = join(dataDir, 'token');
  const name = `the data directory ${dataDir}`;
  const { token } = fileToken(file, { name, mayBeMissing: true });
  const isServed = () => portOf(servedAddress(dataDir) ?? '') === portOf(hostPortOf(address));
  return {
    name: isReadable(file) ? name : undefined,
    token: async (...refused) => (isServed() ? token(...refused) : undefined),
  };
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
