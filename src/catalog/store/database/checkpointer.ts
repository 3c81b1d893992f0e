import { Worker } from 'node:worker_threads';
import { sqlitePath } from './sqlite.ts';

/**
 * Moves the write-ahead log into the database, in a thread of its own, and truncates the log's file after a large ingest.
 *
 * Otherwise SQLite does this in the commit that exceeds the log's limit, which copies megabytes and waits for the disk in the
 * only thread that serves calls. Passive checkpoints never block a reader or the writer (https://sqlite.org/wal.html,
 * "Checkpointing"). If the log grows nevertheless, the service's connection still checkpoints by itself.
 *
 * Passive checkpoints never shrink the file, and truncating a file that grows again at once would only cost time. So it is truncated
 * once little has been written for a second. This locks the writer out for milliseconds, since everything has been moved by then.
 */
export class Checkpointer {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;

  /**
   * @param file the database, without symbolic links: SQLite writes the log beside the real file
   * @param inode of the file that the service has opened: the thread does nothing if the path names another one by then, since it
   *   would move the service's log into that one
   * @param onError called if the thread ends with an error. The database still works without it, with longer pauses.
   */
  constructor(file: string, inode: string | undefined, onError: (error: unknown) => void) {
    this.#worker = new Worker(PROGRAM, {
      eval: true,
      workerData: { sqlite: sqlitePath, file, inode, intervalMs: INTERVAL_MS, maxBytes: MAX_IDLE_LOG_BYTES },
      // The parent's arguments may name loaders, which this program does not need.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 32 },
    });
    this.#worker.unref();
    this.#worker.on('error', onError);
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
const MAX_IDLE_LOG_BYTES = 4 * 1024 * 1024;

// Plain JavaScript, since the thread has no TypeScript loader.
const PROGRAM = `
const { statSync } = require('node:fs');
const { parentPort, workerData } = require('node:worker_threads');
const Sqlite = require(workerData.sqlite);
const db = new Sqlite(workerData.file, { timeout: 0, fileMustExist: true });
const { dev, ino } = statSync(workerData.file, { bigint: true });
if (dev + ':' + ino !== workerData.inode) process.exit();
db.pragma('synchronous = NORMAL');
const maxFrames = workerData.maxBytes / db.pragma('page_size', { simple: true });
const roundsPerSecond = 1000 / workerData.intervalMs;
let [quietRounds, lastFrames] = [0, 0];
const timer = setInterval(() => {
  try {
    const [{ log: frames }] = db.pragma('wal_checkpoint(PASSIVE)');
    quietRounds = frames === lastFrames || frames < maxFrames ? quietRounds + 1 : 0;
    lastFrames = frames;
    if (quietRounds < roundsPerSecond) return;
    quietRounds = 0;
    const bytes = statSync(workerData.file + '-wal', { throwIfNoEntry: false })?.size ?? 0;
    if (bytes > workerData.maxBytes) db.pragma('wal_checkpoint(TRUNCATE)');
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
