import { backlog } from './backlog.ts';

/** How far a stream reads ahead of the catalog. */
const MAX_BYTES = 8 * 1024 * 1024;

/** Passes messages on, and reads the next ones while the receiver works: otherwise the worker would not read while the catalog writes. */
export async function* messagesAhead(messages: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = messages[Symbol.asyncIterator]();
  const ready: Uint8Array[] = [];
  let held = 0;
  let hasEnded = false;
  let reading: Promise<void> | undefined;
  const hold = (bytes: number) => {
    held += bytes;
    backlog.change(bytes);
  };
  /** A failed read stays in `reading`: whoever waits for it gets the error after the messages before it. */
  const read = (): void => {
    reading ??= source.next().then(({ done, value }) => {
      reading = undefined;
      hasEnded ||= Boolean(done);
      if (hasEnded) return;
      ready.push(value);
      hold(value.byteLength);
      readMore();
    });
    reading?.catch(() => {});
  };
  const readMore = () => {
    if (!hasEnded && backlog.mayHold(held, MAX_BYTES)) read();
  };

  try {
    for (;;) {
      while (ready.length === 0 && !hasEnded) {
        read();
        await reading;
      }
      const message = ready.shift();
      if (message === undefined) return;
      hold(-message.byteLength);
      readMore();
      yield message;
    }
  } finally {
    hasEnded = true;
    hold(-held);
    await source.return?.();
  }
}
