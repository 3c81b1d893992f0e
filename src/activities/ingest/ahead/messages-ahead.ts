import { backlog } from './backlog.ts';

/** Most messages, of about 1 MiB each, that a stream reads ahead of the catalog. */
const MAX_MESSAGES = 8;

/** Passes messages on, and reads the next ones while the receiver works: otherwise the worker would not read while the catalog writes. */
export async function* messagesAhead(messages: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = messages[Symbol.asyncIterator]();
  const ready: Uint8Array[] = [];
  let hasEnded = false;
  let reading: Promise<void> | undefined;
  /** A failed read stays in `reading`: whoever waits for it gets the error after the messages before it. */
  const read = (): void => {
    reading ??= source.next().then(({ done, value }) => {
      reading = undefined;
      hasEnded = Boolean(done);
      if (done) return;
      ready.push(value);
      backlog.add(value);
      readMore();
    });
    reading?.catch(() => {});
  };
  const readMore = () => {
    if (!hasEnded && backlog.mayHold(ready.length, MAX_MESSAGES)) read();
  };

  try {
    for (;;) {
      while (ready.length === 0 && !hasEnded) {
        read();
        await reading;
      }
      const message = ready.shift();
      if (message === undefined) return;
      backlog.remove(message);
      readMore();
      yield message;
    }
  } finally {
    for (const message of ready) backlog.remove(message);
    ready.length = 0;
    hasEnded = true;
    await source.return?.();
  }
}
