import { BotConfig, Risk } from "@tradingbots/crds";
import { randomUuid } from "./random-uuid.ts";
import { exampleConfig } from "../../src/bot/example-config.ts";
import {
  createInProcessExchange,
  type InProcessExchange,
} from "../../../hack/exchange-simulator/in-process.ts";
import { createRandom, type Random } from "../../../hack/exchange-simulator/random.ts";
import { Decimal } from "../../src/money.ts";
import { balancesOf } from "../../../hack/exchange-simulator/account.ts";
import { instrumentOf, MINIMUM_ORDER_VALUE } from "../../../hack/exchange-simulator/instruments.ts";
import { fillRuleFor } from "../../../hack/exchange-simulator/settings.ts";
import { Commitments } from "../commitments.ts";
import { JournalModel } from "../journal-model.ts";
import { randomCandles } from "./candles.ts";
import { Hand, HAND_SYMBOL } from "./hand.ts";
import { Neighbour, SHARED_BALANCE_PERCENT } from "./neighbour.ts";
import { type Asked, Observer, type Violation } from "./observer.ts";
import { API_KEY, API_SECRET, type Pairs, Platform } from "./platform.ts";
import {
  drawScenario,
  DRY_MS,
  DUST_RULES,
  ENTRY_STEPS,
  type Happening,
  HISTORY_CANDLES,
  MINUTE_MS,
  type Scenario,
} from "./scenario.ts";
import { Timeline } from "./timeline.ts";
import { useTimeline } from "./virtual-globals.ts";

/** By the exchange's clock, as by the candles' it is a time of funding. */
const MARK_MS = Date.UTC(2026, 0, 5, 16);
/** Entries are looked for ten minutes, once a minute in the end, and refused exits are tried every 15 s: ms. */
const SETTLING_MS = 800_000;
/** Every process has heard of a halt after this, and what it had sent before is accepted or never will be, ms. */
const HALTED_MS = 9_000;
const HAND_TRIES = 80;
const HAND_PAUSE_MS = 500;
/** What is on its way when the bot has ended arrives within this, ms. */
const AFTERMATH_MS = 2_000;
const BALANCE = "10000";
const PRICES = { "BTC/USDT:USDT": 100_000, "ETH/USDT:USDT": 2_500 } as const;
/** Dust of more steps may be worth the least that the exchange opens. */
const WORTH_CLOSING_STEPS = 4;
/** On which the bot's owner bets, where the bot does not trade it. */
const BET_SYMBOL = "ETH/USDT:USDT";
const MARKET_IDS = { "BTC/USDT:USDT": "BTCUSDT", "ETH/USDT:USDT": "ETHUSDT" } as const;

export interface Outcome {
  readonly seed: number;
  readonly pairs: Pairs;
  readonly violation: Violation | undefined;
  readonly openingOrders: number;
  readonly exits: number;
  readonly executions: number;
  readonly virtualMs: number;
}

/** Plays one seed from its first event to its last. `trace` gets a line for everything that happens. */
export function simulate(seed: number, trace?: (line: string) => void): Outcome {
  const run = new Run(drawScenario(seed), trace);
  return run.play();
}

/** One run: the world of a scenario, and what happens in it. */
class Run {
  readonly #scenario: Scenario;
  readonly #startMs: number;
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #exchange: InProcessExchange;
  readonly #journal: JournalModel;
  readonly #observer: Observer;
  readonly #platform: Platform;
  readonly #hand: Hand;
  readonly #neighbour: Neighbour | undefined;
  readonly #trace: ((line: string) => void) | undefined;
  /** When the exchange closed each candle, by its open time. */
  readonly #closedMs = new Map<number, number>();
  readonly #asked: Asked[] = [];
  #marketOpen = true;

