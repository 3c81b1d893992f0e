import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { installed, runInstaller } from './cache.ts';
import { otherNode } from './node.ts';
import { type Server, startServer } from './server.ts';

const VERSION = '3.37.0';
/** The account and the key that everybody knows. https://learn.microsoft.com/azure/storage/common/storage-use-azurite */
const ACCOUNT = 'devstoreaccount1';
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
const API_VERSION = '2023-11-03';

/** Azurite, an emulator of Azure's Blob service, which verifies account keys and SAS tokens. */
export interface Azurite extends Server {
  readonly account: string;
  readonly key: string;
  createContainer(name: string): Promise<void>;
  putBlob(container: string, name: string, body: Uint8Array): Promise<void>;
  /** A SAS token for reading and listing a container. @param seconds how long it is valid */
  sas(container: string, seconds?: number): string;
}

/** Installs Azurite: 360 MB, too much for a development dependency. It needs Node 22. */
export async function installAzurite(): Promise<string> {
  const folder = await installed(`azurite-${VERSION}`, async (unfinished) => {
    const quiet = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
    await runInstaller('npm', ['install', ...quiet, '--prefix', unfinished, `azurite@${VERSION}`]);
  });
  return join(folder, 'node_modules', 'azurite', 'dist', 'src', 'blob', 'main.js');
}

export async function startAzurite(): Promise<Azurite> {
  const program = await installAzurite();
  const server = await startServer({
    name: 'azurite',
    command: await otherNode(),
    start: (port, folder) => ({
      args: [
        program,
        '--blobHost',
        '127.0.0.1',
        '--blobPort',
        String(port),
        '--location',
        join(folder, 'data'),
        '--disableTelemetry',
      ],
    }),
    // Without a signature it responds with an error, but it responds.
    readyPath: '/',
    readyBelow: 500,
  });
  const put = async (path: string, query: string, body: Uint8Array, headers: Record<string, string>) => {
    const resource = `/${ACCOUNT}/${path}`;
    const microsoft: Record<string, string> = {
      'x-ms-date': new Date().toUTCString(),
      'x-ms-version': API_VERSION,
      ...headers,
    };
    const canonical = Object.keys(microsoft)
      .sort()
      .map((name) => `${name}:${microsoft[name]}\n`)
      .join('');
    const parameters = [...new URLSearchParams(query)].map(([name, value]) => `\n${name}:${value}`).join('');
    const text = `PUT\n\n\n${body.length || ''}\n\n\n\n\n\n\n\n\n${canonical}/${ACCOUNT}${resource}${parameters}`;
    const authorization = `SharedKey ${ACCOUNT}:${signed(text)}`;
    const response = await fetch(`${server.url}${resource}${query && `?${query}`}`, {
      method: 'PUT',
      body,
      headers: { ...microsoft, authorization, 'content-type': '' },
    });
    if (!response.ok) throw new Error(`Azurite answered ${response.status} for ${path}: ${await response.text()}`);
  };
  return {
    ...server,
    account: ACCOUNT,
    key: KEY,
    createContainer: (name) => put(name, 'restype=container', new Uint8Array(), {}),
    putBlob: (container, name, body) => {
      const path = `${container}/${name.split('/').map(encodeURIComponent).join('/')}`;
      return put(path, '', body, { 'x-ms-blob-type': 'BlockBlob' });
    },
    sas: (container, seconds = 3_600) => {
      const expiry = new Date(Date.now() + seconds * 1000).toISOString().replace(/\.\d+/, '');
      // https://learn.microsoft.com/rest/api/storageservices/create-service-sas, for version 2020-12-06 and later
      const fields = [
        'rl',
        '',
        expiry,
        `/blob/${ACCOUNT}/${container}`,
        '',
        '',
        '',
        API_VERSION,
        'c',
        '',
        '',
        '',
        '',
        '',
        '',
        '',
      ];
      const sig = signed(fields.join('\n'));
      return new URLSearchParams({ sp: 'rl', se: expiry, sv: API_VERSION, sr: 'c', sig }).toString();
    },
  };
}

function signed(text: string): string {
  return createHmac('sha256', Buffer.from(KEY, 'base64')).update(text, 'utf8').digest('base64');
}
