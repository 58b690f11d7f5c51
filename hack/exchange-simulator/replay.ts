import type { MarketEvent } from "./fill.ts";
import type { Market } from "./market.ts";
import { Decimal } from "./money.ts";

/** Candles per second (0 pauses), or "lockstep": the replay moves only when told to. */
export type ReplaySpeed = number | "lockstep";

/** Highest speed: a candle takes two timers, and a timer at least a millisecond. */
export const MAX_SPEED = 400;
/** Lowest speed above 0; slower ones would outlast a timer's range. */
const MIN_SPEED = 0.001;
/** A replay that fell behind its timetable by more than this goes on from now instead of rushing to catch up. */
const MAX_LAG_MS = 1_000;

export interface ReplayOptions {
  readonly market: Market;
  readonly speed: ReplaySpeed;
  readonly onTick: (event: MarketEvent) => void;
  /** A candle opened: last prices are its opens, and no order has seen them yet. */
  readonly onOpen: () => void;
  /** After a candle opened or closed. */
  readonly onCandle: () => void;
  /** The market came to stand still: paused, or at the end of the recorded candles. */
  readonly onStanding: () => void;
}

export interface ReplayClock {
  /** ms UTC of the candle in progress. */
  readonly replayTime: number;
  readonly candlesEmitted: number;
  readonly candlesRemaining: number;
  readonly mode: "running" | "paused" | "lockstep" | "ended";
  readonly speed: ReplaySpeed;
}

/**
 * Plays recorded candles as ticks. Per candle, for each symbol: the price `open`; half a period later the range low..high
 * (stops before limits before targets, see matching.ts) and then the price `close`. So whoever hears a candle close has half a
 * period to send an order that is filled at the next open; one that comes later is filled at that candle's close.
 */
export class Replay {
  readonly #options: ReplayOptions;
  #speed: ReplaySpeed;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#speed = checkedSpeed(options.speed);
  }

  start(): void {
    this.setSpeed(this.#speed);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  setSpeed(speed: ReplaySpeed): void {
    this.#speed = checkedSpeed(speed);
    clearTimeout(this.#timer);
    if (this.isStanding()) this.#options.onStanding();
    this.#dueMs = performance.now();
    this.#schedule();
  }

  /** Plays up to `count` further closes in lockstep; returns how many there were. */
  step(count: number): number {
    for (let done = 0; done < count; done += 1) {
      if (this.#mode() !== "lockstep") return done;
      if (!this.#options.market.isOpened()) this.#openCandle();
      this.#closeCandle();
    }
    return count;
  }

  /** Plays the next half of a candle in lockstep: its open, or its inside and close. */
  halfStep(): void {
    if (this.#mode() !== "lockstep") return;
    if (this.#options.market.isOpened()) this.#closeCandle();
    else this.#openCandle();
  }

  /** No further price comes, neither by itself nor by a step: orders are filled at the last one, at once. */
  isStanding(): boolean {
    return this.#mode() === "paused" || this.#mode() === "ended";
  }

  clock(): ReplayClock {
    const { market } = this.#options;
    return {
      replayTime: market.replayTime(),
      candlesEmitted: market.emitted(),
      candlesRemaining: market.remaining(),
      mode: this.#mode(),
      speed: this.#speed,
    };
  }

  #mode(): ReplayClock["mode"] {
    if (this.#options.market.remaining() === 0) return "ended";
    if (this.#speed === "lockstep") return "lockstep";
    return this.#speed === 0 ? "paused" : "running";
  }

  #schedule(): void {
    if (this.#mode() !== "running") return;
    const now = performance.now();
    const halfPeriodMs = 500 / Number(this.#speed);
    this.#dueMs = Math.max(this.#dueMs + halfPeriodMs, now - MAX_LAG_MS);
    this.#timer = setTimeout(() => this.#halfStep(), Math.max(0, this.#dueMs - now));
  }

  #halfStep(): void {
    if (this.#options.market.isOpened()) this.#closeCandle();
    else this.#openCandle();
    this.#schedule();
  }

  #openCandle(): void {
    const { market, onOpen, onTick, onCandle } = this.#options;
    market.openCandle();
    onOpen();
    for (const symbol of market.symbols) {
      onTick({ symbol, tick: { kind: "price", price: market.lastPrice(symbol) } });
    }
    onCandle();
  }

  #closeCandle(): void {
    const { market, onTick, onCandle, onStanding } = this.#options;
    for (const symbol of market.symbols) {
      const { low, high, close } = market.recordedCandle(symbol);
      const range = { kind: "range", low: new Decimal(low), high: new Decimal(high) } as const;
      onTick({ symbol, tick: range });
      onTick({ symbol, tick: { kind: "price", price: market.setLastPrice(symbol, close) } });
    }
    market.closeCandle();
    onCandle();
    if (market.remaining() === 0) onStanding();
  }
}

function checkedSpeed(speed: ReplaySpeed): ReplaySpeed {
  if (speed === "lockstep" || speed === 0) return speed;
  if (speed >= MIN_SPEED && speed <= MAX_SPEED) return speed;
  throw new Error(
    `speed must be lockstep, 0 or ${MIN_SPEED} to ${MAX_SPEED} candles per second, not ${speed}`,
  );
}
