import { expect } from '@jest/globals';
import { type Patience, waitFor } from './wait-for.ts';

type Polled<M> = {
  [K in keyof M]: K extends 'not' ? Polled<M[K]> : M[K] extends (...args: infer A) => unknown ? Matcher<A> : never;
};
type Matcher<A extends unknown[]> = (...args: A) => Promise<void>;

/** Like `expect`, but reads the value repeatedly until it matches: `await poll(() => count).toBe(2)`. */
export function poll<T>(read: () => T, patience?: Patience): Polled<ReturnType<typeof expect<Awaited<T>>>> {
  const matchers = (not: boolean): object =>
    new Proxy(
      {},
      {
        get: (_, name: string) =>
          name === 'not'
            ? matchers(!not)
            : (...args: unknown[]) =>
                waitFor(async () => {
                  const value = expect(await read());
                  const matcher = (not ? value.not : value) as unknown as Record<string, (...args: unknown[]) => void>;
                  matcher[name]?.(...args);
                }, patience),
      },
    );
  return matchers(false) as Polled<ReturnType<typeof expect<Awaited<T>>>>;
}
