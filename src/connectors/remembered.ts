/** Remembers the result for each object, so that equal objects stay identical. */
export function remembered<A extends object, B>(make: (from: A) => B): (from: A) => B {
  const known = new WeakMap<A, B>();
  return (from) => {
    const made = known.has(from) ? (known.get(from) as B) : make(from);
    known.set(from, made);
    return made;
  };
}
