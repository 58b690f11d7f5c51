import type { SessionAnswer } from "@tradingbots/crds";
import { type Candle, type HeldPosition, isExchangeFault } from "../exchange/exchange.ts";
import { add, type Amount, ZERO_AMOUNT } from "../money.ts";
import type { Refusal } from "../risk/gate.ts";
import { advanceWork, wantExitByState } from "./advance-work.ts";
import { accountForFills } from "./account-for-fills.ts";
import type { CandleSeries, ProposedCandle } from "./candle-series.ts";
import { enterPosition, type EntrySignal, notTraded, refusalEvent } from "./enter-position.ts";
import { failureOf } from "./failure.ts";
import { ForeignHoldings } from "./foreign-holdings.ts";
import { FUNDING_LOOK_AGAIN_MS } from "./late-funding.ts";
import { messageOf } from "./log.ts";
import { isUrgent } from "./look-ups.ts";
import { LookGivenUp, PatientLooks } from "./patient-looks.ts";
import { Proposals } from "./proposals.ts";
import { findOrphan, rememberedWork } from "./reconcile.ts";
import { eventRecord } from "./records.ts";
import { seePosition, UNPROTECTED_SECONDS } from "./see-position.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { standingResult } from "./trading-day.ts";
import { Turns } from "./turns.ts";
import { heldOf, isLeftBehind, type Work } from "./work.ts";

/**
 * An open position is looked at this often by a bot of up to four symbols, and half as often by one of eight: 16 look-ups a
 * second leave the rest of the budget (bybit-client.ts) to what follows them.
 */
const POLL_MS = 250;
const SYMBOLS_PER_POLL = 4;
/** What exchange and journal contradict each other in, or cannot be closed, is looked at this often: only somebody else can change it. */
const UNKNOWN_LOOK_MS = 5_000;
/** What is settled and protected is looked at this often while the exchange itself tells of changes: it may have lost one. */
const STREAMED_LOOK_MS = 5_000;
/** Longest pause after failed turns: something open is not left alone for long. */
const PAUSE_MAX_MS = { open: 2_000, flat: 15_000 };
/** After so many failed turns in a row what was known may be wrong. */
const FAILURES_TO_DOUBT = 4;
/** Entries remembered as sent; a strategy that starts anew proposes at most its newest candle again. */
const SENT_MAX = 64;

const RULES_NOT_READ: Refusal = {
  reason: "NotReconciled",
  message: "the trading rules are not yet known",
};

/**
 * Trades one symbol: one turn at a time, each turn from fresh facts. Whatever wakes it (a candle, a changed configuration, a
 * timer) only says that a turn is due; what the turn does follows from the state of the world.
 */
export class SymbolTrader {
  readonly symbol: string;
  readonly #deps: TraderDeps;
  readonly #looks: PatientLooks;
  readonly #changed: () => void;
  readonly #turns: Turns;
  readonly #proposals: Proposals;
  readonly #foreign: ForeignHoldings;
  readonly #sent = new Set<string>();
  #works: Work[] = [];
  /** Closed, but for funding that may still come: it belongs to their result and to nothing else. */
  #settling: Work[] = [];
  /** Those that could not wait when the turn began. */
  #urgent: ReadonlySet<Work> = new Set();
  #session: SessionAnswer | undefined;
  #adoptedSession = false;
  #reconciled = false;
  #entering = false;
  #lookedMs = -Infinity;
  /** Why the trading rules are not known; undefined once they are. */
  #withoutRules: Refusal | undefined = RULES_NOT_READ;
  /** What the last question for them that failed was answered with. */
  #unprepared: unknown;
  /** The sentence about the key of another account, as last heard. */
  #otherAccount: string | undefined;
  #failure: Refusal | undefined;
  #withoutCandles: Refusal | undefined;

