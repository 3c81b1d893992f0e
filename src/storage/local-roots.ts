import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CodedError } from '../errors.ts';

/** The folders of this machine that may be read. Symbolic links are followed before a path is judged, those of the roots as well. */
export class LocalRoots {
  readonly #roots: readonly string[];
  #real?: Promise<string[]>;

  constructor(roots: readonly string[]) {
    this.#roots = roots.map((root) => resolve(root));
  }

  /**
   * Where the path really lies.
   *
   * @throws CodedError `PERMISSION_DENIED` if that is outside of the roots, else what `realpath` throws
   */
  async realPath(path: string): Promise<string> {
    this.#real ??= Promise.all(this.#roots.map((root) => realpath(root).catch(() => root)));
    const roots = await this.#real;
    let real: string;
    try {
      real = await realpath(path);
    } catch (error) {
      // What is not there outside of the roots is not told apart from what is.
      if (![...this.#roots, ...roots].some((root) => isBelow(resolve(path), root))) throw this.#denied(path);
      throw error;
    }
    if (!roots.some((root) => isBelow(real, root))) throw this.#denied(path);
    return real;
  }

  #denied(path: string): CodedError {
    const roots = this.#roots.length === 0 ? 'no local file at all' : `only ${this.#roots.join(', ')}`;
    return new CodedError(
      'PERMISSION_DENIED',
      `cannot read ${path}: here the worker may read ${roots}; its setting RECONCILER_LOCAL_ROOTS names more folders`,
    );
  }
}

function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(root === '/' ? '/' : `${root}/`);
}
