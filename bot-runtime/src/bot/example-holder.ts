import type { BotConfig, RecordBody } from "@tradingbots/crds";
import type {
  Dated,
  Exchange,
  Execution,
  ExitOrder,
  HeldPosition,
  Levels,
  LookUps,
  Market,
  OrderView,
  Outcome,
} from "../exchange/exchange.ts";
import type { JournalStanding } from "../journal/journal-client.ts";
import { amount, type Price, price, type Quantity, quantity } from "../money.ts";
import { Account } from "./account.ts";
import { accountForFills } from "./account-for-fills.ts";
import { advanceWork } from "./advance-work.ts";
import { exampleMarket, SYMBOL } from "./example-bot.ts";
import { exampleConfig } from "./example-config.ts";
import { Metrics } from "./metrics.ts";
import { RequestLog } from "./request-log.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { type TakenUp, type Work, workFromIntent, workFromTrade } from "./work.ts";

/** For unit tests of one work: an exchange with one symbol at a price of 100 without fees, and a bot that holds one unit. */

export const ENTRY = "11111111-1111-8111-8111-111111111111";
const OPENED_MS = Date.parse("2025-06-18T00:00:00Z");
/** A symbol's polls. */
const POLL_MS = 250;

const silent = (): void => {};
const unused = (): never => {
  throw new Error("not part of this test");
};
const accepted: Outcome = { kind: "accepted", exchangeOrderId: "o" };

/** A net position with its levels, orders and executions; answers are set by the test. */
export class ExampleExchange {
  net = quantity("0");
  entryPrice = price("100");
  stopLoss: Price | undefined = price("99");
  takeProfit: Price | undefined = price("102");
  liquidationPrice: Price | undefined;
  rules: Market | undefined = exampleMarket(SYMBOL);
  isDelisted = false;
  /** What exits are answered; `undefined` fills them at once. */
  answer: ((order: ExitOrder) => Outcome) | undefined;
  /** What new levels are answered; `undefined` takes them. */
  answerLevels: ((levels: Levels) => Outcome) | undefined;
  /** What happens right before the question for executions reaches the exchange. */
  beforeAsked: (() => void) | undefined;
  /** What happens between the question for executions (since that time, ms) and its answer. */
  whileAsked: ((sinceMs: number) => void) | undefined;
  /** How far the bot's wall clock is ahead. */
  skewMs = 0;
  /** What is executed now happens so long after the position was opened. */
  ageMs = 0;
  /** Older executions than this are forgotten, ms. */
  keptSinceMs = -Infinity;
  /** Executions are written but not shown yet. */
  lags = false;
  /** Orders that exist and are not shown. */
  readonly hidden = new Set<string>();
  readonly orders = new Map<string, OrderView>();
  readonly sent: ExitOrder[] = [];
  readonly levelsSent: (Levels & Dated)[] = [];
  readonly cancelled: string[] = [];
  readonly executions: Execution[] = [];

  fill(
    side: "buy" | "sell",
    units: Quantity,
    given: { readonly id?: string; readonly at?: string; readonly cause?: Execution["cause"] } = {},
  ): void {
    const { id, at = "100", cause = "order" } = given;
    this.net = quantity(side === "buy" ? this.net.plus(units) : this.net.minus(units));
    const number = this.executions.length;
    this.executions.push({
      executionId: `x${number}`,
      clientOrderId: id,
      side,
      price: price(at),
      quantity: units,
      fee: amount("0"),
      feeCurrency: "USDT",
      cause,
      ...(cause === "unknown" && { unexplained: `execution x${number} is of type OfTomorrow` }),
      atMs: OPENED_MS + this.ageMs + number,
    });
    if (id !== undefined) this.place(id, { side, quantity: units, filledQuantity: units });
  }

  place(id: string, change: Partial<OrderView>): void {
    this.orders.set(id, {
      clientOrderId: id,
      exchangeOrderId: `order of ${id}`,
      side: "buy",
      quantity: quantity("1"),
      filledQuantity: quantity("0"),
      status: "filled",
      isProtection: false,
      createdMs: OPENED_MS,
      ...change,
    });
  }

  exchange(): Exchange {
    const lookUps: LookUps = {
      openOrders: async () => [...this.orders.values()].filter(({ status }) => status === "open"),
      position: async () => ({ leverage: 1, held: this.#held() }),
      findOrder: async ({ clientOrderId: id }) =>
        this.hidden.has(id) ? undefined : this.orders.get(id),
      executions: async ({ sinceMs }) => {
        this.beforeAsked?.();
        const fromMs = Math.max(sinceMs, this.keptSinceMs);
        const shown = this.executions.slice(0, this.lags ? 1 : undefined);
        this.whileAsked?.(fromMs);
        return shown.filter(({ atMs }) => atMs >= fromMs);
      },
    };
    return {
      ...lookUps,
      urgent: lookUps,
      prepare: unused,
      market: () => this.rules,
      delisted: () => this.isDelisted,
      candles: unused,
      balance: unused,
      setLeverage: unused,
      submitEntry: unused,
      describeKey: unused,
      clock: () => ({ skewMs: this.skewMs, uncertaintyMs: 0 }),
      cancel: async ({ clientOrderId }) => {
        this.cancelled.push(clientOrderId);
        return accepted;
      },
      cancelPlaced: unused,
      protect: async (_, levels) => this.#protect(levels),
      submitExit: async (order) => this.#submit(order),
    };
  }

  #protect(levels: Levels & Dated): Outcome {
    this.levelsSent.push(levels);
    if (this.answerLevels !== undefined) return this.answerLevels(levels);
    this.stopLoss = levels.stopLoss;
    this.takeProfit = levels.takeProfit ?? this.takeProfit;
    return accepted;
  }

  #submit(order: ExitOrder): Outcome {
    this.sent.push(order);
    if (this.answer !== undefined) return this.answer(order);
    const units = order.wholePosition === true ? this.net : order.quantity;
    this.fill(order.side, units, { id: order.clientOrderId });
    return accepted;
  }

