import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';

/**
 * Which part may import from which (shared by all: config, errors, names, patterns, secrets, generated code). `types` names the parts from which
 * only types may come.
 */
const RULES: Record<string, { from: string[]; types?: string[] }> = {
  // The keys of the payload codec are secrets by reference, as connectors' are.
  cli: {
    from: ['stack', 'catalog', 'clients', 'worker', 'workflows/contract', 'telemetry', 'storage/secret-reference'],
    types: ['workflows'],
  },
  // The names of the search attributes, which the dev server registers and workflows set, stand in one place.
  stack: { from: ['clients/search-attributes'] },
  worker: { from: ['activities', 'clients', 'connectors', 'telemetry', 'workflows/contract'], types: ['workflows'] },
  workflows: {
    from: ['clients/search-attributes', 'telemetry/run-span', 'telemetry/trace-header'],
    types: ['activities', 'connectors', 'clients'],
  },
  activities: {
    from: ['connectors', 'clients', 'storage', 'stats', 'telemetry', 'workflows/contract'],
    types: ['workflows'],
  },
  connectors: { from: ['storage', 'stats', 'telemetry'] },
  clients: {
    from: ['workflows/contract', 'stats', 'storage/secret-reference', 'telemetry'],
    types: ['workflows', 'connectors'],
  },
  catalog: { from: ['stats', 'clients', 'workflows/contract', 'telemetry'], types: ['workflows'] },
  storage: { from: ['telemetry'] },
  stats: { from: [] },
  telemetry: { from: [] },
};
const SHARED = ['config', 'errors', 'names', 'name-patterns', 'secrets', 'generated'];
/** Who may speak to Temporal; `workflows` only by what runs in its sandbox. */
const TEMPORAL = ['cli', 'worker', 'workflows', 'activities', 'clients', 'telemetry'];

interface Import {
  specifier: string;
  typesOnly: boolean;
}

/** Static and dynamic imports and re-exports of a file. */
function importsOf(source: string): Import[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const found: Import[] = [];
  for (const match of code.matchAll(/^\s*(import|export)\s+(type\s+)?([^;'"]*?\sfrom\s+)?'([^']+)'/gm)) {
    const names = match[3]?.match(/\{([^}]*)\}/)?.[1];
    const everyType =
      names !== undefined &&
      names.trim() !== '' &&
      names.split(',').every((n) => n.trim() === '' || /^\s*type\s/.test(n));
    found.push({
      specifier: match[4] as string,
      typesOnly: match[2] !== undefined || (everyType && !/^[\w$*]/.test(match[3]?.trim() ?? '')),
    });
  }
  for (const match of code.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)) {
    // `import('…').Name` in a type is none that runs, but nobody writes it here.
    found.push({ specifier: match[1] as string, typesOnly: false });
  }
  return found;
}

/** What breaks the rules below `src`, a line each. */
function violations(src: string): string[] {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return files.flatMap((file) => {
    const part = partOf(file);
    const rule = RULES[part];
    if (SHARED.includes(part) && part !== 'generated') return [];
    if (part === 'generated') return [];
    if (!rule) return [`${file}: no rule for src/${part}; add one here and to the design`];
    return importsOf(readFileSync(join(src, file), 'utf8')).flatMap(({ specifier, typesOnly }) => {
      if (!specifier.startsWith('.')) {
        const temporal = specifier.startsWith('@temporalio/');
        return temporal && !TEMPORAL.includes(part) ? [`${file}: src/${part} must not import ${specifier}`] : [];
      }
      const target = relative(src, resolve(src, dirname(file), specifier)).replace(/\.ts$/, '');
      const targetPart = partOf(target);
      if (targetPart === part || SHARED.includes(targetPart)) return [];
      if (rule.from.some((allowed) => target === allowed || target.startsWith(`${allowed}/`))) return [];
      if (rule.types?.includes(targetPart) && typesOnly) return [];
      const how = rule.types?.includes(targetPart) ? 'anything but types from' : 'from';
      return [`${file}: src/${part} must not import ${how} ${target}`];
    });
  });
}

const partOf = (file: string) => (file.split('/')[0] as string).replace(/\.ts$/, '');

describe('dependencies point one way', () => {
  it('in src', () => {
    expect(violations(join(import.meta.dirname, '../src'))).toEqual([]);
  });

  const folder = mkdtempSync(join(tmpdir(), 'layout-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ['catalog/a.ts', "import { open } from '../connectors/registry.ts';", 'must not import from connectors/registry'],
    ['connectors/a.ts', "import { Context } from '@temporalio/activity';", 'must not import @temporalio/activity'],
    ['stack/a.ts', "export * from '../catalog/server.ts';", 'must not import from catalog/server'],
    ['storage/a.ts', "const m = await import('../connectors/spi.ts');", 'must not import from connectors/spi'],
    [
      'workflows/a.ts',
      "import { createActivities } from '../activities/index.ts';",
      'anything but types from activities/index',
    ],
    [
      'workflows/b.ts',
      "import { type A, b } from '../activities/index.ts';",
      'anything but types from activities/index',
    ],
    ['workflows/c.ts', "import '../activities/index.ts';", 'anything but types from activities/index'],
    ['workflows/d.ts', "import type { A } from '../activities/index.ts';", undefined],
    ['workflows/e.ts', "import {\n  type A,\n  type B,\n} from '../activities/index.ts';", undefined],
    ['new/a.ts', '', 'no rule for src/new'],
  ])('%s: %s', (file, code, expected) => {
    const src = mkdtempSync(join(folder, 'src-'));
    mkdirSync(join(src, dirname(file)));
    writeFileSync(join(src, file), `${code}\n`);
    expect(violations(src)).toEqual(expected === undefined ? [] : [expect.stringContaining(expected)]);
  });
});
