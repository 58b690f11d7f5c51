import type { PositionSide } from "../exchange/exchange.ts";

/** A closed candle as a strategy sees it. Indicators are doubles: they decide when, never how much money. */
export interface PriceBar {
  readonly openTimeMs: number;
  readonly close: number;
}

/** Sides that a strategy wants opened and closed at the close of a candle. */
export interface Signal {
  /** Side of a position to open. */
  readonly enter: PositionSide | undefined;
  /** Side of a position to close. */
  readonly exit: PositionSide | undefined;
}

/** Why the newest decision was made. */
export interface Explanation {
  /** 0–100; 0 without a signal to enter. */
  readonly confidence: number;
  /** What the strategy saw, for the user: "RSI 27.40 below 30"; empty without a signal. */
  readonly note: string;
}

/** A signal with its reasons. It never calls an exchange; the risk gate decides. */
export interface Proposal extends Signal, Explanation {}

/**
 * A strategy that follows one series of candles. The very same runs live, on paper and over history: synchronous, and its
 * answer follows from its parameters and the bars that it has been shown, nothing else.
 *
 * Speed over history is why the state lives inside, why signals are constants and why a reason is given only when asked for:
 * `decide` allocates nothing (with a copied state and a sentence per candle it decided 21 instead of 38 million candles a second).
 */
export interface Strategy {
  /** Takes the next closed candle. `bar` may be reused by the caller: nothing of it is kept but its numbers. */
  readonly decide: (bar: PriceBar) => Signal;
  /** Of the newest decision. */
  readonly explain: () => Explanation;
}

export const NO_SIGNAL: Signal = { enter: undefined, exit: undefined };
