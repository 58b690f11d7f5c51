import type { SessionAnswer } from "@tradingbots/crds";
import { type ExchangeFault, isExchangeFault } from "../exchange/exchange.ts";
import type { Candle, HeldPosition } from "../exchange/exchange.ts";
import { add, type Amount, ZERO_AMOUNT } from "../money.ts";
import type { Refusal } from "../risk/gate.ts";
import { advanceWork, wantExitByState } from "./advance-work.ts";
import { CandleSeries, type ProposedCandle } from "./candle-series.ts";
import { enterPosition, type EntryResult, type EntryWish, refusalEvent } from "./enter-position.ts";
import { messageOf } from "./log.ts";
import { couldBeOwn, findOrphan, foreignHolding, rememberedWork } from "./reconcile.ts";
import { eventRecord } from "./records.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { standingResult } from "./trading-day.ts";
import type { Work } from "./work.ts";

/** Bybit allows ten position look-ups a second; four leave room for what follows them. */
const POLL_MS = 250;
/** A flat symbol is looked at this often, so that somebody else's position shows before an entry meets it. */
const IDLE_LOOK_MS = 30_000;
/** What is not known to be the bot's own is looked at this often: only somebody else can change it. */
const UNKNOWN_LOOK_MS = 5_000;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 15_000;

/**
 * Trades one symbol: one turn at a time, each turn from fresh facts. Whatever wakes it (a candle, a changed configuration, a
 * timer) only says that a turn is due; what the turn does follows from the state of the world.
 */
export class SymbolTrader {
  readonly symbol: string;
  readonly #deps: TraderDeps;
  readonly #changed: () => void;
  #series: CandleSeries | undefined;
  #works: Work[] = [];
  #session: SessionAnswer | undefined;
  #adoptedSession = false;
  #reconciled = false;
  #foreign: string | undefined;
  #foreignMayBeOwn = false;
  #unusable: Refusal | undefined;
  #proposed: ProposedCandle | undefined;
  #firstEntry = true;
  #entering = false;
  #due = false;
  #running: Promise<void> | undefined;
  #lookedMs = 0;
  #failures = 0;
  #retryMs = 0;
  #lastSeenMs: number | undefined;

  constructor(symbol: string, deps: TraderDeps, changed: () => void) {
    this.symbol = symbol;
    this.#deps = deps;
    this.#changed = changed;
  }

  get works(): readonly Work[] {
    return this.#works;
  }

  get reconciled(): boolean {
    return this.#reconciled;
  }

  get foreign(): string | undefined {
    return this.#foreign;
  }

  get unusable(): Refusal | undefined {
    return this.positionUnknown ?? this.#unusable;
  }

  /** Why it is not known whether the bot holds something here: nothing is opened, and the bot is not flat. */
  get positionUnknown(): Refusal | undefined {
    const message = this.#works.find((work) => work.contradiction !== undefined)?.contradiction;
    if (message !== undefined) return { reason: "PositionUnknown", message };
    if (!this.#foreignMayBeOwn) return undefined;
    return {
      reason: "PositionUnknown",
      message: `${this.symbol}: what is open there carries an order id as this bot gives them, but neither the journal nor the candles explain it; close it at the exchange, unless another bot of the account does`,
    };
  }

  get positions(): readonly HeldPosition[] {
    return this.#works.flatMap(({ held, account }) => (held && account.open.gt(0) ? [held] : []));
  }

  /** Result of the works that are not over, realised and unrealised. */
  get standing(): Amount {
    return this.#works.map(standingResult).reduce(add, ZERO_AMOUNT);
  }

  /** Whether `standing` is all that there is: what the journal remembers of the symbol has been looked at. */
  get isKnown(): boolean {
    return this.#reconciled && this.#session === undefined;
  }

  /** Nothing of the bot's own at the exchange, as just seen, and nothing about to be sent. */
  get flat(): boolean {
    return this.#upToDate && this.#works.length === 0 && !this.#foreignMayBeOwn;
  }

  /** What the trader knows is all that there is to know. */
  get #upToDate(): boolean {
    return this.isKnown && !this.#entering;
  }

  /** No turn is under way. */
  get idle(): boolean {
    return this.#running === undefined;
  }

