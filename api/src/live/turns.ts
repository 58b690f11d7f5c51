/** Of one turn of the event loop. */
const SHARE_MS = 4;
/**
 * Between two shares, for all others. Node takes one new connection a turn: with a share in each, whoever came with something else waited
 * for up to two seconds behind 20,000 listeners who came back, and waits for 50 ms so.
 */
export const PAUSE_MS = 5;

/**
 * Takes work that comes by the thousand and does a little of it at a time, in the order in which it came: who asks for something else
 * meanwhile waits for a few milliseconds and not for all of it. How much waits is bounded by whoever brings it.
 */
export function createTurns(clock: () => number): (work: () => void) => void {
  let waiting: (() => void)[] = [];

  function turn(): void {
    const endsMs = clock() + SHARE_MS;
    let done = 0;
    for (const work of waiting) {
      work();
      done += 1;
      if (clock() >= endsMs) break;
    }
    waiting = waiting.slice(done);
    if (waiting.length > 0) setTimeout(turn, PAUSE_MS);
  }

  return (work) => {
    waiting.push(work);
    if (waiting.length === 1) setTimeout(turn, PAUSE_MS);
  };
}
