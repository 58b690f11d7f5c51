import {
  type BotConfig,
  type BotTermination,
  capability,
  type RecordBody,
  type SessionAnswer,
} from "@tradingbots/crds";
import type { Clock } from "../clock.ts";
import type { Candle, Exchange } from "../exchange/exchange.ts";
import type { KlineStream, StreamedCandle } from "../exchange/kline-stream.ts";
import { add, type Amount, subtract, ZERO_AMOUNT } from "../money.ts";
import type { OrderStream } from "../exchange/order-stream.ts";
import type { JournalClient } from "../journal/journal-client.ts";
import { positionSize } from "../orders/sizing.ts";
import { EventLoopWatch } from "../risk/event-loop-watch.ts";
import { blocked, type Refusal, type SizedEntry, type Standing } from "../risk/gate.ts";
import { KeyWatch } from "../risk/key-watch.ts";
import { Account } from "./account.ts";
import { recordTrade } from "./account-for-fills.ts";
import { CandleSeries } from "./candle-series.ts";
import { withKnownParts } from "./entry-terms.ts";
import { registerGauges } from "./gauges.ts";
import { type Log, messageOf } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { eventRecord } from "./records.ts";
import { buildReport, materialPart } from "./report.ts";
import { RequestLog } from "./request-log.ts";
import { SymbolTrader } from "./symbol-trader.ts";
import type { TraderDeps } from "./trader-deps.ts";

/** How often the bot looks whether something is due. */
const TICK_MS = 100;
/** A report at least this often: without a fresh one the operator takes the bot for not flat. */
const REPORT_EVERY_MS = 10_000;
/** What closes or opens the gate by the mere passing of time (lease, age of data, clock) is told within this time. */
const NOTICE_EVERY_MS = 500;
const BALANCE_EVERY_MS = 30_000;
const EQUITY_EVERY_MS = 60_000;
/** A bot that ends for good gives the journal this long to take its last records. */
const LAST_FLUSH_MS = 60_000;
/**
 * The exchange may answer each question late and not too late, and a first look at a position that is a year old asks fifty: a new
 * process would begin that anew. What takes longer than this will not end.
 */
const HOPELESS_TURN_MS = 300_000;
/** Within the pod's grace period of 30 s: one request to the exchange (8 s), then the journal. */
const SETTLE_ON_STOP_MS = 12_000;
const FLUSH_ON_STOP_MS = 5_000;

/** Stands as long as the journal has granted no session: a symbol that only it remembers has not been looked at. */
const NO_MEMORY: Refusal = {
  reason: "JournalUnavailable",
  message:
    "the journal has not answered yet: only with its memory is it known that nothing is open",
};

export interface BotDeps {
  readonly config: BotConfig;
  readonly exchange: Exchange;
  readonly journal: Pick<
    JournalClient,
    "standing" | "epoch" | "leaseRemainingMs" | "keepLeaseFor" | "appendIntent" | "record" | "flush"
  >;
  readonly stream: Pick<KlineStream, "follow" | "ageMs" | "close" | "start">;
  /** Of the account's own orders and positions; undefined where there is none. */
  readonly orderStream?: Pick<OrderStream, "alive" | "start" | "close"> | undefined;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
}

/** One bot: its symbols' traders, the account that they share, and what it reports of itself. */
export class Bot {
  readonly #deps: BotDeps;
  readonly #account: Account;
  readonly #key: KeyWatch;
  readonly #loop: EventLoopWatch;
  readonly #traders = new Map<string, SymbolTrader>();
  readonly #finished = Promise.withResolvers<BotTermination>();
  readonly #lastCandles = new Map<string, Candle>();
  readonly #requests: RequestLog;
  /** Per symbol the newest outlook, and what it was reckoned from. */
  readonly #outlooks = new Map<string, { parts: readonly object[]; entry: SizedEntry }>();
  #config: BotConfig;
  #unsupported: Refusal | undefined;
  #restartNeeded: Refusal | undefined;
  #unread: Refusal | undefined;
  #invalidStrategy: Refusal | undefined;
  #session: SessionAnswer | undefined;
  /** The newest generation that this process has seen to change the settings. */
  #enabledBy: number | undefined;
  #stopTicking: () => void = () => undefined;
  #lastTradeAt: string | undefined;
  // All by the clock that nobody sets.
  #reported = { material: "", atMs: -Infinity };
  #noticedMs = -Infinity;
  #balanceMs = -Infinity;
  #equityMs = -Infinity;
  #openingDay: Promise<void> | undefined;
  #finishing = false;
  #stopping: Refusal | undefined;

