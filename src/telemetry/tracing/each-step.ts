/**
 * The same generator, each step of which runs within `run`. A generator's body otherwise runs in the context of whoever requests the next
 * step, and not in the one in which the generator was created.
 */
export function eachStep<T, R>(
  steps: AsyncGenerator<T, R, undefined>,
  run: <Result>(step: () => Result) => Result,
): AsyncGenerator<T, R, undefined> {
  const bound: AsyncGenerator<T, R, undefined> = {
    next: () => run(() => steps.next()),
    return: (value) => run(() => steps.return(value)),
    throw: (error) => run(() => steps.throw(error)),
    [Symbol.asyncIterator]: () => bound,
    [Symbol.asyncDispose]: async () => void (await bound.return(undefined as R)),
  };
  return bound;
}
