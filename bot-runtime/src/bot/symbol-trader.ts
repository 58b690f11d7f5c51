import type { BotConfig, SessionAnswer } from "@tradingbots/crds";
import { type Candle, type HeldPosition, isExchangeFault } from "../exchange/exchange.ts";
import type { Amount } from "../money.ts";
import type { Refusal } from "../risk/gate.ts";
import type { CandleSeries, ProposedCandle } from "./candle-series.ts";
import {
  enterPosition,
  type EntryResult,
  type EntrySignal,
  notTraded,
  refusalEvent,
} from "./enter-position.ts";
import { failureOf } from "./failure.ts";
import { ForeignHoldings } from "./foreign-holdings.ts";
import { hearNewestClose } from "./hear-newest-close.ts";
import { messageOf } from "./log.ts";
import { NextEntryId } from "./next-entry-id.ts";
import { LookGivenUp, PatientLooks } from "./patient-looks.ts";
import { Proposals } from "./proposals.ts";
import { findOrphan } from "./reconcile.ts";
import { eventRecord } from "./records.ts";
import { Requests } from "./requests.ts";
import { UNPROTECTED_SECONDS } from "./see-position.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { Turns } from "./turns.ts";
import type { Work } from "./work.ts";
import { Works } from "./works.ts";

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
/** Whatever a turn waits for has a limit of seconds: one that takes longer than this is told. */
const LONG_TURN_MS = 60_000;
/** Longest pause after failed turns: something open is not left alone for long. */
const PAUSE_MAX_MS = { open: 2_000, flat: 15_000 };
/** After so many failed turns in a row what was known may be wrong. */
const FAILURES_TO_DOUBT = 4;

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
  readonly #works: Works;
  readonly #requests: Requests;
  readonly #entryIds: NextEntryId;
  /** Those that could not wait when the turn began. */
  #urgent: ReadonlySet<Work> = new Set();
  #session: SessionAnswer | undefined;
  #adoptedSession = false;
  #reconciled = false;
  #entering = false;
  #lookedMs = -Infinity;
  /** What each candle was the first to want closed: another may come while the exit is under way. */
  readonly #closedBy = new WeakMap<ProposedCandle, Set<Work>>();
  /** Why the trading rules are not known; undefined once they are. */
  #withoutRules: Refusal | undefined = RULES_NOT_READ;
  /** What the last question for them that failed was answered with. */
  #unprepared: unknown;
  #failure: Refusal | undefined;
  #withoutCandles: Refusal | undefined;

  constructor(symbol: string, deps: Omit<TraderDeps, "looks">, changed: () => void) {
    const { monotonicMs } = deps;
    this.symbol = symbol;
    this.#looks = new PatientLooks(deps.exchange);
    this.#deps = { ...deps, looks: this.#looks };
    this.#changed = changed;
    this.#entryIds = new NextEntryId(symbol);
    this.#foreign = new ForeignHoldings(symbol, this.#deps);
    this.#works = new Works(symbol, this.#deps, (work) => this.#foreign.positionEnded(work));
    this.#requests = new Requests(symbol, this.#deps, this.#works);
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
    return this.#works.open;
  }

  get reconciled(): boolean {
    return this.#reconciled;
  }

  get foreign(): string | undefined {
    return this.#foreign.sentence;
  }

  get unusable(): Refusal | undefined {
    return (
      this.#hanging ??
      this.positionUnknown ??
      this.#works.exitWaits ??
      this.#works.dust ??
      this.#untraded ??
      this.#failure ??
      this.#withoutRules ??
      this.#withoutCandles
    );
  }

  /** How long the turn under way has taken so far, ms; 0 without one. */
  get turnAgeMs(): number {
    return this.#turns.ageMs;
  }

  get #hanging(): Refusal | undefined {
    if (this.turnAgeMs < LONG_TURN_MS) return undefined;
    const message = `${this.symbol}: what the bot began more than a minute ago has not ended: until it has, or the process is replaced, nothing is opened and what is open is not looked after`;
    return { reason: "TurnHangs", message };
  }

  /** Why it is not known whether the bot holds something here: nothing is opened, and the bot is not flat. */
  get positionUnknown(): Refusal | undefined {
    return this.#works.unexplained ?? this.#works.contradiction ?? this.#foreign.mayBeOwn;
  }

  /** It lasts: whatever else fails there, fails for this. */
  get #untraded(): Refusal | undefined {
    const isUntraded = this.#reconciled && this.#hasNoContract;
    return isUntraded ? notTraded(this.#deps, this.symbol) : undefined;
  }

  /** The exchange has answered, and does not list the symbol as trading. */
  get #hasNoContract(): boolean {
    const { exchange } = this.#deps;
    return this.#withoutRules === undefined && exchange.market(this.symbol) === undefined;
  }

  /** No candle of it is wanted: nothing can be opened, and nothing is open. */
  get needsNoCandles(): boolean {
    return this.#hasNoContract && !this.#mayHold;
  }

  get positions(): readonly HeldPosition[] {
    return this.#works.positions;
  }

  /** Result of the works that are not over, realised and unrealised. */
  get standing(): Amount {
    return this.#works.standing;
  }

  /** Whether `standing` is all that there is: what the journal remembers of the symbol has been looked at. */
  get isKnown(): boolean {
    return this.#reconciled && this.#session === undefined;
  }

  /** Nothing of the bot's own at the exchange, as just seen, and nothing about to be sent. */
  get flat(): boolean {
    return this.#upToDate && this.#works.areOver && this.#foreign.mayBeOwn === undefined;
  }

  /** What the trader knows is all that there is to know. */
  get #upToDate(): boolean {
    return this.isKnown && !this.#entering;
  }

  /** Nobody else answers what was asked of it, should this process end now. */
  get owesAnswers(): boolean {
    return this.#requests.areUnanswered;
  }

  /** An entry may still fill, or it is not known whether one may. */
  get entryOpen(): boolean {
    return !this.#upToDate || this.#works.areEntering;
  }

  /** No turn is under way, and nothing that would begin one. */
  get idle(): boolean {
    return this.#turns.idle && this.#proposals.idle;
  }

  /** Every open position has its stop at the exchange. */
  get protected(): boolean {
    return this.#works.areProtected;
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

  /** A candle in progress: what was missed before it is fetched now, not when it closes. */
  candleSeen(candle: Candle, sentMs: number): void {
    if (this.#proposals.see(candle, sentMs)) this.wake();
  }

  /** Called several times a second: wakes the trader when something is to be looked at. */
  tick(): void {
    this.#works.noteNaked();
    // It may have waited for the exchange's time.
    if (this.#adoptedSession && this.#requests.take()) this.wake();
    // What was asked may wait for the exchange's time, which only a turn asks for.
    const due = !this.isKnown || !this.#works.isEmpty || this.owesAnswers;
    if ((due && this.#isLate) || this.#foreign.isDue || this.#works.isLateDue) this.wake();
    else this.#turns.resume();
  }

  /** Another configuration is in force: what it asks to be closed or cancelled begins within this call. */
  configured(): void {
    if (this.#adoptedSession) this.#requests.take();
    this.wake();
  }

  wake(): void {
    this.#hurry();
    this.#turns.wake();
  }

  /** What cannot wait any more does not wait for a look that only observes, once. */
  #hurry(): void {
    const { urgent } = this.#works;
    if (urgent.every((work) => this.#urgent.has(work))) return;
    this.#urgent = new Set(urgent);
    this.#looks.giveUp();
  }

  /** Something has happened at the exchange: a look is due now. */
  look(): void {
    this.#lookedMs = -Infinity;
    // It may be about an entry that nothing has spoken for so far.
    if (this.#works.lost.length > 0) this.#foreign.lookSoon();
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

  get #isLate(): boolean {
    return this.#deps.monotonicMs() - this.#lookedMs >= this.#lookEveryMs;
  }

  get #lookEveryMs(): number {
    if (this.#upToDate && this.#works.areHopeless) return UNKNOWN_LOOK_MS;
    if (this.#upToDate && this.#deps.isStreamed() && this.#works.areSettled)
      return STREAMED_LOOK_MS;
    return POLL_MS * Math.ceil(this.#deps.config().symbols.length / SYMBOLS_PER_POLL);
  }

  async #turnUnlessUrgent(): Promise<void> {
    this.#urgent = new Set(this.#works.urgent);
    try {
      await this.#turn();
    } catch (error) {
      if (!(error instanceof LookGivenUp)) throw error;
      this.look();
    }
  }

  /** What is open comes first: nothing before it waits for candles, balances or other symbols. */
  async #turn(): Promise<void> {
    const { prepared, noted } = this.#prepare();
    if (!this.#mayHold) {
      // Candles come beside everything else, on a connection of their own.
      if (!this.#hasNoContract) this.#proposals.catchUp();
      await this.#looks.wait(noted);
    }
    if (this.isKnown) await this.#lookAfterWorks();
    else await this.#reconcile();
    const isToLook = this.#foreign.isDue || this.#requests.areDoubtful;
    if (isToLook && !this.#works.wantExits()) await this.#lookForForeign();
    if (!this.#mayHold) await this.#waitFor(prepared);
    if (!this.needsNoCandles) this.#proposals.catchUp();
    // What the journal has just told of is taken up first.
    if (this.isKnown) await this.#requests.order((signal) => this.#enterToday(signal));
    await this.#act();
    this.#settleRequests();
    // After everything else: what is closed can wait.
    await this.#works.lookForLate();
    this.#makeNextEntryId();
  }

  /** The exchange's time and the trading rules, which are waited for only once; `noted` never rejects. */
  #prepare() {
    const prepared = this.#deps.exchange.prepare([this.symbol]);
    const noted = prepared.then(
      () => (this.#withoutRules = undefined),
      (error: unknown) => {
        this.#withoutRules &&= failureOf(error);
        this.#unprepared = error;
      },
    );
    return { prepared, noted };
  }

  /** Without the trading rules nothing is opened; what is open, or closed and not yet over, is looked after all the same. */
  async #waitFor(prepared: Promise<void>): Promise<void> {
    try {
      await this.#looks.wait(prepared);
    } catch (error) {
      if (!(error instanceof LookGivenUp)) await this.#works.lookForLate();
      throw error;
    }
  }

  /** Another pod of the bot has taken over: what its strategy says counts, not this one's. */
  get #isReplaced(): boolean {
    return this.#deps.journal.standing === "stale";
  }

  /** Something is open, or the journal says that something may be. */
  get #mayHold(): boolean {
    const { openTrades = [], openIntents = [] } = this.#session ?? {};
    const remembered = [...openTrades, ...openIntents];
    return !this.#works.isEmpty || remembered.some(({ symbol }) => symbol === this.symbol);
  }

  #settleRequests(): void {
    this.#requests.settle(
      (sinceMs) =>
        this.isKnown && this.positionUnknown === undefined && this.#foreign.isSeenSince(sinceMs),
    );
  }

  /** Takes up what is the bot's own and names what is not. Everything before the first decision. */
  async #reconcile(): Promise<void> {
    const session = this.#session;
    if (session !== undefined && !this.#adoptedSession) {
      this.#works.takeUp(session);
      this.#adoptedSession = true;
      this.#requests.take();
      this.#hearNewestClose();
    }
    await this.#advanceAll();
    await this.#lookForForeign();
    this.#reconciled = true;
    // One that came meanwhile (a new epoch) is for the next turn.
    if (this.#session === session) this.#session = undefined;
  }

  async #lookAfterWorks(): Promise<void> {
    const isDue = this.#isLate || this.#works.wantExits();
    if (!this.#works.isEmpty && isDue) await this.#advanceAll();
  }

  async #advanceAll(): Promise<void> {
    this.#lookedMs = this.#deps.monotonicMs();
    await this.#works.advance();
    this.#settleRequests();
  }

  async #lookForForeign(): Promise<void> {
    await this.#lookBesideWorks();
    // What is there may be of an entry that is shown at last.
    const unexplained = this.#foreign.sentence === undefined ? undefined : this.#foreign.seen;
    if (this.#works.reopenLost(unexplained)) {
      await this.#advanceAll();
      await this.#lookBesideWorks();
    }
    const { sentence, seen } = this.#foreign;
    // Whoever has taken over looks after it, by a newer configuration.
    if (sentence === undefined || seen === undefined || this.#isReplaced) return;
    // Only an id makes it the bot's own, and ids come from candles: without them it stays foreign until the next look.
    const orphan = findOrphan(this.#deps, seen, this.#proposals.openTimes);
    if (orphan === undefined || !this.#works.adopt(orphan)) return;
    const message = `${this.symbol}: took up what order ${orphan.entryId} opened`;
    this.#deps.record(eventRecord("adopted", message, this.#deps.nowMs()));
    this.#hearNewestClose();
    await this.#advanceAll();
    await this.#foreign.look(this.works);
  }

  async #lookBesideWorks(): Promise<void> {
    try {
      await this.#foreign.look(this.works);
    } catch (error) {
      if (!this.#isOfNoContract(error)) throw error;
    }
  }

  /** An exchange refuses questions about what it never listed: nothing is held there. */
  #isOfNoContract(error: unknown): boolean {
    const isRefused = isExchangeFault(error) && error.fault === "Refused";
    return isRefused && this.#hasNoContract && !this.#mayHold;
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
    // Nobody proposes it again: it must not be lost with a look that fails.
    this.#wantExitBy(proposed);
    // Stop or target may have ended the work within this very candle.
    if (!this.#works.isEmpty && (enter ?? exit) !== undefined) await this.#advanceAll();
    if (this.works.some(({ exitWanted }) => exitWanted !== undefined)) await this.#advanceAll();
    if (this.#works.isEmpty) {
      if (enter === undefined || this.#hasClosed(proposed)) await this.#openDay();
      else await this.#enterToday({ ...proposed, ...this.#orderOf(proposed, config), side: enter });
    }
    // Counted when it has been dealt with to the end, orders included.
    this.#deps.metrics.count("bot_candles_total");
  }

  #orderOf({ candle }: ProposedCandle, config: BotConfig) {
    const entryId = this.#entryIds.of(config, candle.openTimeMs);
    return { symbol: this.symbol, entryId, config };
  }

  /** While nothing waits for it. The next candle opens when the newest one closed. */
  #makeNextEntryId(): void {
    const { lastCloseMs } = this.#proposals;
    if (lastCloseMs !== undefined) this.#entryIds.of(this.#deps.config(), lastCloseMs);
  }

  /**
   * A candle whose signal closes a position opens none: the backtest's rule (backtest/backtest.ts). What stop or target had ended
   * before is not closed by it.
   */
  #hasClosed(proposed: ProposedCandle): boolean {
    return [...(this.#closedBy.get(proposed) ?? [])].some(
      ({ exit, account }) => exit !== undefined || account.lastExit?.cause === "order",
    );
  }

  #wantExitBy(proposed: ProposedCandle | undefined): void {
    if (proposed === undefined || this.#isReplaced) return;
    const { note } = proposed.proposal;
    const works = this.works.filter((work) => isToCloseBy(proposed, work));
    const known = this.#closedBy.get(proposed) ?? [];
    this.#closedBy.set(proposed, new Set([...known, ...works]));
    for (const work of works) {
      work.exitWanted = "signal";
      this.#deps.log.info("signal-exit", { symbol: this.symbol, note });
    }
  }

  #hearNewestClose(): void {
    if (!this.#isReplaced) hearNewestClose(this.#deps, this.works, this.#proposals);
  }

  async #openDay(): Promise<void> {
    await this.#deps.openDay(this.#proposals.lastCloseMs);
  }

  #noteNoDay(error: unknown): void {
    this.#deps.log.warn("no-day-baseline", { symbol: this.symbol, message: messageOf(error) });
  }

  async #enterToday(signal: EntrySignal): Promise<EntryResult> {
    await this.#openDay();
    const result = await this.#enter(signal);
    if (!this.#works.isEmpty) await this.#advanceAll();
    return result;
  }

  async #enter(signal: EntrySignal): Promise<EntryResult> {
    this.#entering = true;
    try {
      const result = await enterPosition(this.#deps, signal, this.#works);
      if (result.kind === "refused") this.#noteRefusal(signal, result.refusal);
      if (result.kind === "foreign") await this.#lookForForeign();
      return result;
    } finally {
      this.#entering = false;
    }
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
    // A newer candle may come before a turn takes what the fetched one proposed.
    this.#wantExitBy(this.#proposals.newest);
    this.#hearNewestClose();
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

/** A candle that was heard late closes nothing that somebody asked for, and opened, after its close. */
export function isToCloseBy(
  { proposal, missedCloseMs }: Pick<ProposedCandle, "proposal" | "missedCloseMs">,
  work: Work,
): boolean {
  const isNewer =
    missedCloseMs !== undefined &&
    work.byRequest &&
    (work.account.openedMs ?? Infinity) >= missedCloseMs;
  return work.side === proposal.exit && work.exitWanted === undefined && !isNewer;
}
