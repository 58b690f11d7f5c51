/** What follows from objects that never change (settings, a market's rules) is reckoned once: an order need not wait for it. */
export function oncePer<Given extends object, Made>(make: (given: Given) => Made) {
  const known = new WeakMap<Given, { readonly made: Made }>();
  return (given: Given): Made => {
    const before = known.get(given);
    if (before !== undefined) return before.made;
    const made = make(given);
    known.set(given, { made });
    return made;
  };
}

/** The same of two objects, as long as `second` is the one that came with `first` the last time. */
export function oncePerPair<First extends object, Second extends object, Made>(
  make: (first: First, second: Second) => Made,
) {
  const known = new WeakMap<First, { readonly second: Second; readonly made: Made }>();
  return (first: First, second: Second): Made => {
    const before = known.get(first);
    if (before?.second === second) return before.made;
    const made = make(first, second);
    known.set(first, { second, made });
    return made;
  };
}
