import { exchangeFault } from "./bybit-outcomes.ts";
import type { ExchangeFault } from "./exchange.ts";

/** Requests during a ban may prolong it; a lone 403 of a gateway costs no more than this. */
const PAUSE_MIN_MS = 1_000;

/**
 * Whether the exchange refuses this address: then nothing is asked but one request now and then, and whatever it answers
 * otherwise ends the ban.
 */
export interface AddressBan {
  /** Instead of sending; undefined when there is no ban, or when it is time to try: once, until the next pause is over. */
  readonly refusal: () => ExchangeFault | undefined;
  /** A request was answered by 403. */
  readonly note: () => void;
  /** A request was answered by something else. */
  readonly lift: () => void;
}

/** `monotonicMs` is a clock that nobody sets. Pauses double up to the longest one. */
export function createAddressBan(monotonicMs: () => number, longestPauseMs: number): AddressBan {
  let tries = 0;
  let untilMs = -Infinity;
  const pause = () => {
    untilMs = monotonicMs() + Math.min(PAUSE_MIN_MS * 2 ** Math.min(tries, 10), longestPauseMs);
    tries += 1;
  };
  return {
    refusal: () => {
      const leftMs = untilMs - monotonicMs();
      if (leftMs > 0) return addressBanned(leftMs);
      // Whoever asks while this try is under way waits for what comes of it.
      if (tries > 0) pause();
      return undefined;
    },
    note: () => {
      // Several requests that were under way are one try.
      if (monotonicMs() >= untilMs) pause();
    },
    lift: () => {
      tries = 0;
      untilMs = -Infinity;
    },
  };
}

function addressBanned(leftMs: number): ExchangeFault {
  const seconds = Math.ceil(leftMs / 1_000);
  return exchangeFault("AddressBanned", {
    code: "403",
    message: `the exchange refuses the address that this bot connects from: too many requests came from it, which ends by itself within some 10 minutes, or it is in a region that is not served; asked again in ${seconds} s, and stops at the exchange stay in force; if it lasts, give bots another address`,
  });
}
