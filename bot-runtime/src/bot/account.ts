import type { RecordBody, SessionAnswer } from "@tradingbots/crds";
import type { Balance, Exchange } from "../exchange/exchange.ts";
import { amount, type Amount, text } from "../money.ts";
import { realisedFromEquity, TradingDay } from "./trading-day.ts";

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

  /**
   * Sees to it that the day's opening equity is known: from the journal, or, when the journal has none for this day, as the
   * equity is now, which the journal then keeps. Does nothing without a session: only the journal knows whether there is one.
   */
  async openDay(session: SessionAnswer | undefined, unrealised: readonly Amount[]): Promise<void> {
    const { day } = this.day;
    if (session === undefined || day === undefined || this.day.baseline !== undefined) return;
    const { equity } = await this.refreshBalance();
    const remembered = session.dayBaseline;
    if (remembered?.day === day) {
      const baseline = amount(remembered.equity);
      const realised =
        remembered.realised === undefined
          ? realisedFromEquity({ equity, unrealised }, baseline)
          : amount(remembered.realised);
      this.day.restore({ day, equity: baseline }, realised);
      return;
    }
    this.day.open({ day, equity });
    this.#record({
      type: "day-baseline",
      day,
      equity: text(equity),
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
