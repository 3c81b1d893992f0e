import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CodedError } from '../errors.ts';

/** The local folders that may be read. Symbolic links, including those of the roots, are followed before a path is checked. */
export class LocalRoots {
  readonly #roots: readonly string[];
  #real?: Promise<string[]>;

  constructor(roots: readonly string[]) {
    this.#roots = roots.map((root) => resolve(root));
  }

  /**
   * The path after following symbolic links.
   *
   * @throws CodedError `PERMISSION_DENIED` if it is outside the roots; otherwise the errors of `realpath`
   */
  async realPath(path: string): Promise<string> {
    this.#real ??= Promise.all(this.#roots.map((root) => realpath(root).catch(() => root)));
    const roots = await this.#real;
    let real: string;
    try {
      real = await realpath(path);
    } catch (error) {
      // The error must not reveal whether a file outside the roots exists.
      if (![...this.#roots, ...roots].some((root) => isBelow(resolve(path), root))) throw this.#denied(path);
      throw error;
    }
    if (!roots.some((root) => isBelow(real, root))) throw this.#denied(path);
    return real;
  }

  #denied(path: string): CodedError {
    const roots = this.#roots.length === 0 ? 'no local files' : `only ${this.#roots.join(', ')}`;
    return new CodedError(
      'PERMISSION_DENIED',
      `cannot read ${path}: this worker may read ${roots}. To allow more folders, add them to its setting RECONCILER_LOCAL_ROOTS`,
    );
  }
}

function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(root === '/' ? '/' : `${root}/`);
}
