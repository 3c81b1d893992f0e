/** Most bytes of messages that a worker's ingests hold together. */
const MAX_BYTES = 32 * 1024 * 1024;
/** What an ingest may hold even if the others hold all. */
const ALWAYS = 2 * 1024 * 1024;

/**
 * Counts the encoded messages that were read ahead, and wait to be sent, over all ingests of a worker. One ingest alone may run several MiB
 * ahead of the catalog, which evens out their speeds; many at once must not fill the worker's memory.
 */
class Backlog {
  #bytes = 0;

  /** Whether an ingest that holds this many bytes, and wants up to `most`, may read on. */
  mayHold(bytes: number, most: number): boolean {
    return bytes < ALWAYS || (bytes < most && this.#bytes < MAX_BYTES);
  }

  /** @param bytes that an ingest holds from now on, or fewer than zero if it holds less */
  change(bytes: number): void {
    this.#bytes += bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }
}

export const backlog = new Backlog();