  constructor(scenario: Scenario, trace: ((line: string) => void) | undefined) {
    const { seed } = scenario;
    this.#startMs = MARK_MS - scenario.fundingAfterMs;
    this.#timeline = new Timeline(this.#startMs);
    useTimeline(this.#timeline);
    this.#scenario = scenario;
    this.#trace = trace && ((line) => trace(`${this.#elapsed()} ${line}`));
    this.#random = createRandom(seed, 11);
    this.#exchange = exchangeOf(scenario, () => this.#timeline.nowMs);
    const commitments = new Commitments();
    this.#journal = new JournalModel({ nowMs: () => this.#timeline.nowMs, commitments });
    const account = this.#exchange.exchange.findKey(API_KEY)?.account;
    if (account === undefined) throw new Error("the exchange lost its account");
    this.#platform = new Platform({
      timeline: this.#timeline,
      exchange: this.#exchange,
      journal: this.#journal,
      observer: () => this.#observer,
      random: this.#random,
      weather: scenario.weather,
      calm: scenario.calm,
      streamed: scenario.streamed,
      config: configOf(scenario),
      balanceShown: () => this.#neighbour?.balanceShown(),
      trace: this.#trace,
    });
    this.#observer = new Observer({
      timeline: this.#timeline,
      account,
      journal: this.#journal,
      runs: () => this.#platform.runs,
      exchangeUpFromMs: () => this.#platform.exchangeUpFromMs,
      calm: scenario.calm,
      fillMs: fillMs(scenario),
      cancellable: (order) =>
        fillRuleFor(this.#exchange.exchange.settings(), order, account.userId).rest === "waits",
      dayLossMax: dayLossMax(scenario),
      leftBelow: new Decimal(scenario.dust?.isHard === true ? MINIMUM_ORDER_VALUE.toFixed() : 0),
      asked: this.#asked,
      market: (symbol) => ({
        lastPrice: this.#exchange.exchange.trading.lastPrice(symbol),
        tick: instrumentOf(symbol).tickSize,
      }),
      candleClosedMs: (openMs) => this.#closedMs.get(openMs),
      balances: () =>
        isBet(scenario) ? undefined : balancesOf(account, this.#exchange.exchange.trading),
    });
    this.#hand = new Hand({
      exchange: this.#exchange,
      observer: this.#observer,
      seenLate: scenario.positionDelayMs > 0,
      trace: this.#trace,
    });
    if (!scenario.neighbour) return;
    this.#neighbour = new Neighbour({
      exchange: this.#exchange,
      commitments,
      timeline: this.#timeline,
      observer: () => this.#observer,
      random: createRandom(seed, 13),
      trace: this.#trace,
    });
  }

  play(): Outcome {
    const { durationMs, events, deaths, lateLease, skewMs } = this.#scenario;
    this.#trace?.(`scenario ${JSON.stringify(this.#scenario)}`);
    this.#platform.addPod(skewMs);
    for (const death of deaths) this.#platform.wishDeath(death);
    if (lateLease !== undefined) this.#platform.wishLateLease(lateLease);
    for (const { atMs, ...happening } of events)
      this.#timeline.after(atMs, () => this.#happen(happening));
    this.#playMarket();
    this.#timeline.runUntil(this.#startMs + durationMs, () => this.#broken);
    if (!this.#broken) this.#settle();
    return this.#outcome();
  }

  get #broken(): boolean {
    return this.#observer.violation !== undefined;
  }

  #elapsed(): string {
    return `+${((this.#timeline.nowMs - this.#startMs) / 1_000).toFixed(3)}`;
  }

  /** Half a candle at a time, for as long as the run lasts. */
  #playMarket(): void {
    this.#timeline.after(this.#scenario.candleMs / 2, () => {
      const { candlesEmitted } = this.#exchange.halfStep();
      this.#noteClose(HISTORY_CANDLES + candlesEmitted - 1);
      this.#traceExecutions();
      this.#observer.look();
      if (this.#marketOpen) this.#playMarket();
    });
  }

  #noteClose(index: number): void {
    const openMs = this.#scenario.firstOpenMs + index * MINUTE_MS;
    if (!this.#closedMs.has(openMs)) this.#closedMs.set(openMs, this.#timeline.nowMs);
  }

  /** Faults end, the bot is told to stop, and everything comes to rest. */
  #settle(): void {
    this.#trace?.("faults end; the bot is to stop");
    this.#exchange.control.setFaults([]);
    this.#exchange.control.changeSettings({ fills: [], executionDelays: [], positionDelays: [] });
    // What is worth something somebody has to be able to close.
    const { steps = 0 } = this.#scenario.dust ?? {};
    if (steps >= WORTH_CLOSING_STEPS)
      this.#exchange.control.changeSettings({ closesBelowMinimum: true });
    this.#platform.heal();
    this.#hand.withdraw();
    this.#neighbour?.leave();
    this.#platform.configure((config) => ({
      ...config,
      generation: config.generation + 1,
      state: "Stopped",
      halts: [],
    }));
    this.#platform.ensurePod(0);
    const untilMs = this.#timeline.nowMs + SETTLING_MS;
    this.#timeline.runUntil(untilMs, () => this.#broken || this.#platform.newestEnded);
    this.#timeline.runUntil(this.#timeline.nowMs + AFTERMATH_MS, () => this.#broken);
    this.#marketOpen = false;
    if (!this.#broken) this.#observer.settled();
  }

  #happen(happening: Happening): void {
    const platform = this.#platform;
    switch (happening.kind) {
      case "crash":
        return platform.crash();
      case "freeze":
        return platform.freeze(happening.ms);
      case "cut":
        return platform.cut(happening.what, happening.direction, happening.ms);
      case "journal-down":
        return platform.journalDown(happening.ms);
      case "exchange-down":
        return platform.exchangeDown(happening.ms);
      case "dry":
        return this.#dry(happening.ms);
      case "clock-step":
        return platform.stepClock(happening.ms);
      case "replace":
        platform.deletePod("newest");
        return platform.addPod(0);
      case "stop":
        platform.stopPod();
        this.#timeline.after(1_000, () => platform.addPod(0));
        return undefined;
      case "delist":
        return this.#delist(happening.closesAfterMs);
      case "request":
        return this.#ask(happening);
      case "hand-opens":
        return this.#openByHand();
      case "hand-bets":
        return this.#repeat(HAND_TRIES, () => this.#hand.bet());
      case "stripped-crash":
        this.#hand.act("hand-strips");
        return platform.crash();
      case "second-pod":
        return this.#secondPod(happening.deletesAfterMs);
      case "halt":
      case "pause":
      case "retune":
        return this.#order(happening);
      case "hand-strips-hidden":
        return this.#repeat(HAND_TRIES, () => this.#hand.stripHidden());
      case "hand-adds":
      case "hand-reduces":
      case "hand-strips":
        return this.#hand.act(happening.kind);
      default:
        return happening satisfies never;
    }
  }

  /** As the API does: what was asked before stays where it is. */
  #ask({ action, side, validMs }: Extract<Happening, { kind: "request" }>): void {
    const [symbol] = this.#scenario.symbols;
    const madeMs = this.#timeline.nowMs;
    const notAfter = new Date(madeMs + validMs).toISOString();
    const what = { id: randomUuid(this.#random), action, symbol: symbol ?? "", notAfter };
    const request = action === "Order" ? { ...what, side } : what;
    this.#trace?.(`somebody asks: ${JSON.stringify(request)}`);
    this.#asked.push({ request, madeMs });
    this.#platform.configure((config) => ({
      ...config,
      generation: config.generation + 1,
      requests: [...config.requests, request],
    }));
  }

  /** An entry that met the owner's order at the exchange would be netted with it: so the bot is halted first. */
  #openByHand(): void {
    this.#platform.configure((config) => ({
      ...config,
      generation: config.generation + 1,
      halts: [{ name: "hand", uid: "hand", action: "BlockEntries", symbols: null }],
    }));
    this.#timeline.after(HALTED_MS, () => this.#repeat(HAND_TRIES, () => this.#hand.open()));
  }

  /** Until it works. */
  #repeat(tries: number, act: () => boolean): void {
    if (!this.#marketOpen || this.#platform.config.state !== "Running") return;
    if (tries === 0 || act()) return;
    this.#timeline.after(HAND_PAUSE_MS, () => this.#repeat(tries - 1, act));
  }

  #delist(closesAfterMs: number): void {
    const { control } = this.#exchange;
    this.#trace?.(`the end of ${HAND_SYMBOL} is announced`);
    control.setSymbolStatus(HAND_SYMBOL, "ReduceOnly");
    this.#timeline.after(closesAfterMs, () => {
      this.#trace?.(`${HAND_SYMBOL} is settled`);
      control.setSymbolStatus(HAND_SYMBOL, "Closed");
      this.#observer.look();
    });
  }

  #dry(ms: number): void {
    const { control } = this.#exchange;
    this.#trace?.(`nobody trades for ${ms} ms`);
    control.changeSettings({ fills: [{ parts: 1, rest: "unfilled" }] });
    this.#timeline.after(ms, () => control.changeSettings({ fills: fillsOf(this.#scenario) }));
  }

  #secondPod(deletesAfterMs: number | undefined): void {
    this.#platform.addPod(this.#random() < 0.3 ? Math.floor((this.#random() - 0.5) * 8_000) : 0);
    if (deletesAfterMs === undefined) return;
    this.#timeline.after(deletesAfterMs, () => this.#platform.deletePod("older"));
  }

  /** An order of the bot's owner or of an SRE, taken back after a while. */
  #order(order: Extract<Happening, { kind: "halt" | "pause" | "retune" }>): void {
    const next = (change: Partial<BotConfig>) =>
      this.#platform.configure((config) => ({
        ...config,
        ...change,
        generation: config.generation + 1,
      }));
    if (order.kind === "retune") {
      const { risk } = this.#platform.config;
      next({ risk: { ...risk, stopLossPercent: 0.5, takeProfitPercent: 0.7 } });
      return;
    }
    if (order.kind === "pause") {
      next({ state: "Paused" });
    } else {
      const symbols = order.ofSymbol ? this.#scenario.symbols.slice(0, 1) : null;
      if (this.#scenario.deaf) this.#platform.delayConfig(order.ms);
      next({ halts: [{ name: "halt", uid: order.action, action: order.action, symbols }] });
    }
    this.#timeline.after(order.ms, () => {
      if (this.#platform.config.state === "Stopped") return;
      this.#platform.delayConfig(0);
      next({ state: "Running", halts: [] });
      this.#platform.ensurePod(0);
    });
  }

  #traceExecutions(): void {
    if (this.#trace === undefined) return;
    const { executions = [] } = this.#exchange.control.account(API_KEY) ?? {};
    const news = executions.slice(this.#observer.executionsSeen);
    for (const { side, quantity, price, stopOrderType, orderLinkId } of news)
      this.#trace(
        `exchange executes ${side} ${quantity} at ${price} ${stopOrderType} ${orderLinkId}`,
      );
  }

  #outcome(): Outcome {
    const { seed } = this.#scenario;
    const { ownOrders, ownExecutions, violation } = this.#observer;
    const openingOrders = ownOrders.filter(({ opens }) => opens).length;
    if (violation !== undefined)
      this.#trace?.(`BROKEN ${violation.invariant}: ${violation.message}`);
    return {
      seed,
      pairs: this.#platform.pairs,
      violation,
      openingOrders,
      exits: ownOrders.length - openingOrders,
      executions: ownExecutions.length,
      virtualMs: this.#timeline.nowMs - this.#startMs,
    };
  }
}

