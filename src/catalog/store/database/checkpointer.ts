import { Worker } from 'node:worker_threads';
import { sqlitePath } from './sqlite.ts';

/**
 * Moves the write-ahead log into the database from a thread of its own.
 *
 * SQLite otherwise does it in the commit that finds the log long: that copies megabytes and waits for the disk, on the one
 * thread that answers all calls. Passive checkpoints never block a reader or the writer (https://sqlite.org/wal.html,
 * "Checkpointing"). The service's connection still checkpoints by itself if the log grows all the same.
 */
export class Checkpointer {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;

  constructor(file: string) {
    this.#worker = new Worker(PROGRAM, {
      eval: true,
      workerData: { sqlite: sqlitePath, file, intervalMs: INTERVAL_MS },
      // Not the parent's: it has no use for loaders.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 32 },
    });
    this.#worker.unref();
    // Without it the database still works, with longer pauses.
    this.#worker.on('error', () => undefined);
    this.#ended = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
  }

  /** Ends the thread, after a checkpoint that is running. */
  async stop(): Promise<void> {
    this.#worker.ref();
    this.#worker.postMessage('stop');
    await this.#ended;
  }
}

const INTERVAL_MS = 250;

// Plain JavaScript: the thread has no loader for anything else, in neither the sources nor a build.
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const Sqlite = require(workerData.sqlite);
const db = new Sqlite(workerData.file);
db.pragma('synchronous = NORMAL');
const timer = setInterval(() => {
  try {
    db.pragma('wal_checkpoint(PASSIVE)');
  } catch (error) {
    // Busy, or the disk is full: the next round does it.
    if (!/^SQLITE_(BUSY|FULL|IOERR)/.test(error.code)) throw error;
  }
}, workerData.intervalMs);
parentPort.once('message', () => {
  clearInterval(timer);
  db.close();
  parentPort.close();
});
`;
