/**
 * Starts the server of the tests by hand: `npx tsx test/connectors/unity/serve.ts FOLDER [PORT] [ROOT]`. Every folder below FOLDER with a `_delta_log` is
 * an external table of the catalog `main`: FOLDER/SCHEMA/TABLE in that schema, FOLDER/TABLE in the schema `delta`.
 *
 * ROOT is the URI at which FOLDER is instead, such as s3://bucket. The server vends the keys of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for it.
 * `GET /requests` returns how many requests of each kind there were since the last time.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { respondWithJson } from '../rest/fake-server.ts';
import { UnityServer } from './unity-server.ts';

const [folder = '.', port = '8080', root = `file://${resolve(folder)}`] = process.argv.slice(2);
const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = process.env;
const server = await UnityServer.start(Number(port));

let tables = 0;
const isTable = (path: string) => existsSync(join(folder, path, '_delta_log'));
function add(schema: string, name: string, path: string): void {
  server.add('main', schema, { name, storage_location: `${root}/${path}` });
  tables++;
}
for (const { name } of readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
  if (isTable(name)) add('delta', name, name);
  else
    for (const table of readdirSync(join(folder, name)))
      if (isTable(join(name, table))) add(name, table, join(name, table));
}
if (!root.startsWith('file:')) {
  server.vend = () => ({ accessKeyId, secretAccessKey, expiresAtMs: Date.now() + 3_600_000 });
}
server.intercept = ({ path }, response) => {
  if (path !== '/requests') return false;
  const counts: Record<string, number> = {};
  for (const request of server.taken()) {
    const kind = request.replace(/\/schemas\/.*\/tables\/[^/]+/, '/…').replace(/^(GET \/tables\/).*/, '$1…');
    if (kind !== 'GET /requests') counts[kind] = (counts[kind] ?? 0) + 1;
  }
  respondWithJson(response, counts);
  return true;
};
process.stdout.write(`${tables} tables of the catalog main at ${server.url}\n`);
