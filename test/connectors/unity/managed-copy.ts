import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UnityCommit } from './unity-server.ts';

export const commitName = (version: number) => `${String(version).padStart(20, '0')}.json`;

/**
 * Copies a Delta table and makes its log that of a catalog-managed table (Delta protocol, "Catalog-managed Tables"): its protocol has the feature, and
 * the commits after `published` are staged only.
 *
 * @returns the commits from `named` on, as the catalog names them
 */
export function managedCopy(
  from: string,
  to: string,
  { published, named }: { published: number; named: number },
): UnityCommit[] {
  cpSync(from, to, { recursive: true });
  const log = join(to, '_delta_log');
  const staged = join(log, '_staged_commits');
  mkdirSync(staged);
  const first = join(log, commitName(0));
  const features = { readerFeatures: ['catalogManaged'], writerFeatures: ['catalogManaged', 'inCommitTimestamp'] };
  const protocol = JSON.stringify({ protocol: { minReaderVersion: 3, minWriterVersion: 7, ...features } });
  writeFileSync(first, readFileSync(first, 'utf8').replace(/^\{"protocol".*$/m, protocol));
  const versions = readdirSync(log).flatMap((name) => (/^\d{20}\.json$/.test(name) ? [Number(name.slice(0, 20))] : []));
  return versions.flatMap((version) => {
    const path = join(log, commitName(version));
    const fileName = commitName(version).replace('.json', `.3a0d65cd-4056-49b8-937b-95f9e3ee90e${version}.json`);
    if (version >= named) cpSync(path, join(staged, fileName));
    if (version > published) renameSync(path, join(to, `unused-${version}`));
    if (version < named) return [];
    const { size } = statSync(join(staged, fileName));
    utimesSync(join(staged, fileName), 1_700_000_000 + version, 1_700_000_000 + version);
    return [{ version, fileName, size, modifiedMs: (1_700_000_000 + version) * 1000 }];
  });
}
