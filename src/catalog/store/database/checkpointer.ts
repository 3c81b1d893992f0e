import { Worker } from 'node:worker_threads';
import { sqlitePath } from './sqlite.ts';

/**
 * Moves the write-ahead log into the database, in a thread of its own.
 *
 * Otherwise SQLite does this in the commit that exceeds the log's limit, which copies megabytes and waits for the disk in the
 * only thread that serves calls. Passive checkpoints never block a reader or the writer (https://sqlite.org/wal.html,
 * "Checkpointing"). If the log grows nevertheless, the service's connection still checkpoints by itself.
 */
export class Checkpointer {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;

  constructor(file: string) {
    this.#worker = new Worker(PROGRAM, {
      eval: true,
      workerData: { sqlite: sqlitePath, file, intervalMs: INTERVAL_MS },
      // The parent's arguments may name loaders, which this program does not need.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 32 },
    });
    this.#worker.unref();
    // Without the thread the database still works, with longer pauses.
    this.#worker.on('error', () => undefined);
    this.#ended = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
  }

  /** Waits for a running checkpoint and ends the thread. */
  async stop(): Promise<void> {
    this.#worker.ref();
    this.#worker.postMessage('stop');
    await this.#ended;
  }
}

const INTERVAL_MS = 250;

// Plain JavaScript, since the thread has no TypeScript loader.
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const Sqlite = require(workerData.sqlite);
const db = new Sqlite(workerData.file);
db.pragma('synchronous = NORMAL');
const timer = setInterval(() => {
  try {
    db.pragma('wal_checkpoint(PASSIVE)');
  } catch (error) {
    // The database is busy or the disk is full: the next round tries again.
    if (!/^SQLITE_(BUSY|FULL|IOERR)/.test(error.code)) throw error;
  }
}, workerData.intervalMs);
parentPort.once('message', () => {
  clearInterval(timer);
  db.close();
  parentPort.close();
});
`;
