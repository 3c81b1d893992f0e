import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commit, metadata, protocol } from '../../../formats/delta/memory-table.ts';

/** The log of `db.t` in a warehouse, which a test writes by itself. */
export class DeltaVersions {
  readonly #log: string;

  constructor(warehouse: string) {
    this.#log = join(warehouse, 'db/t/_delta_log');
    mkdirSync(this.#log, { recursive: true });
  }

  put(version: number, ...actions: object[]): this {
    const start = version === 0 ? [protocol(), metadata()] : [];
    const lines = [...start, ...actions].map((action) => `${JSON.stringify(action)}\n`);
    writeFileSync(join(this.#log, commit(version)), lines.join(''));
    return this;
  }

  /** Ends the table, as if its folder were deleted. */
  clear(): this {
    rmSync(this.#log, { recursive: true });
    mkdirSync(this.#log);
    return this;
  }
}

/** A protocol that needs features of readers. */
export const features = (...names: string[]) =>
  protocol({ minReaderVersion: 3, minWriterVersion: 7, readerFeatures: names, writerFeatures: names });
