import { setImmediate } from 'node:timers/promises';
import type { FileChangeBatch, LiveFileCounts } from '../../../formats/table-reader.ts';
import { FileChangeEncoder } from '../../../wire/file-change-encoder.ts';
import { backlog } from './backlog.ts';

/** How many bytes of messages are encoded before the changes are asked for. */
const MAX_BYTES_AHEAD = 6 * 1024 * 1024;
/** What takes longer to be read is sent while it is read. */
const MAX_WHOLE_MS = 1_000;

export interface EncodedBatch {
  /** The messages that are full; the rest of the changes is in the next ones, or in what `flush` returns. */
  messages: Uint8Array[];
  /** Number of changes. */
  changes: number;
  /** The reader's position after this batch, if it can continue there. */
  position?: number;
}

export interface WholeChanges {
  /** Absent if nothing changes. */
  message?: Uint8Array;
  /** Number of changes. */
  changes: number;
}

/** Changes of one snapshot as messages for the catalog, read and encoded batch by batch. */
export class EncodedChanges {
  /** Numbers of the added files that were read. */
  readonly added: LiveFileCounts = { dataFiles: 0, deleteFiles: 0 };
  readonly #batches: AsyncIterator<FileChangeBatch>;
  readonly #encoder = new FileChangeEncoder();
  readonly #ahead: EncodedBatch[] = [];
  /** In `#ahead`. */
  #bytes = 0;
  #reading?: Promise<void>;
  /** Whether all changes were read ahead, within a second and without a full message. */
  #isWhole?: Promise<boolean>;
  #isTaken = false;

  constructor(batches: AsyncIterable<FileChangeBatch>) {
    this.#batches = batches[Symbol.asyncIterator]();
  }

  /** Reads a few messages' worth before the first `next`, which throws the errors of this. */
  begin(): void {
    this.#isWhole = new Promise((resolve) => {
      const late = setTimeout(resolve, MAX_WHOLE_MS, false);
      this.#reading = this.#readAhead(resolve).finally(() => clearTimeout(late));
      this.#reading.catch(() => resolve(false));
    });
  }

  /**
   * Returns the changes that were begun, if they are less than a full message. Undefined if there are more, or they cannot be read: `next` has them, or
   * throws.
   */
  async whole(): Promise<WholeChanges | undefined> {
    if (!(await this.#isWhole)) return undefined;
    const changes = this.#ahead.splice(0).reduce((sum, batch) => sum + batch.changes, 0);
    return { changes, message: this.#encoder.flush() };
  }

  /** Undefined at the end. @throws the errors of the reader; CodedError FAILED_PRECONDITION if a change is too large */
  async next(): Promise<EncodedBatch | undefined> {
    this.#isTaken = true;
    await this.#reading;
    const batch = this.#ahead.shift();
    if (batch === undefined) return this.#read();
    this.#hold(-bytesOf(batch));
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
    this.#ahead.length = 0;
    this.#hold(-this.#bytes);
  }

  async #readAhead(isWhole: (isWhole: boolean) => void): Promise<void> {
    while (backlog.mayHold(this.#bytes, MAX_BYTES_AHEAD) && !this.#isTaken) {
      const batch = await this.#read();
      if (batch === undefined) return isWhole(this.#bytes === 0);
      const before = this.#ahead.at(-1);
      // The encoder has the changes of both, so that a stream cannot end between them.
      if (before) before.position = undefined;
      this.#ahead.push(batch);
      if (batch.messages.length > 0) isWhole(false);
      this.#hold(bytesOf(batch));
    }
    isWhole(false);
  }

  #hold(bytes: number): void {
    this.#bytes += bytes;
    backlog.change(bytes);
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

function bytesOf({ messages }: EncodedBatch): number {
  return messages.reduce((sum, message) => sum + message.byteLength, 0);
}
