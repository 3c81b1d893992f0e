/** How long a stream may be silent before it sends something that changes nothing: the catalog ends calls that are silent for 60 s. */
const MAX_SILENCE_MS = 20_000;

/**
 * Passes messages on, and sends `filler` whenever none was ready for 20 s: an upstream may be slow, or be asked again only after minutes.
 *
 * @param filler a message without effect, made from the last one
 */
export async function* keepAlive<Message>(
  messages: AsyncIterable<Message>,
  filler: (last: Message) => Message,
): AsyncGenerator<Message> {
  const iterator = messages[Symbol.asyncIterator]();
  let last: Message | undefined;
  try {
    for (;;) {
      const next = iterator.next();
      let result = await within(next);
      while (result === undefined) {
        if (last !== undefined) yield filler(last);
        result = await within(next);
      }
      if (result.done) return;
      last = result.value;
      yield last;
    }
  } finally {
    await iterator.return?.();
  }
}

/** The result, or undefined after `MAX_SILENCE_MS`. */
async function within<T>(result: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, MAX_SILENCE_MS, undefined);
  });
  try {
    return await Promise.race([result, silence]);
  } finally {
    clearTimeout(timer);
  }
}
