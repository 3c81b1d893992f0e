import { CodedError } from '../../src/errors.ts';
import type { FolderEntry, ObjectStore } from '../../src/storage/object-store.ts';

/** Objects in memory, by path. Records the paths that are read. */
export class MemoryStore implements ObjectStore {
  readonly objects = new Map<string, Uint8Array>();
  reads: string[] = [];

  async read(path: string, { maxBytes, start = 0, end }: { maxBytes: number; start?: number; end?: number }) {
    this.reads.push(path);
    const bytes = this.#get(path).subarray(start, end);
    if (bytes.length > maxBytes) throw new CodedError('FAILED_PRECONDITION', `${path} is too large`);
    return bytes;
  }

  async stat(path: string) {
    return { size: this.#get(path).length, modifiedMs: 1 };
  }

  async *list(folder: string, { after = '' }: { after?: string } = {}): AsyncGenerator<readonly FolderEntry[]> {
    const keys = new Set<string>();
    for (const path of this.objects.keys()) {
      if (!path.startsWith(`${folder}/`)) continue;
      const [name = '', ...rest] = path.slice(folder.length + 1).split('/');
      keys.add(rest.length > 0 ? `${name}/` : name);
    }
    const remaining = [...keys].filter((key) => key > after).sort();
    for (const key of remaining) yield [{ name: key.replace('/', ''), folder: key.endsWith('/') }];
  }

  #get(path: string): Uint8Array {
    const bytes = this.objects.get(path);
    if (bytes === undefined) throw new CodedError('NOT_FOUND', `cannot read ${path}: there is no such file`);
    return bytes;
  }
}
