import { runInThisContext } from 'node:vm';

/**
 * Jest runs tests in a separate realm, and errors that Node creates (for sockets, files and `fetch`) do not belong to this realm. With this
 * setup, `instanceof Error` is true for them nevertheless, in the sources and in the libraries that they use.
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
