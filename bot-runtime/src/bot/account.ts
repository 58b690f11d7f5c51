import type { RecordBody, SessionAnswer } from "@tradingbots/crds";
import type { Balance, Exchange } from "../exchange/exchange.ts";
import { amount, type Amount, text } from "../money.ts";
import { TradingDay } from "./trading-day.ts";

/** What all symbols of a bot share: balance, trading day, errors, and one entry at a time. */
export class Account {
  readonly day = new TradingDay();
  readonly #exchange: Pick<Exchange, "balance">;
  readonly #record: (body: RecordBody) => void;
  readonly #now: () => Date;
  #balance: Balance | undefined;
  #errors = 0;
  #entries: Promise<unknown> = Promise.resolve();

  constructor(deps: {
    readonly exchange: Pick<Exchange, "balance">;
    readonly record: (body: RecordBody) => void;
    readonly now: () => Date;
  }) {
    this.#exchange = deps.exchange;
    this.#record = deps.record;
    this.#now = deps.now;
  }

  /** As last seen. */
  get balance(): Balance | undefined {
    return this.#balance;
  }

  get consecutiveErrors(): number {
    return this.#errors;
  }

  /** What the journal remembers: results of all time, and errors in a row under a configuration not older than `generation`. */
  remember(session: SessionAnswer, generation: number): void {
    const { realised, dayBaseline, errors } = session;
    const baseline = dayBaseline && {
      day: dayBaseline.day,
      equity: amount(dayBaseline.equity),
      startsFrom: amount(dayBaseline.startsFrom),
    };
    this.day.remember(amount(realised), baseline ?? undefined);
    if (errors !== null && errors.generation >= generation) this.#errors += errors.count;
  }

  noteError(): void {
    this.#errors += 1;
  }

  clearErrors(): void {
    this.#errors = 0;
  }

  async refreshBalance(): Promise<Balance> {
    this.#balance = await this.#exchange.balance();
    return this.#balance;
  }

  recordEquity(): void {
    if (this.#balance === undefined) return;
    const { equity, available, currency } = this.#balance;
    this.#record({
      type: "equity",
      equity: text(equity),
      available: text(available),
      currency,
      at: this.#now().toISOString(),
    });
  }

  /** Begins the trading day that is due with the equity as it is now; the journal keeps it. */
  async openDay(standing: () => Amount): Promise<void> {
    const { equity } = await this.refreshBalance();
    const begun = this.day.begin(equity, standing());
    if (begun === undefined) return;
    this.#record({
      type: "day-baseline",
      day: begun.day,
      equity: text(begun.equity),
      startsFrom: text(begun.startsFrom),
      at: this.#now().toISOString(),
    });
  }

  /** Runs entries of all symbols one after the other: each is measured against what the one before has taken. */
  async oneEntry<Result>(enter: () => Promise<Result>): Promise<Result> {
    const turn = this.#entries.then(enter);
    this.#entries = turn.catch(() => undefined);
    return turn;
  }
}
