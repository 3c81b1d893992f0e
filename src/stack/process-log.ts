import { basename, dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { createStream, type RotatingFileStream } from 'rotating-file-stream';

/** A log file is rotated at this size. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Rotated files that are kept, `….1` being the newest: a log takes up to 64 MiB. */
const KEPT_FILES = 3;
/** Pause after the file could not be written, for example because the disk is full. Lines in the meantime are lost. */
const RETRY_MS = 10_000;

/** The log file of a supervised process. It is rotated while the process runs, and outlives its restarts. */
export interface ProcessLog {
  /** Writes everything that arrives on the stream, which pauses while the disk is slow, and never fails. */
  add(stream: Readable): void;
  /** Resolves when everything that was added so far is in the file, or is lost. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** @param report receives one line for people per time that the file cannot be written */
export function openProcessLog(path: string, report: (line: string) => void, maxBytes = MAX_BYTES): ProcessLog {
  let file: RotatingFileStream | undefined;
  let retryAt = 0;
  /** Streams that wait until the file has written what it has. */
  const waiting = new Set<Readable>();
  const resumeAll = () => {
    for (const stream of waiting) stream.resume();
    waiting.clear();
  };

  function openFile(): RotatingFileStream | undefined {
    if (file || Date.now() < retryAt) return file;
    const opened = createStream(basename(path), { path: dirname(path), size: `${maxBytes}B`, rotate: KEPT_FILES });
    const giveUp = (error: Error) => {
      if (file !== opened) return;
      file = undefined;
      retryAt = Date.now() + RETRY_MS;
      resumeAll();
      report(`the log ${path} cannot be written: ${error.message}. Lines are lost until it can.`);
    };
    file = opened.on('error', giveUp).on('drain', resumeAll).on('close', resumeAll);
    return file;
  }

  return {
    add(stream) {
      stream.on('data', (chunk: Buffer) => {
        if (openFile()?.write(chunk) !== false) return;
        stream.pause();
        waiting.add(stream);
      });
    },
    flush: () =>
      new Promise((resolve) => {
        if (!file) return resolve();
        file.once('close', resolve).write('', () => resolve());
      }),
    close: () =>
      new Promise((resolve) => {
        if (!file) return resolve();
        file.once('close', resolve).end(() => resolve());
      }),
  };
}