  /** Every open position has its stop at the exchange. */
  get protected(): boolean {
    return this.#works.every(
      ({ held, account }) => account.open.isZero() || held?.stopLoss !== undefined,
    );
  }

  /** A new strategy, new parameters or another timeframe: the series starts again from fetched candles. */
  restartSeries(series: CandleSeries): void {
    this.#series = series;
    this.#proposed = undefined;
    this.wake();
  }

  /** What the journal remembers; taken up in the next turn. */
  adopt(session: SessionAnswer): void {
    this.#session = session;
    this.wake();
  }

  /** A closed candle of the stream. */
  candleClosed(candle: Candle): void {
    const proposed = this.#series?.push(candle, this.#deps.monotonicMs());
    if (proposed !== undefined) this.#proposed = proposed;
    this.wake();
  }

  /** Called several times a second: wakes the trader when something is to be looked at. */
  tick(): void {
    const quietMs = this.#deps.nowMs() - this.#lookedMs;
    if (quietMs >= this.#lookEveryMs) this.wake();
  }

  get #lookEveryMs(): number {
    if (this.flat) return IDLE_LOOK_MS;
    const isUnknown = this.#works.every((work) => work.contradiction !== undefined);
    return this.#upToDate && isUnknown ? UNKNOWN_LOOK_MS : POLL_MS;
  }

  wake(): void {
    this.#due = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // Woken between the last turn and here.
      if (this.#due && this.#deps.nowMs() >= this.#retryMs) this.wake();
    });
  }

  /** Looks once more, now, whether nothing of the bot's own is left. */
  async confirmFlat(): Promise<boolean> {
    this.#reconciled = false;
    this.wake();
    await this.settled();
    return this.flat;
  }

  /** Resolves when no turn is under way. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#due && this.#deps.nowMs() >= this.#retryMs) {
      this.#due = false;
      try {
        await this.#turn();
        this.#failures = 0;
        this.#unusable = undefined;
      } catch (error) {
        this.#fail(error);
      }
      this.#changed();
    }
  }

  async #turn(): Promise<void> {
    await this.#deps.exchange.prepare([this.symbol]);
    if (!this.#reconciled || this.#session !== undefined) await this.#reconcile();
    await this.#advance();
    await this.#catchUp();
    await this.#deps.openDay(this.#series?.lastCloseMs);
    const isProposed = this.#proposed !== undefined;
    await this.#act();
    // Counted when it has been dealt with to the end, orders included.
    if (isProposed) this.#deps.metrics.count("bot_candles_total");
  }

  /** Takes up what is the bot's own and names what is not. Everything before the first decision. */
  async #reconcile(): Promise<void> {
    const session = this.#session;
    if (session !== undefined && !this.#adoptedSession) {
      const known = new Set(this.#works.map((work) => work.entryId));
      const remembered = rememberedWork(session, this.symbol, this.#deps.nowMs());
      this.#works.push(...remembered.filter((work) => !known.has(work.entryId)));
      this.#adoptedSession = true;
    }
    await this.#advanceAll();
    await this.#lookForForeign();
    if (this.#foreign !== undefined) await this.#adoptOrphan();
    this.#reconciled = true;
    // One that came meanwhile (a new epoch) is for the next turn.
    if (this.#session === session) this.#session = undefined;
  }

  async #adoptOrphan(): Promise<void> {
    await this.#catchUp();
    const orphan = await findOrphan(this.#deps, this.symbol, this.#series?.openTimes ?? []);
    if (orphan === undefined || this.#works.some((work) => work.entryId === orphan.entryId)) return;
    const message = `${this.symbol}: took up the position of order ${orphan.entryId}`;
    this.#deps.record(eventRecord("adopted", message, this.#deps.nowMs()));
    this.#works.push(orphan);
    await this.#advanceAll();
    await this.#lookForForeign();
  }

  async #advance(): Promise<void> {
    const due = this.#deps.nowMs() - this.#lookedMs >= this.#lookEveryMs;
    if (this.#works.length > 0) {
      if (due || this.#wantsExit()) await this.#advanceAll();
    } else if (due) {
      await this.#lookForForeign();
    }
  }

  #wantsExit(): boolean {
    const works = this.#works.filter((work) => work.contradiction === undefined);
    for (const work of works) wantExitByState(this.#deps, work);
    return works.some((work) => work.exitWanted !== undefined && work.exit === undefined);
  }

  async #advanceAll(): Promise<void> {
    this.#lookedMs = this.#deps.nowMs();
    for (const work of this.#works) {
      const over = await advanceWork(this.#deps, work);
      if (!over) continue;
      // In one step: its result is counted either as open or as closed, never as both.
      this.#works = this.#works.filter((each) => each !== work);
      this.#deps.account.day.realise(work.account.result);
    }
    this.#countUnprotected();
  }

  async #lookForForeign(): Promise<void> {
    this.#lookedMs = this.#deps.nowMs();
    const { symbol } = this;
    const [view, orders] = await Promise.all([
      this.#deps.exchange.position(symbol),
      this.#deps.exchange.openOrders(symbol),
    ]);
    const seen = { symbol, held: view.held, orders };
    const foreign = foreignHolding(this.#works, seen);
    const mayBeOwn = foreign !== undefined && (await couldBeOwn(this.#deps, this.#works, seen));
    this.#foreign = foreign;
    this.#foreignMayBeOwn = mayBeOwn;
  }

  async #catchUp(): Promise<void> {
    const series = this.#series;
    if (series?.needsCatchUp !== true) return;
    const proposed = await series.catchUp();
    // Another strategy may have begun meanwhile: the old one proposes nothing more.
    if (proposed !== undefined && series === this.#series) this.#proposed = proposed;
  }

  /** Acts on the newest candle only: a proposal that waited behind another is too old. */
  async #act(): Promise<void> {
    const proposed = this.#proposed;
    const config = this.#deps.config();
    this.#proposed = undefined;
    if (proposed === undefined) return;
    const { enter, exit, note } = proposed.proposal;
    // Stop or target may have ended the work within this very candle.
    const old = this.#deps.nowMs() > this.#lookedMs;
    if (this.#works.length > 0 && old && (enter ?? exit) !== undefined) await this.#advanceAll();
    const leaving = this.#works.filter(
      (work) => work.side === exit && work.exitWanted === undefined,
    );
    for (const work of leaving) {
      work.exitWanted = "signal";
      this.#deps.log.info("signal-exit", { symbol: this.symbol, note });
    }
    if (leaving.length > 0) await this.#advanceAll();
    if (enter === undefined || this.#works.length > 0) return;
    await this.#enter({
      ...proposed,
      symbol: this.symbol,
      config,
      side: enter,
      lookUpFirst: this.#firstEntry,
    });
  }

  async #enter(wish: EntryWish): Promise<void> {
    const result = await this.#sendEntry(wish);
    if (result.kind === "sent") {
      this.#firstEntry = false;
      await this.#advanceAll();
      return;
    }
    const refusal =
      result.kind === "foreign"
        ? { reason: "ForeignPosition", message: result.message }
        : result.refusal;
    this.#deps.metrics.count("bot_entries_refused_total", { reason: refusal.reason });
    this.#deps.record(refusalEvent(wish, refusal, this.#deps.nowMs()));
    if (result.kind === "foreign") await this.#lookForForeign();
  }

  /** From before the request leaves, its work counts; only a definite refusal takes it back. */
  async #sendEntry(wish: EntryWish): Promise<EntryResult> {
    this.#entering = true;
    try {
      return await enterPosition(this.#deps, wish, {
        add: (work) => this.#works.push(work),
        remove: (work) => (this.#works = this.#works.filter((each) => each !== work)),
      });
    } finally {
      this.#entering = false;
    }
  }

  #countUnprotected(): void {
    const now = this.#deps.nowMs();
    const naked = this.#works.some(
      (work) => work.held !== undefined && work.held.stopLoss === undefined,
    );
    const seconds = naked && this.#lastSeenMs !== undefined ? (now - this.#lastSeenMs) / 1_000 : 0;
    this.#deps.metrics.count("bot_unprotected_seconds_total", {}, seconds);
    this.#lastSeenMs = now;
  }

  #fail(error: unknown): void {
    const longest = Math.min(RETRY_MIN_MS * 2 ** Math.min(this.#failures, 10), RETRY_MAX_MS);
    this.#failures += 1;
    this.#retryMs = this.#deps.nowMs() + longest;
    this.#deps.metrics.count("bot_turn_failures_total");
    this.#deps.log.warn("turn-failed", { symbol: this.symbol, message: messageOf(error) });
    if (!isExchangeFault(error)) {
      // A fault of the bot itself, or a strategy that throws.
      this.#deps.account.noteError();
      this.#unusable = { reason: "InternalError", message: messageOf(error).slice(0, 300) };
    } else {
      this.#unusable = { reason: reasonOf(error), message: error.message };
    }
    // What was known may be wrong by now.
    if (this.#failures > 3) this.#reconciled = false;
  }
}

function reasonOf({ fault }: ExchangeFault): string {
  if (fault === "Unavailable") return "ExchangeUnavailable";
  // The operator makes it the bot's Ready condition: the user has to act.
  return fault === "InvalidKey" || fault === "PermissionDenied" ? "CredentialsRefused" : fault;
}