  constructor(symbol: string, deps: Omit<TraderDeps, "looks">, changed: () => void) {
    const { monotonicMs } = deps;
    this.symbol = symbol;
    this.#looks = new PatientLooks(deps.exchange);
    this.#deps = { ...deps, looks: this.#looks };
    this.#changed = changed;
    this.#foreign = new ForeignHoldings(symbol, this.#deps);
    this.#turns = new Turns({
      turn: () => this.#turnUnlessUrgent(),
      ended: (error) => this.#turnEnded(error),
      longestPauseMs: () => (this.flat ? PAUSE_MAX_MS.flat : PAUSE_MAX_MS.open),
      monotonicMs,
    });
    this.#proposals = new Proposals({
      ended: (error) => this.#candlesEnded(error),
      monotonicMs,
    });
    deps.metrics.count(UNPROTECTED_SECONDS, {}, 0);
  }

  get works(): readonly Work[] {
    return this.#works;
  }

  get reconciled(): boolean {
    return this.#reconciled;
  }

  get foreign(): string | undefined {
    return this.#foreign.sentence;
  }

  get unusable(): Refusal | undefined {
    return (
      this.positionUnknown ??
      this.#dust ??
      this.#failure ??
      this.#withoutRules ??
      this.#withoutCandles ??
      this.#untraded
    );
  }

  /** Why it is not known whether the bot holds something here: nothing is opened, and the bot is not flat. */
  get positionUnknown(): Refusal | undefined {
    const message = this.#works.find((work) => work.contradiction !== undefined)?.contradiction;
    if (message !== undefined) return { reason: "PositionUnknown", message };
    return this.#foreign.mayBeOwn;
  }

  get #dust(): Refusal | undefined {
    const dust = this.#works.find((work) => work.dust !== undefined)?.dust;
    return dust && { reason: "Dust", message: dust.message };
  }

  get #untraded(): Refusal | undefined {
    const isKnown = this.#reconciled && this.#deps.exchange.market(this.symbol) === undefined;
    return isKnown ? notTraded(this.symbol) : undefined;
  }

  get positions(): readonly HeldPosition[] {
    return this.#works.flatMap(({ held, account }) => (held && account.open.gt(0) ? [held] : []));
  }

  /** Result of the works that are not over, realised and unrealised. */
  get standing(): Amount {
    return [...this.#works, ...this.#settling]
      .filter(({ counts }) => counts)
      .map(standingResult)
      .reduce(add, ZERO_AMOUNT);
  }

  /** Whether `standing` is all that there is: what the journal remembers of the symbol has been looked at. */
  get isKnown(): boolean {
    return this.#reconciled && this.#session === undefined;
  }

  /** Nothing of the bot's own at the exchange, as just seen, and nothing about to be sent. */
  get flat(): boolean {
    const isOver = this.#works.every(isLeftBehind) && this.#settling.length === 0;
    return this.#upToDate && isOver && this.#foreign.mayBeOwn === undefined;
  }

  /** What the trader knows is all that there is to know. */
  get #upToDate(): boolean {
    return this.isKnown && !this.#entering;
  }

  /** An entry may still fill, or it is not known whether one may. */
  get entryOpen(): boolean {
    return !this.#upToDate || this.#works.some(({ entry }) => entry !== "over");
  }

  /** No turn is under way, and nothing that would begin one. */
  get idle(): boolean {
    return this.#turns.idle && this.#proposals.idle;
  }

  /** Every open position has its stop at the exchange. */
  get protected(): boolean {
    return this.#works.every(
      (work) => work.account.open.isZero() || heldOf(work)?.stopLoss !== undefined,
    );
  }

  /** A new strategy, new parameters or another timeframe: the series starts again from fetched candles. */
  restartSeries(series: CandleSeries): void {
    this.#proposals.restart(series);
    this.wake();
  }

  /** What the journal remembers; taken up in the next turn. */
  adopt(session: SessionAnswer): void {
    this.#session = session;
    // What may be open does not wait for the trading rules.
    if (this.#mayHold) this.#looks.giveUp();
    this.wake();
  }

  /** A closed candle of the stream, which the exchange sent at this time of the monotonic clock. */
  candleClosed(candle: Candle, sentMs: number): void {
    this.#wantExitBy(this.#proposals.push(candle, sentMs));
    this.wake();
  }

  /** Called several times a second: wakes the trader when something is to be looked at. */
  tick(): void {
    const now = this.#deps.monotonicMs();
    for (const work of this.#works) {
      if (heldOf(work)?.stopLoss === undefined && heldOf(work) !== undefined)
        seePosition(this.#deps, work, work.held);
    }
    const due = !this.isKnown || this.#works.length > 0;
    const isLate = now - this.#lookedMs >= this.#lookEveryMs;
    if ((due && isLate) || this.#foreign.isDue || this.#unsettled.length > 0) this.wake();
    else this.#turns.resume();
  }

  wake(): void {
    this.#hurry();
    this.#turns.wake();
  }

  /** What cannot wait any more does not wait for a look that only observes, once. */
  #hurry(): void {
    const urgent = this.#urgentWorks;
    if (urgent.every((work) => this.#urgent.has(work))) return;
    this.#urgent = new Set(urgent);
    this.#looks.giveUp();
  }

  get #urgentWorks(): readonly Work[] {
    return this.#works.filter((work) => isUrgent(this.#deps, work));
  }

  /** Something has happened at the exchange: a look is due now. */
  look(): void {
    this.#lookedMs = -Infinity;
    this.wake();
  }

  /** Looks once more, now, whether nothing of the bot's own is left. */
  async confirmFlat(): Promise<boolean> {
    this.#reconciled = false;
    this.#turns.wakeNow();
    await this.settled();
    return this.flat;
  }

  /** Resolves when no turn is under way. */
  async settled(): Promise<void> {
    await this.#turns.settled();
  }

  get #lookEveryMs(): number {
    const isHopeless = this.#works.every((work) => work.contradiction ?? work.dust);
    if (this.#upToDate && isHopeless) return UNKNOWN_LOOK_MS;
    if (this.#upToDate && this.#deps.isStreamed() && this.#works.every(isSettled))
      return STREAMED_LOOK_MS;
    return POLL_MS * Math.ceil(this.#deps.config().symbols.length / SYMBOLS_PER_POLL);
  }

  async #turnUnlessUrgent(): Promise<void> {
    this.#urgent = new Set(this.#urgentWorks);
    try {
      await this.#turn();
    } catch (error) {
      if (!(error instanceof LookGivenUp)) throw error;
      this.look();
    }
  }

  /** What is open comes first: nothing before it waits for candles, balances or other symbols. */
  async #turn(): Promise<void> {
    const prepared = this.#prepare();
    if (!this.#mayHold) await this.#looks.wait(Promise.allSettled([prepared]));
    if (this.isKnown) await this.#lookAfterWorks();
    else await this.#reconcile();
    if (this.#foreign.isDue && !this.#wantsExit()) await this.#lookForForeign();
    if (!this.#mayHold) await this.#waitFor(prepared);
    this.#proposals.catchUp();
    await this.#act();
    await this.#lookForFunding();
  }

  /** The exchange's time and the trading rules, which are waited for only once. */
  #prepare(): Promise<void> {
    const prepared = this.#deps.exchange.prepare([this.symbol]);
    prepared.then(
      () => (this.#withoutRules = undefined),
      (error: unknown) => {
        this.#withoutRules &&= failureOf(error);
        this.#unprepared = error;
      },
    );
    return prepared;
  }

  /** Without the trading rules nothing is opened; what is open, or closed and not yet over, is looked after all the same. */
  async #waitFor(prepared: Promise<void>): Promise<void> {
    try {
      await this.#looks.wait(prepared);
    } catch (error) {
      if (!(error instanceof LookGivenUp)) await this.#lookForFunding();
      throw error;
    }
  }

  /** Something is open, or the journal says that something may be. */
  get #mayHold(): boolean {
    const { openTrades = [], openIntents = [] } = this.#session ?? {};
    const remembered = [...openTrades, ...openIntents];
    return this.#works.length > 0 || remembered.some(({ symbol }) => symbol === this.symbol);
  }

  /** Takes up what is the bot's own and names what is not. Everything before the first decision. */
  async #reconcile(): Promise<void> {
    const session = this.#session;
    if (session !== undefined && !this.#adoptedSession) {
      const known = new Set([...this.#works, ...this.#settling].map((work) => work.entryId));
      const remembered = rememberedWork(session, this.symbol, this.#deps.monotonicMs());
      this.#works.push(...remembered.filter((work) => !known.has(work.entryId)));
      this.#adoptedSession = true;
    }
    await this.#advanceAll();
    await this.#lookForForeign();
    this.#reconciled = true;
    // One that came meanwhile (a new epoch) is for the next turn.
    if (this.#session === session) this.#session = undefined;
  }

  async #lookAfterWorks(): Promise<void> {
    const due = this.#deps.monotonicMs() - this.#lookedMs >= this.#lookEveryMs;
    if (this.#works.length > 0 && (due || this.#wantsExit())) await this.#advanceAll();
  }

  /** A state or a halt that came between two looks is followed at once. */
  #wantsExit(): boolean {
    const works = this.#works.filter((work) => (work.contradiction ?? work.dust) === undefined);
    for (const work of works) wantExitByState(this.#deps, work);
    return works.some((work) => work.exitWanted !== undefined && work.exit === undefined);
  }

  async #advanceAll(): Promise<void> {
    this.#lookedMs = this.#deps.monotonicMs();
    const before = this.#otherAccount;
    this.#otherAccount = this.#deps.otherAccount();
    for (const work of this.#works) {
      if (work.contradiction === before) work.contradiction = undefined;
      // What another account shows says nothing about the work, and nothing is sent there.
      if (this.#otherAccount !== undefined) work.contradiction = this.#otherAccount;
      else if (await advanceWork(this.#deps, work)) this.#close(work);
    }
  }

  /** In one step: a result is counted either as open or as closed, never as both. */
  #close(work: Work): void {
    this.#works = this.#works.filter((each) => each !== work);
    const { closedMs } = work.account;
    if (closedMs !== undefined) this.#foreign.positionEnded(closedMs);
    if (work.toldClosed || work.account.entered.isZero()) this.#realise(work);
    else this.#settling.push(work);
  }

  #realise(work: Work): void {
    if (work.counts) this.#deps.account.day.realise(work.account.result);
  }

  get #unsettled(): readonly Work[] {
    const beforeMs = this.#deps.monotonicMs() - FUNDING_LOOK_AGAIN_MS;
    return this.#settling.filter(({ accountedMs }) => accountedMs <= beforeMs);
  }

  /** After everything else: what is closed can wait. */
  async #lookForFunding(): Promise<void> {
    if (this.#deps.otherAccount() !== undefined) return;
    for (const work of this.#unsettled) {
      await accountForFills(this.#deps, work);
      if (work.account.open.isZero() && !work.toldClosed) continue;
      this.#settling = this.#settling.filter((each) => each !== work);
      if (work.toldClosed) this.#realise(work);
      else this.#works.push(work);
    }
  }

  async #lookForForeign(): Promise<void> {
    await this.#foreign.look(this.#works);
    const { sentence, seen } = this.#foreign;
    if (sentence === undefined || seen === undefined) return;
    // Only an id makes it the bot's own, and ids come from candles: without them it stays foreign until the next look.
    const orphan = findOrphan(this.#deps, seen, this.#proposals.openTimes);
    if (orphan === undefined || this.#works.some((work) => work.entryId === orphan.entryId)) return;
    const message = `${this.symbol}: took up what order ${orphan.entryId} opened`;
    this.#deps.record(eventRecord("adopted", message, this.#deps.nowMs()));
    this.#works.push(orphan);
    await this.#advanceAll();
    await this.#foreign.look(this.#works);
  }

  /** Acts on the newest candle only: a proposal that waited behind another is too old. */
  async #act(): Promise<void> {
    const proposed = this.#proposals.take();
    if (proposed === undefined) {
      // Beside everything else: only an entry needs to know how the day began.
      this.#openDay().catch((error: unknown) => this.#noteNoDay(error));
      return;
    }
    const config = this.#deps.config();
    const { enter, exit } = proposed.proposal;
    // Stop or target may have ended the work within this very candle.
    if (this.#works.length > 0 && (enter ?? exit) !== undefined) await this.#advanceAll();
    this.#wantExitBy(proposed);
    if (this.#works.some(({ exitWanted }) => exitWanted !== undefined)) await this.#advanceAll();
    if (this.#works.length === 0) {
      await this.#openDay();
      if (enter !== undefined)
        await this.#enter({ ...proposed, symbol: this.symbol, config, side: enter });
    }
    // Counted when it has been dealt with to the end, orders included.
    this.#deps.metrics.count("bot_candles_total");
  }

  #wantExitBy(proposed: ProposedCandle | undefined): void {
    for (const work of this.#works) {
      if (work.side !== proposed?.proposal.exit || work.exitWanted !== undefined) continue;
      work.exitWanted = "signal";
      const { note } = proposed.proposal;
      this.#deps.log.info("signal-exit", { symbol: this.symbol, note });
    }
  }

  async #openDay(): Promise<void> {
    await this.#deps.openDay(this.#proposals.lastCloseMs);
  }

  #noteNoDay(error: unknown): void {
    this.#deps.log.warn("no-day-baseline", { symbol: this.symbol, message: messageOf(error) });
  }

  async #enter(signal: EntrySignal): Promise<void> {
    this.#entering = true;
    try {
      const lookUpFirst = this.#sent.size === 0;
      const isSent = (id: string) => this.#sent.has(id);
      const wish = { ...signal, isSent, lookUpFirst };
      const result = await enterPosition(this.#deps, wish, {
        // From before the request leaves, its work counts; only a definite refusal takes it back.
        add: (work) => this.#follow(work),
        remove: (work) => (this.#works = this.#works.filter((each) => each !== work)),
      });
      if (result.kind === "refused") this.#noteRefusal(signal, result.refusal);
      if (result.kind === "foreign") await this.#lookForForeign();
    } finally {
      this.#entering = false;
    }
    if (this.#works.length > 0) await this.#advanceAll();
  }

  #follow(work: Work): void {
    this.#works.push(work);
    this.#sent.add(work.entryId);
    const [oldest] = this.#sent;
    if (this.#sent.size > SENT_MAX && oldest !== undefined) this.#sent.delete(oldest);
  }

  #noteRefusal(signal: EntrySignal, refusal: Refusal): void {
    this.#deps.metrics.count("bot_entries_refused_total", { reason: refusal.reason });
    this.#deps.record(refusalEvent(signal, refusal, this.#deps.nowMs()));
  }

  #turnEnded(error: unknown): void {
    this.#failure = error === undefined ? undefined : this.#noteFailure("turn-failed", error);
    // A turn that only lacked the rules has looked at everything else.
    if (this.#turns.failures >= FAILURES_TO_DOUBT && error !== this.#unprepared)
      this.#reconciled = false;
    this.#changed();
  }

  #candlesEnded(error: unknown): void {
    this.#withoutCandles = error === undefined ? undefined : this.#noteFailure("no-candles", error);
    // Also for an orphan, whose id the candles give.
    if (error === undefined && this.#foreign.sentence !== undefined) this.#foreign.lookSoon();
    this.wake();
    this.#changed();
  }

  #noteFailure(event: string, error: unknown): Refusal {
    this.#deps.metrics.count("bot_turn_failures_total");
    this.#deps.log.warn(event, { symbol: this.symbol, message: messageOf(error) });
    // A fault of the bot itself, or a strategy that throws.
    if (!isExchangeFault(error)) this.#deps.account.noteError();
    return failureOf(error);
  }
}

/** Nothing of the bot's own is under way, and its stop is at the exchange. */
function isSettled(work: Work): boolean {
  const { entry, exit, exitWanted, contradiction, vanishedMs } = work;
  if (entry !== "over" || exit !== undefined || exitWanted !== undefined) return false;
  return (
    contradiction === undefined && vanishedMs === undefined && heldOf(work)?.stopLoss !== undefined
  );
}
