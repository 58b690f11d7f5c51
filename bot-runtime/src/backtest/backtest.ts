import type { PositionSide } from "../exchange/exchange.ts";
import { type Decimal, type Price, price } from "../money.ts";
import type { Size } from "../orders/sizing.ts";
import { startStrategy } from "../strategies/start-strategy.ts";
import type { Strategy } from "../strategies/strategy.ts";
import type { CandleTable } from "./candle-table.ts";
import { EntryDesk, type RefusalCount, type Risk, type Sizing } from "./entry-desk.ts";
import { type FixedPoint, fixedPointText } from "./fixed-point.ts";
import { type BacktestTrade, type Closing, Ledger, type Places } from "./ledger.ts";
import { OpenPosition } from "./open-position.ts";
import { PriceScale } from "./price-scale.ts";

export interface BacktestInput {
  readonly candles: CandleTable;
  readonly strategy: { readonly name: string; readonly params: Readonly<Record<string, unknown>> };
  readonly risk: Risk;
  readonly sizing: Sizing;
  /** Paid for every fill, of its value. */
  readonly feePercent: Decimal;
  /** What stop and target are rounded to; undefined: not at all. */
  readonly tick: Price | undefined;
  /** Candles that open earlier are shown to the strategy, which may not open a position on them. Default: none. */
  readonly fromMs?: number;
}

export interface BacktestResult {
  /** In the order in which they were closed. */
  readonly trades: readonly BacktestTrade[];
  /** Signals to enter that the risk gate refused, by reason. */
  readonly refusals: ReadonlyMap<string, RefusalCount>;
  /** Of the numbers in `trades`. */
  readonly places: Places;
}

/**
 * Trades one symbol over its candles by the bots' own strategy and risk gate, one position at a time. The rules:
 *
 * - A strategy is shown each candle at its close. A signal fills at the next candle's open: an exit if a position of that side is
 *   held, an entry if none is. A candle whose signal closes a position opens none; nor does the last one, which has no next open.
 * - Stop and target are the fill × (1 ± percent / 100), rounded to the tick (a half upwards) unless there is none.
 * - In each bar, in this order: an exit that the candle before asked for, at the open; then a bar that opens at a level or beyond
 *   it closes the position at the open; then, from the entry's own bar on, stop and target inside the bar, each at its level.
 *   Touching a level is enough. When both are within the bar, the stop was first.
 * - What is open at the end closes at the last close.
 * - Indicators are doubles. Prices, levels, quantities, fees and results are exact decimals.
 *
 * Bars follow each other as they stand in the table, over a gap too. Not simulated: slippage, funding, liquidation.
 *
 * With `sizing.kind` "account" the trades are those of the live loop over the same candles, to the last decimal
 * (test/replay.test.ts). Two things differ on purpose, both only where a bar opens away from the close before it:
 *
 * - A bot's entry carries levels around the signal's close until they are moved to the fill, a fraction of a second later. A fill
 *   that is itself beyond such a level closes at once. History has no fractions of a second.
 * - An exit by signal that meets its stop at the same open is named "stop" by an exchange, at the same price.
 */
export function runBacktest(input: BacktestInput): BacktestResult {
  const run = new Run(input);
  run.play();
  return run.result();
}

/** What a candle's signal wants done at the next open. */
type Due =
  | { readonly kind: "enter"; readonly side: PositionSide; readonly size: Size }
  | { readonly kind: "leave" };

class Run {
  readonly #input: BacktestInput;
  readonly #strategy: Strategy;
  readonly #desk: EntryDesk;
  readonly #scale: PriceScale;
  readonly #ledger: Ledger;
  /** Value of every position, where all have the same. */
  readonly #notional: FixedPoint | undefined;
  #position: OpenPosition | undefined;
  #due: Due | undefined;

  constructor(input: BacktestInput) {
    this.#input = input;
    this.#strategy = startStrategy(input.strategy);
    this.#desk = new EntryDesk(input.sizing, input.risk, input.tick);
    this.#scale = new PriceScale(input.candles, { ...input.risk, tick: input.tick });
    this.#ledger = new Ledger(this.#scale, input.feePercent);
    const { sizing } = input;
    this.#notional = sizing.kind === "notional" ? this.#ledger.value(sizing.notional) : undefined;
  }

  result(): BacktestResult {
    return {
      trades: this.#ledger.trades,
      refusals: this.#desk.refusals,
      places: this.#ledger.places,
    };
  }

  play(): void {
    const { candles, fromMs = -Infinity } = this.#input;
    const { openTimesMs, closes, length, intervalMs } = candles;
    const strategy = this.#strategy;
    const bar = { openTimeMs: 0, close: 0 };
    let nextDayMs = -Infinity;
    for (let index = 0; index < length; index += 1) {
      if (this.#due !== undefined) this.#fill(this.#due, index);
      if (this.#position !== undefined) this.#watch(this.#position, index);
      bar.openTimeMs = openTimesMs[index] ?? NaN;
      bar.close = closes[index] ?? NaN;
      const closeMs = bar.openTimeMs + intervalMs;
      if (closeMs >= nextDayMs) {
        this.#beginDay(bar.close);
        nextDayMs = EntryDesk.nextDayMs(closeMs);
      }
      const { enter, exit } = strategy.decide(bar);
      if (this.#position === undefined) {
        if (enter !== undefined && bar.openTimeMs >= fromMs) this.#askToEnter(enter, bar.close);
      } else if (exit === this.#position.opening.side) this.#due = { kind: "leave" };
    }
    this.#closeAtEnd();
  }

  /** What the candle before asked for, at this one's open. */
  #fill(due: Due, index: number): void {
    this.#due = undefined;
    const fill = this.#scale.price(this.#input.candles.opens[index] ?? NaN);
    if (due.kind === "leave") {
      this.#close({ exitIndex: index, exitPrice: fill, reason: "signal", atOpen: true });
      return;
    }
    const { side, size } = due;
    const entryValue = this.#notional ?? this.#ledger.valueOf(size.quantity, fill);
    this.#position = new OpenPosition(
      { side, entryIndex: index, entryPrice: fill, entryValue },
      this.#scale,
    );
  }

  #watch(position: OpenPosition, index: number): void {
    const { opens, highs, lows } = this.#input.candles;
    const isEntryBar = position.opening.entryIndex === index;
    const reached =
      (isEntryBar ? undefined : position.reachedAtOpen(opens[index] ?? NaN)) ??
      position.reachedInside(lows[index] ?? NaN, highs[index] ?? NaN);
    if (reached !== undefined) this.#close({ exitIndex: index, ...reached });
  }

  #beginDay(close: number): void {
    const { result } = this.#ledger;
    const opening = this.#position?.opening;
    this.#desk.beginDay(
      opening === undefined ? result : this.#ledger.resultWith(opening, this.#scale.price(close)),
    );
  }

  #askToEnter(side: PositionSide, close: number): void {
    const size = this.#desk.ask({
      confidence: this.#strategy.explain().confidence,
      close: () => price(fixedPointText(this.#scale.price(close), this.#scale.places)),
      result: () => this.#ledger.result,
    });
    if (size !== undefined) this.#due = { kind: "enter", side, size };
  }

  #closeAtEnd(): void {
    const { closes, length } = this.#input.candles;
    if (this.#position === undefined) return;
    const exitPrice = this.#scale.price(closes[length - 1] ?? NaN);
    this.#close({ exitIndex: length - 1, exitPrice, reason: "end", atOpen: false });
  }

  #close(closing: Closing): void {
    if (this.#position !== undefined) this.#ledger.book(this.#position.opening, closing);
    this.#position = undefined;
  }
}
