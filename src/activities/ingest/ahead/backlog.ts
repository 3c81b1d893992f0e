/** Most bytes of messages that a worker's ingests hold together. Each may hold some however many there are: see `mayHold`. */
const MAX_BYTES = 32 * 1024 * 1024;
/** Messages, of about 1 MiB each, that an ingest may hold even if the others hold all. */
const ALWAYS = 2;

/**
 * Counts the encoded messages that were read ahead, and wait to be sent, over all ingests of a worker. One ingest alone may run several MiB
 * ahead of the catalog, which evens out their speeds; many at once must not fill the worker's memory.
 */
class Backlog {
  #bytes = 0;

  /** Whether an ingest that holds this many messages, and wants up to `most`, may read one more. */
  mayHold(messages: number, most: number): boolean {
    return messages < ALWAYS || (messages < most && this.#bytes < MAX_BYTES);
  }

  add(message: Uint8Array): void {
    this.#bytes += message.byteLength;
  }

  remove(message: Uint8Array): void {
    this.#bytes -= message.byteLength;
  }

  get bytes(): number {
    return this.#bytes;
  }
}

export const backlog = new Backlog();
