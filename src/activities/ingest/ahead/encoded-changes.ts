import { setImmediate } from 'node:timers/promises';
import type { FileChangeBatch, LiveFileCounts } from '../../../formats/table-reader.ts';
import { FileChangeEncoder } from '../../../wire/file-change-encoder.ts';
import { backlog } from './backlog.ts';

/** Most messages, of about 1 MiB each, that are encoded before the changes are asked for. */
const MAX_MESSAGES_AHEAD = 6;

export interface EncodedBatch {
  /** The messages that are full; the rest of the changes is in the next ones, or in what `flush` returns. */
  messages: Uint8Array[];
  /** Number of changes. */
  changes: number;
  /** The reader's position after this batch, if it can continue there. */
  position?: number;
}

/** Changes of one snapshot as messages for the catalog, read and encoded batch by batch. */
export class EncodedChanges {
  /** Numbers of the added files that were read. */
  readonly added: LiveFileCounts = { dataFiles: 0, deleteFiles: 0 };
  readonly #batches: AsyncIterator<FileChangeBatch>;
  readonly #encoder = new FileChangeEncoder();
  readonly #ahead: EncodedBatch[] = [];
  #reading?: Promise<void>;
  #isTaken = false;

  constructor(batches: AsyncIterable<FileChangeBatch>) {
    this.#batches = batches[Symbol.asyncIterator]();
  }

  /** Reads a few messages' worth before the first `next`, which throws the errors of this. */
  begin(): void {
    this.#reading = this.#readAhead();
    this.#reading.catch(() => {});
  }

  /** Undefined at the end. @throws the errors of the reader; CodedError FAILED_PRECONDITION if a change is too large */
  async next(): Promise<EncodedBatch | undefined> {
    this.#isTaken = true;
    await this.#reading;
    const batch = this.#ahead.shift();
    if (batch === undefined) return this.#read();
    for (const message of batch.messages) backlog.remove(message);
    return batch;
  }

  /** Returns the last message, or undefined if nothing is left. */
  flush(): Uint8Array | undefined {
    return this.#encoder.flush();
  }

  /** A reader that is left in the middle would keep its memory, for which others may wait. */
  async close(): Promise<void> {
    this.#isTaken = true;
    await this.#batches.return?.();
    await this.#reading?.catch(() => {});
    for (const { messages } of this.#ahead.splice(0)) for (const message of messages) backlog.remove(message);
  }

  async #readAhead(): Promise<void> {
    for (let messages = 0; backlog.mayHold(messages, MAX_MESSAGES_AHEAD) && !this.#isTaken; ) {
      const batch = await this.#read();
      if (batch === undefined) return;
      const before = this.#ahead.at(-1);
      // The encoder has the changes of both, so that a stream cannot end between them.
      if (before) before.position = undefined;
      this.#ahead.push(batch);
      for (const message of batch.messages) backlog.add(message);
      messages += batch.messages.length;
    }
  }

  async #read(): Promise<EncodedBatch | undefined> {
    const { done, value } = await this.#batches.next();
    if (done) return undefined;
    // Decoding consists of microtasks only: without a turn of the event loop, messages that are ready would not be sent.
    await setImmediate();
    const messages: Uint8Array[] = [];
    for (const change of value.changes) {
      if (change.kind === 'added') this.added[change.file.content === 'DATA' ? 'dataFiles' : 'deleteFiles'] += 1;
      const message = this.#encoder.add(change);
      if (message) messages.push(message);
    }
    return { messages, changes: value.changes.length, position: value.position };
  }
}