  constructor(deps: BotDeps) {
    this.#deps = deps;
    this.#config = deps.config;
    this.#account = new Account({
      exchange: deps.exchange,
      record: (body) => this.#record(body),
      now: () => new Date(deps.clock.nowMs()),
    });
    this.#requests = new RequestLog({
      record: (body) => this.#record(body),
      nowMs: deps.clock.nowMs,
    });
    this.#loop = new EventLoopWatch(deps.clock);
    this.#key = new KeyWatch({
      exchange: deps.exchange,
      config: () => this.#config,
      clock: deps.clock,
      log: deps.log,
      changed: () => this.#report(false),
    });
    registerGauges(deps.metrics, {
      leaseRemainingMs: () => deps.journal.leaseRemainingMs(),
      consecutiveErrors: () => this.#account.consecutiveErrors,
      halts: () => this.#config.halts.length,
      clock: () => deps.exchange.clock(),
      longestGapMs: () => this.#loop.longestMs,
      candleAgesMs: () => this.#config.symbols.map((symbol) => [symbol, deps.stream.ageMs(symbol)]),
      turnAgesMs: () =>
        [...this.#traders.values()].map(({ symbol, turnAgeMs }) => [symbol, turnAgeMs]),
      unexplainedEquity: () => this.#unexplainedEquity,
      blocked: () => this.#blocked,
    });
  }

  /** Resolves when the bot's state asks it to end and nothing of its own is left at the exchange. */
  get finished(): Promise<BotTermination> {
    return this.#finished.promise;
  }

  /** The exchange has been asked about every symbol, or there is a reason not to. */
  get ready(): boolean {
    if (this.#unsupported !== undefined) return true;
    return [...this.#traders.values()].every((trader) => trader.reconciled);
  }

  /** Every symbol is looked after; if not, only another process helps. */
  get alive(): boolean {
    return [...this.#traders.values()].every(({ turnAgeMs }) => turnAgeMs < HOPELESS_TURN_MS);
  }

  start(): void {
    const { mode, exchange, symbols, timeframe } = this.#config;
    const what = `${mode} on ${exchange}: ${symbols.join(", ")} at ${timeframe}`;
    this.#record(eventRecord("started", what, this.#deps.clock.nowMs()));
    this.#useConfig(this.#config, true);
    this.#loop.tick();
    this.#key.tick();
    this.#deps.stream.start();
    this.#deps.orderStream?.start();
    this.#stopTicking = this.#deps.clock.every(TICK_MS, () => this.#tick());
  }

  /** A changed configuration takes effect at once, within this call, for every entry not yet sent. */
  applyConfig(told: BotConfig): void {
    const before = this.#config;
    const config = withKnownParts(before, { ...told, ...lastingPart(this.#deps.config) });
    this.#restartNeeded = restartNeeded(this.#deps.config, told);
    this.#config = config;
    if (areSettingsNew(before, config)) {
      this.#account.clearErrors();
      this.#enabledBy = config.generation;
    }
    const { symbols, timeframe, strategy } = config;
    const old = { symbols: before.symbols, timeframe: before.timeframe, strategy: before.strategy };
    const series = JSON.stringify({ symbols, timeframe, strategy }) !== JSON.stringify(old);
    this.#useConfig(config, series);
    this.#deps.log.info("config-applied", {
      generation: config.generation,
      state: config.state,
      halts: config.halts.map((halt) => halt.name),
    });
  }

  /** Why the newest configuration cannot be read, which may hold a halt; undefined once it can. */
  configUnread(message: string | undefined): void {
    this.#unread = message === undefined ? undefined : unreadConfig(message);
  }

  /** The journal granted an epoch: what it remembers is taken up. */
  sessionGranted(session: SessionAnswer): void {
    this.#session = session;
    const { generation, requests } = this.#config;
    // Where there are requests, nobody knows whether they or settings moved the generation while no process ran.
    const isAsked = requests.length + session.requests.length > 0;
    this.#account.remember(session, this.#enabledBy ?? (isAsked ? 0 : generation));
    this.#requests.remember(session.requests);
    const remembered = [...session.openTrades, ...session.openIntents];
    // One that left the configuration is managed by the strategy as well, to its exit.
    for (const { symbol } of remembered) {
      if (!this.#traders.has(symbol)) this.#startSeries(symbol, this.#traderFor(symbol));
    }
    this.#followCandles();
    for (const trader of this.#traders.values()) trader.adopt(session);
    this.#refuseUntraded();
    this.#report(false);
  }

  candleArrived({ symbol, candle, closed, sentAtMs }: StreamedCandle): void {
    this.#lastCandles.set(symbol, candle);
    if (closed) this.#traders.get(symbol)?.candleClosed(candle, this.#sentBy(sentAtMs));
    else this.#traders.get(symbol)?.candleSeen(candle, this.#sentBy(sentAtMs));
  }

  /** A time of the exchange's clock by the one that nobody sets. While its clock is not known nothing is opened anyway. */
  #sentBy(exchangeMs: number): number {
    const { clock, exchange } = this.#deps;
    const lateMs = clock.nowMs() - (exchange.clock()?.skewMs ?? 0) - exchangeMs;
    return clock.monotonicMs() - Math.max(lateMs, 0);
  }

  /** Something happened at the exchange to the symbol, or undefined: to any. */
  hinted(symbol: string | undefined): void {
    if (symbol !== undefined) this.#traders.get(symbol)?.look();
    else for (const trader of this.#traders.values()) trader.look();
  }

  /** Ends the process's part in bounded time; positions stay as they are, with their stops at the exchange. */
  async stop(reason: string): Promise<BotTermination> {
    this.#stopping = { reason: "Stopping", message: "the pod is being stopped" };
    this.#stopTicking();
    this.#deps.stream.close();
    this.#deps.orderStream?.close();
    const settled = Promise.all([...this.#traders.values()].map((trader) => trader.settled()));
    await Promise.race([settled, this.#deps.clock.sleep(SETTLE_ON_STOP_MS)]);
    this.#record(eventRecord("ended", reason, this.#deps.clock.nowMs()));
    this.#report(true);
    return this.#termination(reason, await this.#deps.journal.flush(FLUSH_ON_STOP_MS));
  }

  /** Flat is who holds nothing and has told all: what the journal has not heard, only another pod can tell it. */
  #termination(reason: string, isTold: boolean): BotTermination {
    const { epoch } = this.#deps.journal;
    const said = this.#session === undefined ? `${reason}; ${NO_MEMORY.message}` : reason;
    return { flat: isTold && this.#flat, epoch, reason: said };
  }

  #useConfig(config: BotConfig, newSeries: boolean): void {
    const { exchange, symbols } = config;
    const support = capability(exchange, symbols);
    this.#unsupported = support.supported
      ? undefined
      : { reason: "Unsupported", message: support.message };
    for (const symbol of symbols) {
      if (capability(exchange, [symbol]).supported) this.#traderFor(symbol);
    }
    if (newSeries) {
      this.#invalidStrategy = undefined;
      for (const [symbol, trader] of this.#traders) this.#startSeries(symbol, trader);
    }
    this.#followCandles();
    for (const trader of this.#traders.values()) trader.configured();
    this.#refuseUntraded();
    this.#report(false);
  }

  /** Nobody else answers what is asked of a symbol that the bot neither trades nor manages to its exit. */
  #refuseUntraded(): void {
    if (!this.#requests.isRemembered) return;
    for (const request of [...this.#config.requests, ...this.#requests.begun]) {
      const { symbol } = request;
      if (this.#traders.has(symbol)) continue;
      const message = `the bot does not trade ${symbol}, and holds nothing there`;
      this.#requests.end(request, { status: "refused", reason: "SymbolNotTraded", message });
    }
  }

  #followCandles(): void {
    const { timeframe } = this.#config;
    const followed = [...this.#traders.values()].flatMap(({ symbol, needsNoCandles }) =>
      needsNoCandles ? [] : [{ symbol, timeframe }],
    );
    this.#deps.stream.follow(followed);
  }

  #startSeries(symbol: string, trader: SymbolTrader): void {
    const { timeframe, strategy } = this.#config;
    const fetchCandles = this.#deps.exchange.candles;
    try {
      trader.restartSeries(new CandleSeries({ symbol, timeframe, strategy }, fetchCandles));
    } catch (error) {
      this.#invalidStrategy = { reason: "InvalidStrategy", message: messageOf(error) };
    }
  }

  #traderFor(symbol: string): SymbolTrader {
    const known = this.#traders.get(symbol);
    if (known !== undefined) return known;
    const trader = new SymbolTrader(symbol, this.#traderDeps(), () => {
      this.#followCandles();
      this.#report(false);
    });
    this.#traders.set(symbol, trader);
    if (this.#session !== undefined) trader.adopt(this.#session);
    return trader;
  }

  #traderDeps(): Omit<TraderDeps, "looks"> {
    const { exchange, journal, metrics, log, clock } = this.#deps;
    return {
      exchange,
      journal,
      metrics,
      log,
      account: this.#account,
      requests: this.#requests,
      record: (body) => this.#record(body),
      config: () => this.#config,
      standing: (symbol) => this.#standing(symbol),
      otherAccount: () => this.#key.otherAccount,
      openDay: (closeMs) => this.#openDay(closeMs),
      isStreamed: () => this.#deps.orderStream?.alive === true,
      nowMs: clock.nowMs,
      monotonicMs: clock.monotonicMs,
    };
  }

  #standing(symbol: string): Standing {
    const trader = this.#traders.get(symbol);
    const { day } = this.#account;
    return {
      config: this.#config,
      symbol,
      symbolTraded: this.#config.symbols.includes(symbol),
      journal: this.#deps.journal.standing,
      leaseRemainingMs: this.#deps.journal.leaseRemainingMs(),
      key: this.#key.refusal,
      reconciled: trader?.reconciled === true,
      foreign: trader?.foreign,
      unusable:
        this.#stopping ??
        this.#unread ??
        this.#restartNeeded ??
        this.#unsupported ??
        this.#invalidStrategy ??
        trader?.unusable,
      consecutiveErrors: this.#account.consecutiveErrors,
      dataAgeMs: this.#deps.stream.ageMs(symbol),
      clock: this.#deps.exchange.clock(),
      stalledMs: this.#loop.stalledMs,
      dayBaseline: day.baseline,
      dayResult: day.result(this.#standingResult),
    };
  }

  /** What an entry would be like now. */
  #outlook(symbol: string): SizedEntry | undefined {
    if (this.#traders.get(symbol)?.reconciled !== true) return undefined;
    const { balance } = this.#account;
    const { risk } = this.#config;
    const lastPrice = this.#lastCandles.get(symbol)?.close;
    const market = this.#deps.exchange.market(symbol);
    if (balance === undefined || market === undefined || lastPrice === undefined) return undefined;
    const known = this.#outlooks.get(symbol);
    const parts = [balance, risk, lastPrice, market] as const;
    // Asked for twice a second: reckoned when one of its parts is another.
    if (known !== undefined && parts.every((part, index) => part === known.parts[index]))
      return known.entry;
    const { equity } = balance;
    const size = positionSize({ ...risk, equity, price: lastPrice, market });
    const entry = { size, equity, market };
    this.#outlooks.set(symbol, { parts, entry });
    return entry;
  }

  /** What all open trades stand at. */
  get #standingResult(): Amount {
    return [...this.#traders.values()].map((trader) => trader.standing).reduce(add, ZERO_AMOUNT);
  }

  /**
   * Deposits, trade by hand and the account's other bots are in the balance as well, so it blocks nothing: on an account that only
   * this bot trades on it is zero while nothing is open, and what is found to be missing from the ledger shows here.
   */
  get #unexplainedEquity(): Amount | undefined {
    const { balance, day } = this.#account;
    if (balance === undefined || day.baseline === undefined) return undefined;
    return subtract(subtract(balance.equity, day.baseline), day.result(this.#standingResult));
  }

  async #openDay(closeMs: number | undefined): Promise<void> {
    const { day } = this.#account;
    if (closeMs !== undefined) day.see(closeMs, () => this.#standingResult);
    if (!day.isDue || !this.#isEveryTradeKnown) return;
    this.#openingDay ??= this.#account
      .openDay(() => this.#standingResult)
      .finally(() => (this.#openingDay = undefined));
    await this.#openingDay;
  }

  /** A symbol that cannot be looked at holds the day up only if something may be open there. */
  get #isEveryTradeKnown(): boolean {
    const { openTrades = [], openIntents = [] } = this.#session ?? {};
    const remembered = new Set([...openTrades, ...openIntents].map(({ symbol }) => symbol));
    return [...this.#traders].every(
      ([symbol, { isKnown, works }]) => isKnown || (works.length === 0 && !remembered.has(symbol)),
    );
  }

  #tick(): void {
    this.#watchLoop();
    this.#key.tick();
    for (const [symbol, trader] of this.#traders) {
      trader.tick();
      // It left the configuration and has been managed to its end. One in a turn may be sending, and dust may cease to be dust.
      const ended = trader.flat && trader.idle && trader.works.length === 0;
      if (!ended || trader.owesAnswers || this.#config.symbols.includes(symbol)) continue;
      this.#traders.delete(symbol);
      // Should the symbol come back, what was open when this process started is not taken up a second time.
      this.#session = this.#session && withoutSymbol(this.#session, symbol);
    }
    const now = this.#deps.clock.monotonicMs();
    if (this.#traders.size > 0 && now - this.#balanceMs >= BALANCE_EVERY_MS) {
      this.#balanceMs = now;
      void this.#lookAtBalance();
    }
    if (now - this.#noticedMs >= NOTICE_EVERY_MS) {
      this.#noticedMs = now;
      this.#report(now - this.#reported.atMs >= REPORT_EVERY_MS);
    }
    if (this.#config.state !== "Running" && !this.#finishing) void this.#finishWhenFlat();
  }

  #watchLoop(): void {
    const stalledMs = this.#loop.tick();
    if (stalledMs === undefined) return;
    this.#deps.metrics.count("bot_event_loop_stalls_total");
    this.#deps.log.warn("stalled", { forMs: Math.round(stalledMs) });
  }

  async #lookAtBalance(): Promise<void> {
    try {
      await this.#account.refreshBalance();
      const now = this.#deps.clock.monotonicMs();
      if (now - this.#equityMs < EQUITY_EVERY_MS) return;
      this.#equityMs = now;
      this.#account.recordEquity();
    } catch (error) {
      this.#deps.log.warn("no-balance", { message: messageOf(error) });
    }
  }

  /**
   * Nothing of the bot's own is left, as far as this process can see, and one that is to end has answered all that was asked. Never
   * without the journal's memory: it may know of more.
   */
  get #isDone(): boolean {
    if (this.#session === undefined) return false;
    const isToEnd = this.#config.state !== "Running";
    return [...this.#traders.values()].every(
      (trader) => trader.flat && !(isToEnd && trader.owesAnswers),
    );
  }

  /** What the operator goes by. Only who holds the lease may say so: another pod may be about to open something. */
  get #flat(): boolean {
    return this.#isDone && this.#deps.journal.leaseRemainingMs() > 0;
  }

  /** A pod that was replaced ends as well, without a word on what its successor does. */
  get #mayEnd(): boolean {
    return this.#flat || (this.#isDone && this.#deps.journal.standing === "stale");
  }

  async #finishWhenFlat(): Promise<void> {
    if (!this.#mayEnd) return;
    this.#finishing = true;
    const looks = await Promise.all(
      [...this.#traders.values()].map((trader) => trader.confirmFlat()),
    );
    if (looks.every(Boolean)) {
      this.#record(eventRecord("ended", `${this.#config.state}: flat`, this.#deps.clock.nowMs()));
      this.#report(true);
      const isTold = await this.#deps.journal.flush(LAST_FLUSH_MS);
      // What a pod that was replaced does not get rid of, its successor finds at the exchange.
      const isHeard = isTold || this.#deps.journal.standing === "stale";
      // Started again meanwhile, the lease was lost, or nobody has heard of the last trade: then this process goes on.
      if (this.#config.state !== "Running" && this.#mayEnd && isHeard) {
        this.#finished.resolve(this.#termination(this.#config.state, isTold));
        return;
      }
    }
    this.#finishing = false;
  }

  /**
   * Dust is told of before the word that the bot is flat: after that nobody may be there to do it, because the operator does not
   * make a pod for a bot that is to open nothing and is flat. A bot that runs again has it as an open trade again.
   */
  #tellLeftBehind(): void {
    const isToEnd = this.#config.state !== "Running";
    if (isToEnd && !this.#flat) return;
    const deps = this.#traderDeps();
    for (const { works } of this.#traders.values())
      for (const work of works) if (isToEnd || work.toldClosed) recordTrade(deps, work);
  }

  /** Why nothing is opened; what is open but unknown comes first, also of a symbol that left the configuration. */
  get #blocked(): readonly Refusal[] {
    const unknown = [...this.#traders.values()].flatMap(
      ({ positionUnknown }) => positionUnknown ?? [],
    );
    const standing = this.#config.symbols.flatMap((symbol) =>
      blocked(this.#standing(symbol), this.#outlook(symbol)),
    );
    const memory = this.#session === undefined ? [NO_MEMORY] : [];
    return [...unknown, ...memory, ...standing];
  }

  #record(body: RecordBody): void {
    if (body.type === "trade") this.#lastTradeAt = body.trade.closedAt ?? body.trade.openedAt;
    this.#deps.journal.record(body);
  }

  #report(always: boolean): void {
    this.#tellLeftBehind();
    const traders = [...this.#traders.values()];
    const { day, balance } = this.#account;
    // Without the journal's memory no symbol is known to be flat.
    const isKnown = this.#session !== undefined;
    const report = buildReport({
      config: this.#config,
      flat: this.#flat,
      protected: traders.every((trader) => trader.protected),
      blocked: this.#blocked,
      openSymbols: traders.filter((trader) => !isKnown || !trader.flat).map(symbolOf),
      openEntries: traders.filter((trader) => !isKnown || trader.entryOpen).map(symbolOf),
      positions: traders.flatMap((trader) => trader.positions),
      balance,
      dayResult: day.baseline === undefined ? undefined : day.result(this.#standingResult),
      lastTradeAt: this.#lastTradeAt,
      leased: this.#deps.journal.leaseRemainingMs() > 0,
      consecutiveErrors: this.#account.consecutiveErrors,
      requests: this.#requests.newest,
      at: new Date(this.#deps.clock.nowMs()),
    });
    const material = materialPart(report);
    if (!always && material === this.#reported.material) return;
    this.#reported = { material, atMs: this.#deps.clock.monotonicMs() };
    this.#record({ type: "report", report });
  }
}

/** What the process's connections and ids were made of: a changed configuration does not change it. */
function lastingPart({ botUid, exchange, mode, endpoint }: BotConfig) {
  return { botUid, exchange, mode, endpoint };
}

function unreadConfig(why: string): Refusal {
  const message = `the bot's newest configuration, which may hold a halt, cannot be read: nothing is opened before it can (${why})`;
  return { reason: "ConfigUnread", message };
}

function restartNeeded(started: BotConfig, told: BotConfig): Refusal | undefined {
  if (JSON.stringify(lastingPart(told)) === JSON.stringify(lastingPart(started))) return undefined;
  return {
    reason: "RestartNeeded",
    message: `the bot was started for ${started.mode} on ${started.exchange} and is now to trade elsewhere: what is open is managed to its exit, nothing more is opened before it starts again`,
  };
}

/**
 * A request is obeyed by a bot as it is: it moves the generation and does not enable a bot that has disabled itself. Halts and
 * state change by other hands as well, so beside a request only what the bot trades, and how, counts.
 */
function areSettingsNew(before: BotConfig, after: BotConfig): boolean {
  if (after.generation === before.generation) return false;
  if (JSON.stringify(after.requests) === JSON.stringify(before.requests)) return true;
  return settingsOf(after) !== settingsOf(before);
}

function settingsOf({ symbols, timeframe, strategy, risk, autoTrade }: BotConfig): string {
  return JSON.stringify({ symbols, timeframe, strategy, risk, autoTrade });
}

function symbolOf({ symbol }: SymbolTrader): string {
  return symbol;
}

function withoutSymbol(session: SessionAnswer, symbol: string): SessionAnswer {
  return {
    ...session,
    openTrades: session.openTrades.filter((trade) => trade.symbol !== symbol),
    openIntents: session.openIntents.filter((intent) => intent.symbol !== symbol),
  };
}
