/** Goes through many again and again, some at a time: each once a round, whoever comes and goes meanwhile. */
export function createRounds<Item>(all: () => Iterator<Item, void>) {
  let round = all();
  let due = 0;
  /** The next ones; a fraction adds up. */
  return function* next(count: number): Generator<Item, void> {
    for (due += count; due >= 1; due -= 1) {
      const { value, done } = round.next();
      if (done === true) round = all();
      else yield value;
    }
  };
}
