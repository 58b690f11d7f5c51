import type { RecordBody } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import type {
  Exchange,
  Execution,
  ExitOrder,
  HeldPosition,
  LookUps,
  OrderView,
  Outcome,
} from "../exchange/exchange.ts";
import { amount, price, type Quantity, quantity } from "../money.ts";
import { Account } from "./account.ts";
import { advanceWork } from "./advance-work.ts";
import { exampleConfig, SYMBOL } from "./example-bot.ts";
import { Metrics } from "./metrics.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { type Work, workFromTrade } from "./work.ts";

const ENTRY = "11111111-1111-8111-8111-111111111111";
const OPENED_MS = Date.parse("2025-06-18T00:00:00Z");

const config = { ...exampleConfig, state: "Stopped" } as const;

const silent = (): void => {};
const unused = (): never => {
  throw new Error("not part of this test");
};

/** One symbol of an exchange at a price of 100 without fees: a net position, orders and executions. */
class Market {
  net = quantity("0");
  /** What orders are answered; `undefined` fills them at once. */
  answer: (() => Outcome) | undefined;
  /** Executions are written but not shown yet. */
  lags = false;
  readonly sent: ExitOrder[] = [];
  readonly #orders = new Map<string, OrderView>();
  readonly #executions: Execution[] = [];

  fill(side: "buy" | "sell", units: Quantity, clientOrderId: string | undefined): void {
    this.net = quantity(side === "buy" ? this.net.plus(units) : this.net.minus(units));
    const number = this.#executions.length;
    this.#executions.push({
      executionId: `x${number}`,
      clientOrderId,
      side,
      price: price("100"),
      quantity: units,
      fee: amount("0"),
      feeCurrency: "USDT",
      cause: "order",
      atMs: OPENED_MS + number,
    });
    if (clientOrderId === undefined) return;
    this.#orders.set(clientOrderId, {
      clientOrderId,
      exchangeOrderId: `o${number}`,
      side,
      quantity: units,
      filledQuantity: units,
      status: "filled",
      isProtection: false,
      createdMs: OPENED_MS + number,
    });
  }

  exchange(): Exchange {
    const lookUps: LookUps = {
      openOrders: unused,
      position: async () => ({ leverage: 1, held: this.#held() }),
      findOrder: async ({ clientOrderId }) => this.#orders.get(clientOrderId),
      executions: async () => this.#executions.slice(0, this.lags ? 1 : undefined),
    };
    return {
      ...lookUps,
      urgent: lookUps,
      prepare: unused,
      market: unused,
      candles: unused,
      balance: unused,
      setLeverage: unused,
      submitEntry: unused,
      cancel: unused,
      cancelPlaced: unused,
      protect: unused,
      describeKey: unused,
      clock: unused,
      submitExit: async (order) => this.#submit(order),
    };
  }

  #submit(order: ExitOrder): Outcome {
    this.sent.push(order);
    if (this.answer !== undefined) return this.answer();
    this.fill(order.side, order.quantity, order.clientOrderId);
    return { kind: "accepted", exchangeOrderId: "o" };
  }

  #held(): HeldPosition | undefined {
    if (this.net.isZero()) return undefined;
    return {
      symbol: SYMBOL,
      side: "long",
      quantity: this.net,
      entryPrice: price("100"),
      unrealisedPnl: amount("0"),
      stopLoss: price("99"),
      takeProfit: price("101"),
      liquidationPrice: undefined,
    };
  }
}

/** A stopped bot that holds one unit, on a clock of its own. */
function stoppedBot() {
  const market = new Market();
  const records: RecordBody[] = [];
  const clock = { nowMs: OPENED_MS + 60_000 };
  market.fill("buy", quantity("1"), ENTRY);
  const exchange = market.exchange();
  const record = (body: RecordBody) => void records.push(body);
  const deps: TraderDeps = {
    exchange,
    journal: { appendIntent: unused, standing: "ready" },
    record,
    account: new Account({ exchange, record, now: () => new Date(clock.nowMs) }),
    config: () => config,
    standing: unused,
    otherAccount: unused,
    openDay: unused,
    metrics: new Metrics(),
    log: { info: silent, warn: silent, error: silent },
    nowMs: () => clock.nowMs,
    monotonicMs: () => clock.nowMs - OPENED_MS,
  };
  const at = new Date(OPENED_MS).toISOString();
  const trade = {
    entryPrice: "100",
    exitPrice: null,
    pnl: null,
    fees: "0",
    funding: "0",
    reason: null,
  };
  const work: Work = {
    ...workFromTrade({
      ...trade,
      id: ENTRY,
      symbol: SYMBOL,
      side: "long",
      quantity: "1",
      openedAt: at,
      closedAt: null,
    }),
    adopted: false,
  };
  /** Turns at the pace of a symbol's polls, until the work is over or the time has passed. */
  const run = async (forMs: number): Promise<boolean> => {
    for (const endMs = clock.nowMs + forMs; clock.nowMs < endMs; clock.nowMs += 250) {
      if (await advanceWork(deps, work)) return true;
    }
    return false;
  };
  return { market, records, work, run };
}

describe("an exit that is refused", () => {
  test.each([
    ["for good is sent again under a new id", true, 12],
    ["before it was read as an order keeps its id", false, 1],
  ])("%s, ever more rarely", async (...[, final, ids]) => {
    const { market, run } = stoppedBot();
    market.answer = () => ({ kind: "refused", code: "no", message: "not now", final });
    expect(await run(120_000)).toBe(false);
    // 0.5, 1, 2, 4, 8 and then every 15 s.
    expect(market.sent.length).toBe(12);
    expect(new Set(market.sent.map((order) => order.clientOrderId)).size).toBe(ids);
    market.answer = undefined;
    expect(await run(20_000)).toBe(true);
    expect(market.net.isZero()).toBe(true);
  });
});

describe("a close takes no more than the bot's own", () => {
  test("the owner holds as much by hand: one exit of the bot's unit, the owner's stays", async () => {
    const { market, run } = stoppedBot();
    market.fill("buy", quantity("1"), undefined);
    expect(await run(20_000)).toBe(true);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["1"]);
    expect(market.net.toFixed()).toBe("1");
  });

  test("executions that come late: looked at again, nothing sent meanwhile", async () => {
    const { market, run } = stoppedBot();
    market.fill("buy", quantity("1"), undefined);
    market.lags = true;
    expect(await run(20_000)).toBe(false);
    expect(market.sent.length).toBe(1);
    market.lags = false;
    expect(await run(20_000)).toBe(true);
    expect(market.sent.length).toBe(1);
    expect(market.net.toFixed()).toBe("1");
  });

  test("an exit that filled a part is followed by one for the rest", async () => {
    const { market, run } = stoppedBot();
    market.answer = () => {
      market.answer = undefined;
      market.fill("sell", quantity("0.4"), market.sent[0]?.clientOrderId);
      return { kind: "accepted", exchangeOrderId: "o" };
    };
    expect(await run(20_000)).toBe(true);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["1", "0.6"]);
    expect(new Set(market.sent.map((order) => order.clientOrderId)).size).toBe(2);
    expect(market.net.isZero()).toBe(true);
  });
});
