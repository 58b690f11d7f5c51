import { setTimeout as sleep } from "node:timers/promises";

const PAUSE_MS = 100;

interface Expectation<T> {
  /** What is waited for, as it is said when it does not come. */
  readonly what: string;
  readonly withinMs: number;
  /** Answers undefined while it is not so yet. An exception counts as "not yet" and is named at the end. */
  readonly probe: () => Promise<T | undefined>;
  /** Shown when time is up: what there was instead. */
  readonly otherwise?: () => Promise<string>;
}

/** Asks until the probe answers. @throws Error with what was seen last when it does not within the time. */
export async function eventually<T>(expectation: Expectation<T>): Promise<T> {
  const deadline = performance.now() + expectation.withinMs;
  let last: unknown;
  do {
    try {
      const answer = await expectation.probe();
      if (answer !== undefined) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await sleep(PAUSE_MS);
  } while (performance.now() < deadline);
  const seen = (await expectation.otherwise?.()) ?? "";
  throw new Error(`not within ${expectation.withinMs} ms: ${expectation.what}\n${seen}`, {
    cause: last,
  });
}
