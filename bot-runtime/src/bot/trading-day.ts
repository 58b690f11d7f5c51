import { type Amount, add, amount, subtract, ZERO_AMOUNT } from "../money.ts";

export interface DayBaseline {
  /** UTC day, `2025-06-18`. */
  readonly day: string;
  readonly equity: Amount;
}

/**
 * The UTC day that a candle's close belongs to: by candle time, so that a replay has days of its own. A candle that closes at
 * 00:00 begins the new day.
 */
export function dayOf(closeTimeMs: number): string {
  return new Date(closeTimeMs).toISOString().slice(0, 10);
}

/** The day's opening equity and what the bot has realised since. */
export class TradingDay {
  #day: string | undefined;
  #baseline: DayBaseline | undefined;
  #realised = ZERO_AMOUNT;

  /** Day of the newest candle. */
  get day(): string | undefined {
    return this.#day;
  }

  /** Opening equity of the day that candles show; undefined while it is not known. */
  get baseline(): Amount | undefined {
    return this.#baseline?.day === this.#day ? this.#baseline?.equity : undefined;
  }

  get realised(): Amount {
    return this.#realised;
  }

  see(closeTimeMs: number): void {
    const day = dayOf(closeTimeMs);
    // Symbols close their candles one after the other: the newest one shows the day.
    if (this.#day !== undefined && day <= this.#day) return;
    this.#day = day;
    if (this.#baseline?.day !== day) this.#realised = ZERO_AMOUNT;
  }

  /** The journal's memory of a day, with what was realised before this process started. */
  restore(baseline: DayBaseline, realised: Amount): void {
    this.#baseline = baseline;
    this.#realised = realised;
  }

  open(baseline: DayBaseline): void {
    this.#baseline = baseline;
    this.#realised = ZERO_AMOUNT;
  }

  realise(result: Amount): void {
    this.#realised = add(this.#realised, result);
  }

  /** Realised and unrealised result of the day. */
  result(unrealised: readonly Amount[]): Amount {
    return unrealised.reduce(add, this.#realised);
  }
}

/**
 * What was realised before a restart when the journal does not say: the account's change since the baseline. It includes other
 * bots of the account and so may end the day early, never late for a bot alone.
 */
export function realisedFromEquity(
  now: { readonly equity: Amount; readonly unrealised: readonly Amount[] },
  baseline: Amount,
): Amount {
  const open = now.unrealised.reduce(add, amount("0"));
  return subtract(subtract(now.equity, baseline), open);
}
