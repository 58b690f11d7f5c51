import { crc32 } from "node:zlib";
import { createRandom } from "../../../hack/exchange-simulator/random.ts";

/** What can happen to one request and its answer. */
const REQUEST_FAULTS = [
  "reset before it arrives",
  "reset after it was done",
  "429",
  "500",
  "504 although it was done",
  "truncated JSON",
  "half an answer and a reset",
  "late to arrive",
  "late answer",
  "sent twice",
] as const;
export type RequestFault = (typeof REQUEST_FAULTS)[number];

/** What can happen when a list is asked for, or a watch is opened. */
const OPENING_FAULTS = [
  "410",
  "429",
  "500",
  "reset before it arrives",
  "stale state",
  "history again",
] as const;

/** What can happen at a line of a watch. */
const LINE_FAULTS = [
  "reset",
  "closed",
  "truncated line",
  "garbage",
  "410 in the stream",
  "stalled",
  "held back",
  "told again",
] as const;
export type LineFault = (typeof LINE_FAULTS)[number];

/** Of a hundred. */
const REQUEST_PERCENT = 18;
const OPENING_PERCENT = 20;
const LINE_PERCENT = 9;

/**
 * Draws what happens from a seed. Each kind of request has a source of its own, so that the third POST of a pod meets the same fault in
 * every replay, however requests of different kinds interleave. Counts what it has drawn.
 */
export function createFaults(seed: number) {
  const sources = new Map<string, () => number>();
  const counts = new Map<string, number>();
  let isHot = true;

  function sourceOf(kind: string): () => number {
    const known = sources.get(kind);
    if (known !== undefined) return known;
    const source = createRandom(seed, crc32(kind));
    sources.set(kind, source);
    return source;
  }

  function draw<Fault extends string>(
    kind: string,
    percent: number,
    faults: readonly Fault[],
  ): Fault | undefined {
    const random = sourceOf(kind);
    const [happens, which] = [random() * 100 < percent, random()];
    const fault = faults[Math.floor(which * faults.length)];
    if (!isHot || !happens || fault === undefined) return undefined;
    counts.set(fault, (counts.get(fault) ?? 0) + 1);
    return fault;
  }

  return {
    request: (kind: string) => draw(kind, REQUEST_PERCENT, REQUEST_FAULTS),
    opening: (kind: string) => draw(`open ${kind}`, OPENING_PERCENT, OPENING_FAULTS),
    line: (kind: string) => draw(`line ${kind}`, LINE_PERCENT, LINE_FAULTS),
    /** Milliseconds for whatever waits. */
    delayMs: (kind: string) => 5 + sourceOf(`delay ${kind}`)() * 150,
    /** In a quarter of the runs the server knows nothing of streamed initial states. */
    refusesStreams: createRandom(seed, 1)() < 0.25,
    /** From now on the server is as good as any. */
    cease: () => void (isHot = false),
    isHot: () => isHot,
    counts: (): ReadonlyMap<string, number> => counts,
  };
}
export type Faults = ReturnType<typeof createFaults>;
