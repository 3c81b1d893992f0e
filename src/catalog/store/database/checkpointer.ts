import { Worker } from 'node:worker_threads';
import { sqlitePath } from './sqlite.ts';

/**
 * Moves the write-ahead log into the database from a thread of its own.
 *
 * SQLite otherwise does it in the commit that finds the log long: that copies megabytes and waits for the disk, on the one
 * thread that answers all calls. Passive checkpoints never block a reader or the writer (https://sqlite.org/wal.html,
 * "Checkpointing"). The connection of the service keeps a checkpoint of its own for a log that grows all the same.
 */
export class Checkpointer {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;

  constructor(file: string) {
    this.#worker = new Worker(PROGRAM, {
      eval: true,
      workerData: { sqlite: sqlitePath, file, intervalMs: INTERVAL_MS },
      // Not the parent's: loaders are of no use to it.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 32 },
    });
    this.#worker.unref();
    // Without it the database works on, only with longer pauses.
    this.#worker.on('error', () => undefined);
    this.#ended = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
  }

  /** Ends the thread; a checkpoint that runs ends first. */
  async stop(): Promise<void> {
    this.#worker.ref();
    this.#worker.postMessage('stop');
    await this.#ended;
  }
}

const INTERVAL_MS = 250;

// Plain JavaScript: a thread has no loader for anything else, neither from the sources nor in a build.
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const Sqlite = require(workerData.sqlite);
const db = new Sqlite(workerData.file);
db.pragma('synchronous = NORMAL');
const timer = setInterval(() => {
  try {
    db.pragma('wal_checkpoint(PASSIVE)');
  } catch (error) {
    // Busy, or the disk is full: a next round does it.
    if (!/^SQLITE_(BUSY|FULL|IOERR)/.test(error.code)) throw error;
  }
}, workerData.intervalMs);
parentPort.once('message', () => {
  clearInterval(timer);
  db.close();
  parentPort.close();
});
`;
