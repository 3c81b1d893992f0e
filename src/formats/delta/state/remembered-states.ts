import type { MetadataAction, ProtocolAction } from '../actions.ts';
import type { StateOrigins } from '../log/fingerprint.ts';

/** What a table was at a version, besides its files. */
export interface RememberedState {
  version: number;
  /** Identifies the version's commit, and with it the log. */
  commit: string;
  metadata: MetadataAction;
  protocol: ProtocolAction;
  domains: ReadonlyMap<string, string>;
  origins?: StateOrigins;
}

/** In characters of all that is remembered. A table of 100 columns has about 20,000. */
const MAX_LENGTH = 8 * 1024 * 1024;

/**
 * The states that a process has read last, by table: a state comes from commits that may be far behind, and the next activity would read them again.
 * An entry is of use only if the log still has its commit.
 */
export class RememberedStates {
  /** The least recently used is first. */
  readonly #states = new Map<string, { state: RememberedState; length: number }>();
  #length = 0;

  /** @param table what identifies the table in this process */
  get(table: string): RememberedState | undefined {
    const found = this.#states.get(table);
    if (found === undefined) return undefined;
    this.#states.delete(table);
    this.#states.set(table, found);
    return found.state;
  }

  set(table: string, state: RememberedState): void {
    this.#forget(table);
    const length = table.length + lengthOf(state);
    if (length > MAX_LENGTH) return;
    this.#states.set(table, { state, length });
    this.#length += length;
    for (const oldest of this.#states.keys()) {
      if (this.#length <= MAX_LENGTH) break;
      this.#forget(oldest);
    }
  }

  #forget(table: string): void {
    this.#length -= this.#states.get(table)?.length ?? 0;
    this.#states.delete(table);
  }
}

/** Those of the tables that this process reads. */
export const rememberedStates = new RememberedStates();

function lengthOf({ metadata, protocol, domains }: RememberedState): number {
  return JSON.stringify([metadata, protocol, [...domains]]).length;
}