const SIGNAL_AT = { buyBelow: 45, sellAbove: 55 };
const NO_SIGNAL = { buyBelow: 0.1, sellAbove: 99.9 };

/** The bot's limit and a little: its day begins with what the exchange tells it, to the cent. */
function dayLossMax({ dailyLossPercent, ofOneDay, symbols }: Scenario): Decimal | undefined {
  // What another symbol stands at counts as well, and its stop may have struck just now.
  if (!ofOneDay || symbols.length > 1) return undefined;
  return new Decimal(BALANCE).times(dailyLossPercent).div(100).plus("0.5");
}

/**
 * Each part of an order is filled by another half of a candle, what is cancelled after its first part takes an order a part, and
 * the entry may go on filling while its position is being closed already. The bot sees what is left of it when it is shown.
 */
function fillMs({ candleMs, parts, positionDelayMs, events }: Scenario): number {
  const halves = parts > 1 ? 4 * parts : 2;
  // What finds nobody to trade with is tried ever more rarely, at last every 15 s.
  const dryMs = events.some(({ kind }) => kind === "dry") ? DRY_MS + 15_000 : 0;
  return dryMs + halves * (Math.ceil(candleMs / 2) + positionDelayMs);
}

const isBet = ({ events }: Scenario) => events.some(({ kind }) => kind === "hand-bets");

