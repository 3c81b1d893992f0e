import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';

const PROJECT = join(import.meta.dirname, '..');
const { dependencies, optionalDependencies, devDependencies } = JSON.parse(
  readFileSync(join(PROJECT, 'package.json'), 'utf8'),
);

/** The npm packages that a file imports, requires or resolves. */
function packagesIn(source: string): string[] {
  const specifiers = source.matchAll(/(?:\bfrom |\bimport |\bimport\(|\brequire\(|\.resolve\()'([^'./][^']*)'/g);
  return [...specifiers]
    .map(([, specifier = '']) =>
      specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/'),
    )
    .filter((name) => !name.startsWith('node:') && !builtinModules.includes(name));
}

it('has every package that src imports and every tool of the build in `dependencies` or `optionalDependencies`', () => {
  const files = readdirSync(join(PROJECT, 'src'), { recursive: true, encoding: 'utf8' });
  const sources = files.filter((file) => /\.(ts|cjs)$/.test(file));
  const imported = sources.flatMap((file) => packagesIn(readFileSync(join(PROJECT, 'src', file), 'utf8')));
  expect(imported).toContain('@temporalio/testing');
  // A checkout is built when it is first started, so the build's tools are dependencies too.
  const needed = new Set([...imported, '@bufbuild/buf', 'ts-proto', 'typescript']);
  const installed = { ...dependencies, ...optionalDependencies };
  expect([...needed].filter((name) => !(name in installed))).toEqual([]);
});

it('has all packages of the Temporal SDK in one exact version', () => {
  const versions = Object.entries({ ...dependencies, ...devDependencies })
    .filter(([name]) => name.startsWith('@temporalio/'))
    .map(([, version]) => version);
  expect(versions.length).toBeGreaterThan(5);
  expect([...new Set(versions)]).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+$/)]);
  const { packages } = JSON.parse(readFileSync(join(PROJECT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string }>;
  };
  const locked = Object.entries(packages).filter(([path]) => /(^|\/)node_modules\/@temporalio\/[^/]+$/.test(path));
  expect(locked.filter(([, { version }]) => version !== versions[0])).toEqual([]);
});
