import type { PositionSide } from "../exchange/exchange.ts";

/** A closed candle as a strategy sees it. Indicators are doubles: they decide when, never how much money. */
export interface PriceBar {
  readonly openTimeMs: number;
  readonly close: number;
}

/** What a strategy proposes at the close of a candle. It never calls an exchange; the risk gate decides. */
export interface Proposal {
  /** Side of a position to open. */
  readonly enter: PositionSide | undefined;
  /** Side of a position to close. */
  readonly exit: PositionSide | undefined;
  /** 0–100; 0 without a proposal to enter. */
  readonly confidence: number;
  /** What the strategy saw, for the user: "RSI 27.4 below 30". */
  readonly note: string;
}

export const NO_PROPOSAL: Proposal = {
  enter: undefined,
  exit: undefined,
  confidence: 0,
  note: "",
};

interface Decision<State> {
  readonly state: State;
  readonly proposal: Proposal;
}

/** The same function runs live, on paper and over history: pure and synchronous. */
export interface Strategy<State> {
  readonly initial: State;
  readonly decide: (state: State, bar: PriceBar) => Decision<State>;
  /** Candles before which the strategy proposes nothing. */
  readonly warmUp: number;
}
