import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';

/**
 * The layers of `src`, from the top. A part imports only from the layers below its own; types count as imports.
 */
const LAYERS = [
  ['cli'],
  ['worker'],
  ['catalog', 'activities'],
  ['connectors'],
  ['wire'],
  ['formats', 'temporal'],
  ['catalog-client', 'workflows'],
  ['storage', 'stack'],
  ['telemetry', 'stats', 'protobuf'],
  ['name-patterns', 'upstream-name-hash', 'config', 'durations'],
  ['names'],
  ['secrets'],
  ['policy'],
  ['contract'],
  ['errors', 'text'],
];
/** The layers of `src/catalog`. */
const CATALOG_LAYERS = [
  ['server'],
  ['bindings', 'reconciliation', 'statistics'],
  ['connectors', 'schedules', 'ingest'],
  ['jobs', 'tables', 'snapshots', 'plans', 'names', 'audit', 'tenants', 'tokens'],
  ['reading', 'validation'],
  ['auth', 'limits'],
  ['rpc'],
  ['core'],
  ['store'],
  ['identity'],
];
/** The layers of `src/catalog/store`. */
const STORE_LAYERS = [
  ['ingest', 'statistics'],
  ['files'],
  ['snapshots', 'bindings'],
  ['tables', 'cleanup'],
  ['namespaces', 'connectors', 'jobs', 'lineage', 'clock', 'backup', 'audit', 'tenants', 'tokens'],
  ['database'],
];
/** Code that runs in Temporal's workflow sandbox or describes data exchanged through Temporal has few dependencies. */
const MAY_IMPORT: Record<string, string[]> = {
  contract: ['generated', 'text'],
  workflows: ['contract', 'names', 'text', 'telemetry/tracing/run-span', 'telemetry/tracing/trace-header'],
};
/** The parts that call Temporal; `workflows` does so only through the API of its sandbox. */
const TEMPORAL = ['cli', 'worker', 'contract', 'workflows', 'activities', 'temporal', 'telemetry'];
const MAX_FILES_PER_FOLDER = 20;
const SQL = /\.(selectFrom|insertInto|updateTable|deleteFrom|replaceInto)\('|(?<![.\w])sql[<`]|from 'better-sqlite3/;

/**
 * The files that send requests to upstreams or connect to them. Each calls `checkRequest`, or is what this relies on; any other would bypass the worker's
 * policy.
 */
const SENDERS = [
  'activities/alerts/post-webhook.ts',
  'connectors/rest/http-exchange.ts',
  'storage/aws/proxied-sender.ts',
  'storage/http/send-request.ts',
  'storage/proxy/connections.ts',
  'storage/proxy/tunnel-agent.ts',
];
const SEND =
  /https?\)?\.request\(|[^.#\w]fetch\(|new NodeHttpHandler\(|\b(net|tls)\.(connect|createConnection)\(|new https?\.Agent\(/;

/** The only file that begins transactions: it checks the claims of jobs. */
const WRITE = 'catalog/store/database/transaction.ts';
const BEGIN = /\.transaction\(\)/;
/** Outside of the store, a handle is a `Scoped` one of a tenant, or `AllTenants` by that name. */
const HANDLE = /\bKysely</;

/** Specifiers of static and dynamic imports and re-exports of a file. */
function specifiersIn(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const statements = code.matchAll(/^\s*(?:import|export)\s+(?:type\s+)?(?:[^;'"]*?\sfrom\s+)?'([^']+)'/gm);
  const calls = code.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g);
  return [...statements, ...calls].map((match) => match[1] as string);
}

/** The files of `src` without generated code, each with the files of `src` and the packages that it imports. */
function importsBelow(src: string): Map<string, { source: string; files: string[]; packages: string[] }> {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.startsWith('generated/'),
  );
  return new Map(
    files.map((file) => {
      const source = readFileSync(join(src, file), 'utf8');
      const specifiers = specifiersIn(source);
      const isLocal = (specifier: string) => specifier.startsWith('.');
      return [
        file,
        {
          source,
          files: specifiers.filter(isLocal).map((specifier) => relative(src, resolve(src, dirname(file), specifier))),
          packages: specifiers.filter((specifier) => !isLocal(specifier)),
        },
      ];
    }),
  );
}

const partOf = (file: string) => (file.split('/')[0] as string).replace(/\.ts$/, '');
const isBelow = (file: string, folder: string) => file === `${folder}.ts` || file.startsWith(`${folder}/`);

/** Returns what is wrong with an import from one layer into another; undefined if it is allowed. */
function upwards(layers: string[][], from: string, to: string): string | undefined {
  const level = (part: string) => layers.findIndex((layer) => layer.includes(part));
  if (level(from) < 0) return `no layer for ${from}; add it to the test and to docs/architecture.md`;
  return level(to) > level(from) ? undefined : `${from} must not import from ${to}`;
}

/** Returns the import cycles, one line each. */
function circles(imports: Map<string, { files: string[] }>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: string[]) => {
    const at = path.indexOf(file);
    if (at >= 0) {
      found.push(`circle: ${[...path.slice(at), file].join(' -> ')}`);
      return;
    }
    if (done.has(file)) return;
    for (const next of imports.get(file)?.files ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return found;
}

/** Returns the violations of the rules in `src`, one line each. */
function violations(src: string): string[] {
  const imports = importsBelow(src);
  const found = circles(imports);
  for (const [file, { source, files, packages }] of imports) {
    const part = partOf(file);
    const complain = (problem: string | undefined) => problem && found.push(`${file}: ${problem}`);
    if (part !== 'catalog' || !file.startsWith('catalog/store/')) {
      if (SQL.test(source)) complain('SQL belongs into catalog/store');
      if (HANDLE.test(source)) complain('a handle of the database is Scoped or AllTenants');
    }
    if (part === 'catalog' && file !== WRITE && BEGIN.test(source))
      complain('transactions that write begin with write()');
    // The catalog sends requests only to its OpenID providers.
    if (!['cli', 'stack', 'catalog'].includes(part) && !SENDERS.includes(file) && SEND.test(source))
      complain('requests are sent by one of the files that check them');
    for (const name of packages) {
      if (name.startsWith('@temporalio/') && !TEMPORAL.includes(part)) complain(`${part} must not import ${name}`);
    }
    for (const target of files) {
      const targetPart = partOf(target);
      const allowed = MAY_IMPORT[part];
      if (targetPart !== part && allowed && !allowed.some((name) => isBelow(target, name))) {
        complain(`${part} must not import from ${target}`);
      }
      if (targetPart === 'generated') continue;
      if (targetPart !== part) complain(upwards(LAYERS, part, targetPart));
      else if (part === 'catalog') complain(withinCatalog(file, target));
    }
  }
  return [...new Set(found)];
}

/** Returns the folders in `folder` that have too many TypeScript files, one line each. */
function crowdedFolders(folder: string): string[] {
  const count = new Map<string, number>();
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.ts')) count.set(dirname(file), (count.get(dirname(file)) ?? 0) + 1);
  }
  return [...count].flatMap(([name, n]) =>
    n > MAX_FILES_PER_FOLDER ? [`${join(folder, name)}: ${n} files; at most ${MAX_FILES_PER_FOLDER} are allowed`] : [],
  );
}

/** Returns what is wrong with an import within `catalog/`. */
function withinCatalog(file: string, target: string): string | undefined {
  const [from, to] = [file.split('/'), target.split('/')] as [string[], string[]];
  if (from[1] !== to[1]) return upwards(CATALOG_LAYERS, from[1]!, to[1]!);
  if (from[1] !== 'store' || from[2] === to[2]) return undefined;
  return upwards(STORE_LAYERS, from[2]!, to[2]!);
}

describe('the layout', () => {
  it('of src follows the rules', () => {
    expect(violations(join(import.meta.dirname, '../src'))).toEqual([]);
  });

  it.each(['src', 'test', 'bench'])('of %s has at most 20 files in a folder', (name) => {
    expect(crowdedFolders(join(import.meta.dirname, '..', name))).toEqual([]);
  });

  const folder = mkdtempSync(join(tmpdir(), 'layout-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ['catalog/server/a.ts', "import { o } from '../../connectors/x.ts';", undefined],
    ['connectors/a.ts', "import { o } from '../catalog/server/a.ts';", 'connectors must not import from catalog'],
    ['connectors/a.ts', "import { Context } from '@temporalio/activity';", 'must not import @temporalio/activity'],
    ['stack/a.ts', "export * from '../catalog/server/server.ts';", 'stack must not import from catalog'],
    ['storage/a.ts', "const m = await import('../connectors/spi.ts');", 'storage must not import from connectors'],
    ['workflows/a.ts', "import type { A } from '../storage/a.ts';", 'workflows must not import from storage/a.ts'],
    ['workflows/a.ts', "import type { A } from '../contract/job.ts';", undefined],
    ['contract/a.ts', "import type { A } from '../names.ts';", 'contract must not import from names.ts'],
    ['catalog/store/tables/a.ts', "import '../files/b.ts';", 'tables must not import from files'],
    ['catalog/store/tables/a.ts', "import '../../rpc/b.ts';", 'store must not import from rpc'],
    ['catalog/jobs/a.ts', "db.selectFrom('jobs')", 'SQL belongs into catalog/store'],
    ['catalog/jobs/a.ts', 'sql`select 1`', 'SQL belongs into catalog/store'],
    ['catalog/store/jobs/a.ts', "db.selectFrom('jobs')", undefined],
    ['catalog/jobs/a.ts', 'db.transaction().execute(work)', 'transactions that write begin with write()'],
    ['catalog/jobs/a.ts', 'trx: Kysely<Schema>', 'a handle of the database is Scoped or AllTenants'],
    ['storage/a.ts', "await fetch('https://a');", 'requests are sent by one of the files that check them'],
    ['connectors/a.ts', 'http.request(options)', 'requests are sent by one of the files that check them'],
    ['cli/a.ts', "import type { A } from './a.ts';", 'circle: cli/a.ts -> cli/a.ts'],
    ['new/a.ts', "import '../names.ts';", 'no layer for new'],
  ])('%s: %s', (file, code, expected) => {
    const src = mkdtempSync(join(folder, 'src-'));
    mkdirSync(join(src, dirname(file)), { recursive: true });
    writeFileSync(join(src, file), `${code}\n`);
    const found = violations(src).map((line) => line.replace(/ -> cli\/a\.ts -> /g, ' -> '));
    expect(found).toEqual(expected === undefined ? [] : expect.arrayContaining([expect.stringContaining(expected)]));
  });

  it('has at most 20 files in a folder', () => {
    const src = mkdtempSync(join(folder, 'src-'));
    mkdirSync(join(src, 'cli'));
    for (let i = 0; i < 21; i++) writeFileSync(join(src, 'cli', `${i}.ts`), '');
    expect(crowdedFolders(src)).toEqual([`${join(src, 'cli')}: 21 files; at most 20 are allowed`]);
  });
});
