/**
 * Starts the server of the tests by hand: `npx tsx test/connectors/unity/serve.ts FOLDER [PORT]`. Every folder in FOLDER with a `_delta_log` is
 * an external table of the schema `delta` in the catalog `main`.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UnityServer } from './unity-server.ts';

const [folder = '.', port = '8080'] = process.argv.slice(2);
const server = await UnityServer.start(Number(port));
const names = readdirSync(folder).filter((name) => existsSync(join(folder, name, '_delta_log')));
for (const name of names) server.add('main', 'delta', { name, storage_location: `file://${resolve(folder, name)}` });
process.stdout.write(`${names.length} tables of main.delta at ${server.url}\n`);