function exchangeOf(scenario: Scenario, nowMs: () => number): InProcessExchange {
  const { seed, durationMs, candleMs, symbols, firstOpenMs } = scenario;
  const count = HISTORY_CANDLES + Math.ceil((durationMs + SETTLING_MS + 10_000) / candleMs) + 2;
  const random = createRandom(seed, 12);
  const replayed =
    isBet(scenario) || scenario.neighbour ? ([...symbols, BET_SYMBOL] as const) : symbols;
  const exchange = createInProcessExchange({
    nowMs,
    seed,
    candles: replayed.map((symbol) =>
      randomCandles(random, {
        symbol: MARKET_IDS[symbol],
        count,
        price: PRICES[symbol],
        swing: swingOf(scenario, symbol),
        firstOpenMs,
      }),
    ),
    historyCandles: HISTORY_CANDLES,
  });
  const { control } = exchange;
  control.addKey({ apiKey: API_KEY, apiSecret: API_SECRET, balance: BALANCE, ips: ["192.0.2.1"] });
  control.setFaults(scenario.exchangeFaults);
  const { dust, fundingRate, fundingDelayMs, positionDelayMs, minimumQuantity } = scenario;
  control.changeSettings({
    refusedIdsAreTaken: scenario.refusedIdsAreTaken,
    idsAreUniqueAmong: scenario.idsAreUniqueAmong,
    fillsAtOnce: scenario.fillsAtOnce,
    liquidation: isBet(scenario),
    minimumQuantities: { BTCUSDT: minimumQuantity },
    ...(dust && { quantitySteps: { BTCUSDT: DUST_RULES.step }, closesBelowMinimum: !dust.isHard }),
    fills: fillsOf(scenario),
    executionDelays: fundingDelayMs > 0 ? [{ type: "Funding", delayMs: fundingDelayMs }] : [],
    positionDelays: positionDelayMs > 0 ? [{ delayMs: positionDelayMs }] : [],
    fundingRates: Object.fromEntries(symbols.map((symbol) => [MARKET_IDS[symbol], fundingRate])),
  });
  return exchange;
}

