import { runInThisContext } from 'node:vm';

/**
 * Jest runs tests in a realm of their own, and errors that Node creates (those of sockets, files and `fetch`) are not of that realm.
 * Here too they count as errors: `instanceof Error` is true for them, in the sources and in the libraries that they use.
 */
for (const own of [Error, TypeError, RangeError, SyntaxError]) {
  const nodes: typeof own = runInThisContext(own.name);
  const isInstance = Function.prototype[Symbol.hasInstance];
  Object.defineProperty(own, Symbol.hasInstance, {
    // Subclasses inherit this method.
    value(this: unknown, value: unknown) {
      return isInstance.call(this, value) || (this === own && value instanceof nodes);
    },
  });
}