  #held(): HeldPosition | undefined {
    if (this.net.isZero()) return undefined;
    return {
      symbol: SYMBOL,
      side: this.net.isNegative() ? "short" : "long",
      quantity: quantity(this.net.abs()),
      entryPrice: this.entryPrice,
      unrealisedPnl: amount("0"),
      stopLoss: this.stopLoss,
      takeProfit: this.takeProfit,
      liquidationPrice: this.liquidationPrice,
    };
  }
}

/** A bot with one work, on a clock of its own. */
export function startExampleHolder(config: Partial<BotConfig> = {}) {
  const market = new ExampleExchange();
  const records: RecordBody[] = [];
  const clock = { monotonicMs: 60_000 };
  const nowMs = () => OPENED_MS + clock.monotonicMs + market.skewMs;
  const lease = { remainingMs: 0, keptForMs: 0 };
  let standing: JournalStanding = "ready";
  const exchange = market.exchange();
  const metrics = new Metrics();
  const record = (body: RecordBody) => void records.push(body);
  const current = { ...exampleConfig, ...config };
  const deps: TraderDeps = {
    exchange,
    looks: exchange,
    journal: {
      get standing() {
        return standing;
      },
      appendIntent: unused,
      leaseRemainingMs: () => lease.remainingMs,
      keepLeaseFor: (ms) => void (lease.keptForMs = ms),
    },
    record,
    account: new Account({ exchange, record, now: () => new Date(nowMs()) }),
    config: () => current,
    standing: unused,
    requests: new RequestLog({ record, nowMs }),
    otherAccount: () => undefined,
    openDay: unused,
    isStreamed: () => false,
    metrics,
    log: { info: silent, warn: silent, error: silent },
    nowMs,
    monotonicMs: () => clock.monotonicMs,
  };
  return {
    market,
    deps,
    records,
    metrics,
    config: current,
    lease,
    /** Another pod has taken over. */
    replace: () => void (standing = "stale"),
    /** The wall clock is set: nothing of this may change what the bot does. */
    setWallClock: (byMs: number) => void (market.skewMs += byMs),
    /** By every clock. */
    passTime: (ms: number) => void (clock.monotonicMs += ms),
    /** Wall clock, ms. */
    nowMs,
    /** One look at the exchange, and what follows from it; true once the work is over. */
    look: (work: Work) => advanceWork(deps, work),
    /** The executions are asked for once more, as after the end of a work. */
    account: (work: Work) => accountForFills(deps, work),
    /** Looks at the pace of a symbol's polls, until the work is over or the time has passed. */
    run: async (work: Work, forMs: number): Promise<boolean> => {
      for (let passedMs = 0; passedMs < forMs; passedMs += POLL_MS) {
        if (await advanceWork(deps, work)) return true;
        clock.monotonicMs += POLL_MS;
      }
      return false;
    },
    /** The work of an entry that was just sent; `accepted` by its answer. */
    sentEntry: (given: { readonly accepted?: boolean } & Partial<TakenUp> = {}): Work => {
      const taken = { adopted: false, takenUpMs: clock.monotonicMs, ...given };
      const work = workFromIntent(intent(nowMs()), taken);
      if (given.accepted === true) work.entry = "open";
      return work;
    },
    /** The work of a position of one unit that the journal knows. */
    heldWork: (given: Partial<TakenUp> = {}): Work => {
      market.fill("buy", quantity("1"), { id: ENTRY });
      return workFromTrade(trade, { adopted: false, takenUpMs: clock.monotonicMs, ...given });
    },
    unprotectedSeconds: () => metrics.value("bot_unprotected_seconds_total"),
  };
}

/** A bot whose process has just begun, with a position that is so old, ms. */
export function startOldHolder(ageMs: number, config: Partial<BotConfig> = {}) {
  const it = startExampleHolder(config);
  /** What is held grows older. */
  const age = (ms: number) => {
    it.passTime(ms);
    it.market.ageMs += ms;
  };
  const work = it.heldWork({ adopted: true });
  age(ageMs);
  return { ...it, work, age };
}

const trade = {
  id: ENTRY,
  symbol: SYMBOL,
  side: "long",
  quantity: "1",
  entryPrice: "100",
  exitPrice: null,
  pnl: null,
  fees: "0",
  funding: "0",
  openedAt: new Date(OPENED_MS).toISOString(),
  closedAt: null,
  reason: null,
} as const;

function intent(atMs: number) {
  return {
    clientOrderId: ENTRY,
    attempt: 0,
    symbol: SYMBOL,
    side: "buy",
    quantity: "1",
    leverage: 10,
    stopLoss: "99",
    takeProfit: "102",
    candleOpenTime: "2025-06-18T00:00:00Z",
    confidence: 80,
    at: new Date(atMs).toISOString(),
  } as const;
}