/** How far a candle moves the price, as a share of it. */
function swingOf(scenario: Scenario, symbol: string): number {
  if (symbol === BET_SYMBOL && isBet(scenario)) return 0.015;
  // What nobody can close no stop or target closes either, so that it is there when the bot is to end.
  const { isHard = false, steps = 0 } = scenario.dust ?? {};
  return scenario.still || (isHard && steps < WORTH_CLOSING_STEPS) ? 0.0002 : 0.004;
}

function fillsOf({ parts, rest, dust }: Scenario) {
  const usual = parts > 1 ? [{ parts, rest }] : [];
  if (dust === undefined) return usual;
  const entries = Math.floor(ENTRY_STEPS / dust.steps);
  return [{ reduceOnly: false, parts: entries, rest: "cancelled" as const }, ...usual];
}

function configOf({
  symbols,
  neighbour,
  leverage,
  maxConsecutiveErrors,
  dailyLossPercent,
  quiet,
}: Scenario): BotConfig {
  return BotConfig.parse({
    ...exampleConfig,
    symbols,
    // Eager: a signal at nearly every candle.
    strategy: {
      name: "rsi",
      params: { period: 2, confirmPeriod: null, ...(quiet ? NO_SIGNAL : SIGNAL_AT) },
    },
    risk: Risk.parse({
      leverage,
      balancePercent: neighbour ? SHARED_BALANCE_PERCENT : 90,
      stopLossPercent: 0.3,
      takeProfitPercent: 0.4,
      dailyLossPercent,
      maxConsecutiveErrors,
    }),
  });
}
