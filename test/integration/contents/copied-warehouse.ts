import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../stack/running-stack.ts';

const FIXTURES = join(ROOT, 'test/fixtures/iceberg/wh/fx');

/** Creates a warehouse folder with this many copies of the fixture tables, one namespace per copy. */
export function copiedWarehouse(copies: number): { folder: string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), 'reconciler-warehouse-'));
  for (let i = 0; i < copies; i++) {
    const namespace = join(folder, `copy${String(i).padStart(2, '0')}`);
    mkdirSync(namespace);
    for (const table of readdirSync(FIXTURES))
      cpSync(join(FIXTURES, table), join(namespace, table), { recursive: true });
  }
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
