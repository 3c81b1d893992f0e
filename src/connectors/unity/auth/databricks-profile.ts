import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CodedError } from '../../../errors.ts';
import { sameOrigin } from '../../rest/catalog-uri.ts';

/** A profile of `.databrickscfg`, with the values that are used here. */
export interface DatabricksProfile {
  name: string;
  token?: string;
  clientId?: string;
  clientSecret?: string;
  /** `pat`, `oauth-m2m`, `databricks-cli`, …; if absent, the other values decide. */
  authType?: string;
}

/** Larger than any file of profiles. */
const MAX_BYTES = 1024 * 1024;

/**
 * Reads a profile of `DATABRICKS_CONFIG_FILE` or `~/.databrickscfg`, the file of Databricks' own tools.
 *
 * @param host the URL of the connector's workspace, which must be the profile's: its secrets are sent to no other
 * @throws CodedError `FAILED_PRECONDITION` if there is no such file or profile, `INVALID_ARGUMENT` if it is for another host
 */
export async function databricksProfile(name: string, host: string): Promise<DatabricksProfile> {
  const path = process.env.DATABRICKS_CONFIG_FILE || homePath('.databrickscfg');
  const text = await readSmallFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `the auth property profile names the Databricks profile ${name}, but ${path} cannot be read (${error.code ?? error.message}) by the worker. ` +
        'Create it there, or set DATABRICKS_CONFIG_FILE of the worker.',
    );
  });
  const profile = sections(text).get(name);
  if (profile === undefined) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `${path} has no profile [${name}], which the auth property profile names`,
    );
  }
  const profileHost = profile.get('host') ?? '';
  const url = /^https?:\/\//i.test(profileHost) ? profileHost : `https://${profileHost}`;
  if (!sameOrigin(url, host)) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `the profile [${name}] of ${path} is for the host ${profileHost || '(none)'}, not for the connector's URI ${host}. Use the profile of that host.`,
    );
  }
  return {
    name,
    token: profile.get('token'),
    clientId: profile.get('client_id'),
    clientSecret: profile.get('client_secret'),
    authType: profile.get('auth_type')?.toLowerCase(),
  };
}

/** A path below the home folder of the worker's user. */
export const homePath = (...path: string[]) => join(process.env.HOME || homedir(), ...path);

/** @throws Error of the file system, or one without a code if the file is too large */
export async function readSmallFile(path: string): Promise<string> {
  const text = await readFile(path, 'utf8');
  if (text.length > MAX_BYTES) throw new Error(`it has more than ${MAX_BYTES} bytes`);
  return text;
}

/** The sections of an INI file, with their keys in lower case. Empty values count as absent. */
function sections(text: string): Map<string, Map<string, string>> {
  const all = new Map<string, Map<string, string>>();
  let current: Map<string, string> | undefined;
  for (const line of text.split(/\r?\n/)) {
    const section = /^\s*\[([^\]]+)\]\s*$/.exec(line)?.[1]?.trim();
    if (section !== undefined) {
      current = all.get(section) ?? new Map();
      all.set(section, current);
      continue;
    }
    const [, key = '', value = ''] = /^\s*([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key !== '' && value !== '') current?.set(key.toLowerCase(), value);
  }
  return all;
}
