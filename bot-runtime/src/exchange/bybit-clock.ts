import type { Clock } from "../clock.ts";
import type { ClockReading } from "./exchange.ts";

/** Clocks drift by some milliseconds in this time, and what steps them says nothing. */
const RELOAD_EVERY_MS = 600_000;
/** Without an answer the last known difference serves for this long; so does one that took too long to say much. */
const RETRY_MS = 5_000;
/** A measurement that may be wrong by more is made again. Bybit takes requests that are up to 1 s ahead of its time. */
const GOOD_ENOUGH_MS = 500;
/** A step of this machine's clock that makes the difference worth measuring again; slewing by NTP stays below it. */
const STEP_MS = 250;

export interface ServerClockOptions {
  /** Asks the exchange for its time, ms. */
  readonly ask: () => Promise<number>;
  /** Takes what signatures subtract from this machine's time, ms; never so little that they would be ahead of the exchange. */
  readonly use: (differenceMs: number) => void;
  readonly clock: Pick<Clock, "nowMs" | "monotonicMs">;
}

export interface ServerClock {
  /** Measures the difference when it is old or doubted. Waits only for the first measurement, and fails only with that. */
  readonly keep: () => Promise<void>;
  /** The exchange found a request's time wrong: this machine's clock was set, or its own. */
  readonly doubt: () => void;
  /** What is known now; undefined before the first measurement, and from a doubt until the next one. */
  readonly reading: () => ClockReading | undefined;
}

interface Measurement {
  /** This machine's time less the exchange's, in the middle of the request. */
  readonly skewMs: number;
  /** Half of the time that the request took. */
  readonly uncertaintyMs: number;
  /** Wall clock less the clock that nobody sets: a change of it is a step of the wall clock. */
  readonly wallLessMonotonicMs: number;
}

/** Keeps signatures at the exchange's time, and knows how well it does. */
export function createServerClock({ ask, use, clock }: ServerClockOptions): ServerClock {
  let measured: Measurement | undefined;
  let dueMs = -Infinity;
  let askedMs = -Infinity;
  let isDoubted = false;
  let loading: Promise<void> | undefined;

  const steppedMs = ({ wallLessMonotonicMs }: Measurement) =>
    clock.nowMs() - clock.monotonicMs() - wallLessMonotonicMs;

  const measure = async () => {
    const wallLessMonotonicMs = clock.nowMs() - clock.monotonicMs();
    const sentMs = clock.monotonicMs();
    const exchangeMs = await ask();
    const answeredMs = clock.nowMs();
    const halfWayMs = (clock.monotonicMs() - sentMs) / 2;
    // As if the exchange had answered at the very end: at worst a signature is late by the whole way, never ahead.
    use(answeredMs - exchangeMs);
    const skewMs = answeredMs - halfWayMs - exchangeMs;
    isDoubted = false;
    measured = { skewMs, uncertaintyMs: halfWayMs, wallLessMonotonicMs };
    return halfWayMs <= GOOD_ENOUGH_MS ? RELOAD_EVERY_MS : RETRY_MS;
  };
  const load = async () => {
    askedMs = clock.monotonicMs();
    dueMs = askedMs + RETRY_MS;
    const pauseMs = await measure();
    dueMs = clock.monotonicMs() + pauseMs;
  };
  const isDue = () => {
    const nowMs = clock.monotonicMs();
    if (nowMs >= dueMs) return true;
    const isStepped = measured !== undefined && Math.abs(steppedMs(measured)) >= STEP_MS;
    return isStepped && nowMs >= askedMs + RETRY_MS;
  };
  return {
    keep: async () => {
      if (isDue()) loading ??= load().finally(() => (loading = undefined));
      if (measured !== undefined) {
        // The last known difference serves meanwhile: an exit never waits for the time.
        loading?.catch(() => undefined);
        return;
      }
      // Of several symbols' turns one asks, the others wait for it.
      await loading?.catch((error: unknown) => {
        dueMs = -Infinity;
        throw error;
      });
    },
    doubt: () => {
      isDoubted = true;
      dueMs = -Infinity;
    },
    reading: () => {
      if (measured === undefined || isDoubted) return undefined;
      const stepMs = steppedMs(measured);
      const { skewMs, uncertaintyMs } = measured;
      return { skewMs: skewMs + stepMs, uncertaintyMs: uncertaintyMs + Math.abs(stepMs) };
    },
  };
}
