import {
  AuthenticationError,
  type bybit,
  InvalidNonce,
  InvalidOrder,
  NoChange,
  OrderNotFound,
  PermissionDenied,
} from "ccxt";
import { Decimal } from "decimal.js";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type { ExchangeSimulator } from "../server.ts";
import {
  BALANCE,
  clientOf,
  KEY,
  MINUTE_MS,
  type Prices,
  REPLAY_START_MS,
  startScripted,
  SYMBOL,
} from "./simulator.ts";

// The contract that bots rely on, spoken by the real ccxt client.

const still: Prices = ["2500.00", "2500.00", "2500.00", "2500.00"];

/** What Bybit shows of a stop or target and ccxt does not translate. */
const ExitOrder = z.object({
  stopOrderType: z.string(),
  orderStatus: z.string(),
  triggerPrice: z.string(),
  side: z.string(),
  qty: z.string(),
  reduceOnly: z.boolean(),
});

const ExecutionPage = z.object({
  result: z.object({
    list: z.array(z.object({ execId: z.string() })),
    nextPageCursor: z.string(),
  }),
});

let simulator: ExchangeSimulator;
let client: bybit;

async function start(future: readonly Prices[] = []): Promise<void> {
  simulator = await startScripted(future);
  client = clientOf(simulator);
}

afterEach(async () => {
  await client.close();
  await simulator.close();
});

function account() {
  const view = simulator.control.account(KEY.apiKey);
  if (view === undefined) throw new Error("the key is not registered");
  return view;
}

/** What the wallet must be, from the executions alone: sales less purchases less fees, once flat. */
function cashFlow(): Decimal {
  return account().executions.reduce((sum, execution) => {
    const value = new Decimal(execution.value).times(execution.side === "Sell" ? 1 : -1);
    return sum.plus(value).minus(execution.fee);
  }, new Decimal(0));
}

function openWithProtection(orderLinkId: string, side: "buy" | "sell" = "buy") {
  const [up, down] = ["2550", "2475"];
  const [target, stop] = side === "buy" ? [up, down] : [down, up];
  return client.createOrder(SYMBOL, "market", side, 0.1, undefined, {
    clientOrderId: orderLinkId,
    takeProfit: { triggerPrice: target },
    stopLoss: { triggerPrice: stop },
  });
}

async function closedOrder(orderLinkId: string) {
  const orders = await client.fetchCanceledAndClosedOrders(SYMBOL, undefined, undefined, {
    orderLinkId,
  });
  expect(orders).toHaveLength(1);
  return orders[0];
}

/** Past ccxt's own checks, straight to the endpoint. */
function raw(changes: Record<string, unknown>): Promise<unknown> {
  const order = {
    category: "linear",
    symbol: "ETHUSDT",
    side: "Buy",
    orderType: "Market",
    qty: "0.1",
  };
  return client["privatePostV5OrderCreate"]({ ...order, ...changes });
}

describe("market data", () => {
  test("server time is wall clock", async () => {
    await start();
    expect(Math.abs(((await client.fetchTime()) ?? 0) - Date.now())).toBeLessThan(1_000);
  });

  test("markets load with precision and limits", async () => {
    await start();
    const markets = await client.loadMarkets();
    expect(Object.keys(markets)).toEqual([SYMBOL]);
    expect(markets[SYMBOL]).toMatchObject({
      id: "ETHUSDT",
      active: true,
      linear: true,
      precision: { amount: 0.01, price: 0.01 },
      limits: { amount: { min: 0.01 }, cost: { min: 5 }, leverage: { min: 1, max: 100 } },
    });
  });

  test("ccxt's default loadMarkets, all categories and currencies, is answered too", async () => {
    await start();
    const whole = clientOf(simulator, { options: { fetchMarkets: undefined } });
    expect(Object.keys(await whole.loadMarkets())).toEqual([SYMBOL]);
    expect(Object.keys(whole.currencies)).toContain("USDT");
  });

  test("candles go up to the replay's present; the newest is in progress", async () => {
    await start([["2500.00", "2510.00", "2490.00", "2505.00"]]);
    simulator.control.step();
    expect(await client.fetchOHLCV(SYMBOL, "1m", undefined, 2)).toEqual([
      [REPLAY_START_MS, 2500, 2510, 2490, 2505, 1.25],
      [REPLAY_START_MS + MINUTE_MS, 2505, 2505, 2505, 2505, 0],
    ]);
    expect(await client.fetchOHLCV(SYMBOL, "15m", undefined, 2)).toEqual([
      [REPLAY_START_MS - 15 * MINUTE_MS, 2500, 2500, 2500, 2500, 18.75],
      [REPLAY_START_MS, 2500, 2510, 2490, 2505, 1.25],
    ]);
  });

  test("the ticker shows the last price", async () => {
    await start([["2500.00", "2510.00", "2490.00", "2505.00"]]);
    simulator.control.step();
    expect(await client.fetchTicker(SYMBOL)).toMatchObject({
      last: 2505,
      bid: 2505,
      ask: 2505,
      high: 2510,
    });
  });
});

describe("account", () => {
  test("the balance is the registered one", async () => {
    await start();
    const balance = await client.fetchBalance();
    expect(balance["USDT"]).toMatchObject({ total: 1_000, free: 1_000, used: 0 });
  });

  test("a key tells its scopes", async () => {
    await start();
    const answer = await client["privateGetV5UserQueryApi"]();
    expect(answer["result"]).toMatchObject({
      apiKey: KEY.apiKey,
      readOnly: 0,
      permissions: { ContractTrade: ["Order", "Position"], Wallet: [] },
      ips: ["*"],
      uta: 1,
    });
    expect(Number(answer["result"].userID)).toBeGreaterThan(0);
    expect(Date.parse(answer["result"].expiredAt)).toBeGreaterThan(Date.now());
  });

  test("leverage is set once, then 110043", async () => {
    await start();
    await client.setLeverage(3, SYMBOL);
    await expect(client.setLeverage(3, SYMBOL)).rejects.toThrow(/110043/);
    await expect(client.setLeverage(101, SYMBOL)).rejects.toThrow(/110013/);
    const [position] = await client.fetchPositions([SYMBOL]);
    expect(position).toMatchObject({ leverage: 3, contracts: 0, hedged: false });
  });

  test("an account in hedge mode shows two positions and takes no orders until it is switched back", async () => {
    await start();
    await expect(client.setPositionMode(false, SYMBOL)).rejects.toThrow(NoChange);
    await client.setPositionMode(true, SYMBOL);
    await expect(client.setPositionMode(true, SYMBOL)).rejects.toThrow(/110025/);
    const positions = await client.fetchPositions([SYMBOL]);
    const shown = z.array(z.looseObject({ positionIdx: z.number() }));
    expect(shown.parse(positions.map(({ info }): unknown => info))).toMatchObject([
      { positionIdx: 1 },
      { positionIdx: 2 },
    ]);
    expect(positions.map(({ hedged }) => hedged)).toEqual([true, true]);
    await expect(raw({})).rejects.toThrow(/position idx not match position mode/);
    await expect(raw({ positionIdx: 1 })).rejects.toThrow(/hedge mode are not simulated/);
    await client.setPositionMode(false, SYMBOL);
    await expect(raw({ positionIdx: 1 })).rejects.toThrow(/position idx not match position mode/);
    await raw({});
  });

  test("the position mode stays while there are orders or positions", async () => {
    await start();
    await client.createOrder(SYMBOL, "limit", "buy", 0.1, 2450);
    await expect(client.setPositionMode(true, SYMBOL)).rejects.toThrow(/110028/);
    await client.cancelAllOrders(SYMBOL);
    await client.createOrder(SYMBOL, "market", "buy", 0.1);
    simulator.control.step();
    await expect(client.setPositionMode(true, SYMBOL)).rejects.toThrow(/110024/);
  });
});

describe("orders", () => {
  test("a market order fills at the next open, with its stop and target", async () => {
    await start([["2501.50", "2502.00", "2500.00", "2502.00"]]);
    const created = await openWithProtection("entry-1");
    expect(created.id).toMatch(/^[0-9a-f-]{36}$/);
    const [waiting] = await client.fetchOpenOrders(SYMBOL, undefined, undefined, {
      orderLinkId: "entry-1",
    });
    expect(waiting).toMatchObject({
      id: created.id,
      clientOrderId: "entry-1",
      status: "open",
      filled: 0,
    });

    simulator.control.step();
    const order = await closedOrder("entry-1");
    expect(order).toMatchObject({ status: "closed", filled: 0.1, average: 2501.5, cost: 250.15 });
    expect(order?.fee).toEqual({ cost: 0.1375825, currency: "USDT" });
    const [position] = await client.fetchPositions([SYMBOL]);
    expect(position).toMatchObject({
      side: "long",
      contracts: 0.1,
      entryPrice: 2501.5,
      unrealizedPnl: 0.05,
      stopLossPrice: 2475,
      takeProfitPrice: 2550,
      leverage: 10,
    });
    const exits = await client.fetchOpenOrders(SYMBOL);
    const shown = exits.map(({ info }) => ExitOrder.parse(info));
    const common = { orderStatus: "Untriggered", side: "Sell", qty: "0.1", reduceOnly: true };
    expect(shown).toEqual(
      expect.arrayContaining([
        { stopOrderType: "StopLoss", triggerPrice: "2475", ...common },
        { stopOrderType: "TakeProfit", triggerPrice: "2550", ...common },
      ]),
    );
    expect(exits).toHaveLength(2);
  });

  test("an order sent after the open fills at that candle's close", async () => {
    await start([
      ["2510.00", "2510.00", "2510.00", "2510.00"],
      ["2511.00", "2512.00", "2509.00", "2512.00"],
    ]);
    simulator.control.setSpeed(20);
    while (simulator.control.clock().candlesEmitted < 1) await client.sleep(1);
    simulator.control.setSpeed(0);
    await client.createOrder(SYMBOL, "market", "buy", 0.1);
    // Paused: the market stands still and the order is filled at the last price at once.
    const [trade] = await client.fetchMyTrades(SYMBOL);
    expect(trade?.price).toBe(2510);
  });

  test.for<[name: string, side: "buy" | "sell", candle: Prices, exit: string, price: number]>([
    [
      "stop inside the candle",
      "buy",
      ["2500.00", "2510.00", "2470.00", "2480.00"],
      "StopLoss",
      2475,
    ],
    [
      "target inside the candle",
      "buy",
      ["2500.00", "2555.00", "2490.00", "2540.00"],
      "TakeProfit",
      2550,
    ],
    [
      "the stop first when both are reached",
      "buy",
      ["2500.00", "2560.00", "2470.00", "2540.00"],
      "StopLoss",
      2475,
    ],
    [
      "a stop that is just touched",
      "buy",
      ["2500.00", "2500.00", "2475.00", "2480.00"],
      "StopLoss",
      2475,
    ],
    [
      "an open below the stop",
      "buy",
      ["2460.00", "2500.00", "2450.00", "2480.00"],
      "StopLoss",
      2460,
    ],
    [
      "an open above the target",
      "buy",
      ["2560.00", "2570.00", "2400.00", "2540.00"],
      "TakeProfit",
      2560,
    ],
    ["stop of a short", "sell", ["2500.00", "2551.00", "2480.00", "2490.00"], "StopLoss", 2550],
    ["target of a short", "sell", ["2500.00", "2501.00", "2470.00", "2490.00"], "TakeProfit", 2475],
  ])("exit by %s", async ([, side, candle, exit, price]) => {
    await start([still, candle]);
    await openWithProtection("entry", side);
    simulator.control.step(2);
    expect(await client.fetchOpenOrders(SYMBOL)).toEqual([]);
    expect((await client.fetchPositions([SYMBOL]))[0]?.contracts).toBe(0);
    const history = await client.fetchCanceledAndClosedOrders(SYMBOL);
    const byType = new Map(history.map((order) => [order.info.stopOrderType, order]));
    expect(byType.get(exit)).toMatchObject({ status: "closed", average: price, filled: 0.1 });
    const other = byType.get(exit === "StopLoss" ? "TakeProfit" : "StopLoss");
    expect(other?.info).toMatchObject({
      orderStatus: "Deactivated",
      cancelType: "CancelByTpSlTsClear",
    });
    const { balance, initialBalance } = account().wallet;
    expect(new Decimal(initialBalance).plus(cashFlow()).toFixed()).toBe(balance);
  });

  test("a client order id is unique for good", async () => {
    await start();
    await openWithProtection("once");
    await expect(openWithProtection("once")).rejects.toThrow(InvalidOrder);
    await expect(openWithProtection("once")).rejects.toThrow(/110072/);
    simulator.control.step();
    await client.createOrder(SYMBOL, "market", "sell", 0.1, undefined, { reduceOnly: true });
    simulator.control.step();
    await expect(openWithProtection("once")).rejects.toThrow(/110072/);
    expect(account().orders.filter((order) => order.orderLinkId === "once")).toHaveLength(1);
  });

  test("a limit order rests, is amended, and fills at its price when it is reached", async () => {
    await start([still, ["2500.00", "2500.00", "2481.00", "2500.00"]]);
    const { id } = await client.createOrder(SYMBOL, "limit", "buy", 0.1, 2450, {
      clientOrderId: "limit",
    });
    await client.editOrder(id ?? "", SYMBOL, "limit", "buy", 0.2, 2482);
    simulator.control.step();
    const [open] = await client.fetchOpenOrders(SYMBOL, undefined, undefined, {
      orderLinkId: "limit",
    });
    expect(open).toMatchObject({ id, price: 2482, amount: 0.2, status: "open" });
    simulator.control.step();
    expect(await closedOrder("limit")).toMatchObject({ status: "closed", average: 2482 });
    const [trade] = await client.fetchMyTrades(SYMBOL);
    expect(trade).toMatchObject({
      takerOrMaker: "maker",
      fee: { cost: 0.09928, currency: "USDT" },
    });
  });

  test("an unchanged amendment is refused", async () => {
    await start();
    const { id } = await client.createOrder(SYMBOL, "limit", "buy", 0.1, 2450);
    await expect(client.editOrder(id ?? "", SYMBOL, "limit", "buy", 0.1, 2450)).rejects.toThrow(
      /10001/,
    );
  });

  test("cancelling frees the margin; a second time the order is gone", async () => {
    await start();
    const { id } = await client.createOrder(SYMBOL, "limit", "buy", 0.1, 2450, {
      clientOrderId: "c",
    });
    expect((await client.fetchBalance())["USDT"]?.used).toBeCloseTo(24.756025, 6);
    await client.cancelOrder(id ?? "", SYMBOL);
    expect((await client.fetchBalance())["USDT"]).toMatchObject({ used: 0 });
    expect(await closedOrder("c")).toMatchObject({ status: "canceled", filled: 0 });
    await expect(client.cancelOrder(id ?? "", SYMBOL)).rejects.toThrow(OrderNotFound);
  });

  test("an order is cancelled by its client order id", async () => {
    await start();
    await client.createOrder(SYMBOL, "limit", "buy", 0.1, 2450, { clientOrderId: "mine" });
    await client["privatePostV5OrderCancel"]({
      category: "linear",
      symbol: "ETHUSDT",
      orderLinkId: "mine",
    });
    expect(await client.fetchOpenOrders(SYMBOL)).toEqual([]);
  });

  test("cancel-all spares stops only when told to", async () => {
    await start();
    await openWithProtection("entry");
    simulator.control.step();
    await client.createOrder(SYMBOL, "limit", "buy", 0.1, 2400);
    await client.cancelAllOrders(SYMBOL, { orderFilter: "Order" });
    expect(await client.fetchOpenOrders(SYMBOL)).toHaveLength(2);
    await client.cancelAllOrders(SYMBOL);
    expect(await client.fetchOpenOrders(SYMBOL)).toEqual([]);
    expect((await client.fetchPositions([SYMBOL]))[0]?.contracts).toBe(0.1);
  });

  test("a reduce-only close is cut to the position and takes stop and target with it", async () => {
    await start();
    await openWithProtection("entry");
    simulator.control.step();
    await client.createOrder(SYMBOL, "market", "sell", 5, undefined, {
      reduceOnly: true,
      clientOrderId: "close",
    });
    simulator.control.step();
    expect(await closedOrder("close")).toMatchObject({
      status: "closed",
      filled: 0.1,
      amount: 0.1,
    });
    expect(await client.fetchOpenOrders(SYMBOL)).toEqual([]);
    const attempt = client.createOrder(SYMBOL, "market", "sell", 0.1, undefined, {
      reduceOnly: true,
    });
    await expect(attempt).rejects.toThrow(/110017/);
  });

  test("trading-stop moves stop and target; the same again is not modified", async () => {
    await start();
    await openWithProtection("entry");
    simulator.control.step();
    const request = {
      category: "linear",
      symbol: "ETHUSDT",
      stopLoss: "2480",
      takeProfit: "2560",
      tpslMode: "Full",
      positionIdx: 0,
    };
    await client["privatePostV5PositionTradingStop"](request);
    expect((await client.fetchPositions([SYMBOL]))[0]).toMatchObject({
      stopLossPrice: 2480,
      takeProfitPrice: 2560,
    });
    expect(await client.fetchOpenOrders(SYMBOL)).toHaveLength(2);
    await expect(client["privatePostV5PositionTradingStop"](request)).rejects.toThrow(/34040/);
    await client["privatePostV5PositionTradingStop"]({ ...request, takeProfit: "0" });
    const left = await client.fetchOpenOrders(SYMBOL);
    expect(left.map(({ info }) => ExitOrder.parse(info).stopOrderType)).toEqual(["StopLoss"]);
  });

  test("a stop order of its own fires and reduces", async () => {
    await start([still, ["2500.00", "2500.00", "2470.00", "2480.00"]]);
    await client.createOrder(SYMBOL, "market", "buy", 0.1);
    simulator.control.step();
    const { id } = await client.createOrder(SYMBOL, "market", "sell", 0.1, undefined, {
      stopLossPrice: 2480,
    });
    const [stop] = await client.fetchOpenOrders(SYMBOL, undefined, undefined, { trigger: true });
    expect(stop).toMatchObject({ id, triggerPrice: 2480, reduceOnly: true, stopLossPrice: 2480 });
    simulator.control.step();
    expect((await client.fetchPositions([SYMBOL]))[0]?.contracts).toBe(0);
  });

  test.for<[name: string, attempt: () => Promise<unknown>, code: RegExp]>([
    ["a quantity off the step", () => raw({ qty: "0.105" }), /10001.*Qty invalid/],
    ["a quantity below the least", () => raw({ qty: "0.00" }), /10001/],
    ["a quantity above the most", () => raw({ qty: "725" }), /10001.*too large/],
    [
      "a price off the tick",
      () => raw({ orderType: "Limit", price: "2450.005" }),
      /10001.*Price invalid/,
    ],
    ["a limit order without price", () => raw({ orderType: "Limit" }), /10001/],
    ["more than the balance carries", () => raw({ qty: "5" }), /110007/],
    [
      "a value below 5 USDT",
      () => raw({ qty: "0.01", orderType: "Limit", price: "499" }),
      /110094/,
    ],
    [
      "a stop above a long's entry",
      () => raw({ stopLoss: "2600" }),
      /10001.*StopLoss.*should be lower/,
    ],
    [
      "a target below a long's entry",
      () => raw({ takeProfit: "2400" }),
      /10001.*TakeProfit.*should be higher/,
    ],
    ["hedge mode", () => raw({ positionIdx: 1 }), /10001.*position idx/],
    ["an id of 37 characters", () => raw({ orderLinkId: "x".repeat(37) }), /10001/],
    ["an unknown symbol", () => raw({ symbol: "XRPUSDT" }), /10001/],
    ["another category", () => raw({ category: "inverse" }), /10001/],
    [
      "a trailing limit stop",
      () => raw({ stopLoss: "2400", slLimitPrice: "2399" }),
      /10001.*slLimitPrice is not simulated/,
    ],
    [
      "a rising trigger below the price",
      () => raw({ triggerPrice: "2400", triggerDirection: 1 }),
      /110092/,
    ],
    [
      "a falling trigger above the price",
      () => raw({ triggerPrice: "2600", triggerDirection: 2 }),
      /110093/,
    ],
  ])("refused: %s", async ([, attempt, code]) => {
    await start();
    await expect(attempt()).rejects.toThrow(code);
    expect(account()).toMatchObject({ orders: [], executions: [] });
  });
});

describe("money", () => {
  test("many trades: executions and wallet agree to the last decimal, over pages", async () => {
    const wild = Array.from({ length: 30 }, (_, i): Prices => {
      const [open, close] = [2500.01 + 7.13 * ((i * 5) % 9), 2500.01 + 7.13 * (((i + 1) * 5) % 9)];
      const [high, low] = [Math.max(open, close) + 0.37, Math.min(open, close) - 0.53];
      const [a, b, c, d] = [open, high, low, close].map((price) => price.toFixed(2));
      return [a ?? "", b ?? "", c ?? "", d ?? ""];
    });
    await start(wild);
    const plan = ["buy 0.13", "sell 0.05", "buy 0.11", "sell 0.41", "buy 0.07", "buy 0.15"];
    for (const step of [...plan, ...plan, ...plan]) {
      const [side, amount] = step.split(" ");
      await client.createOrder(SYMBOL, "market", side, Number(amount));
      simulator.control.step();
    }
    const { wallet, positions, executions } = account();
    expect(positions).toEqual([]);
    expect(new Decimal(BALANCE).plus(cashFlow()).toFixed()).toBe(wallet.balance);
    const realised = executions.reduce(
      (sum, { realisedPnl, fee }) => sum.plus(realisedPnl).minus(fee),
      new Decimal(BALANCE),
    );
    expect(realised.toFixed()).toBe(wallet.balance);

    const paged: string[] = [];
    for (let cursor = ""; cursor !== "end";) {
      const query = { category: "linear", symbol: "ETHUSDT", limit: 5, cursor };
      const page = ExecutionPage.parse(await client["privateGetV5ExecutionList"](query)).result;
      paged.push(...page.list.map(({ execId }) => execId));
      cursor = page.nextPageCursor || "end";
    }
    // Newest first.
    expect(paged.toReversed()).toEqual(executions.map(({ executionId }) => executionId));
    const balance = await client.fetchBalance();
    expect(balance.info.result.list[0].coin[0].walletBalance).toBe(wallet.balance);
  });

  test("equity moves with the last price, the wallet does not", async () => {
    await start([still, ["2500.00", "2510.00", "2500.00", "2510.00"]]);
    await client.createOrder(SYMBOL, "market", "buy", 0.1);
    simulator.control.step(2);
    expect(account().wallet).toMatchObject({
      balance: "999.8625",
      unrealisedPnl: "1",
      equity: "1000.8625",
    });
  });
});

describe("access", () => {
  test.for<
    [
      name: string,
      changes: Parameters<typeof clientOf>[1],
      error: new (message: string) => Error,
      code: RegExp,
    ]
  >([
    ["an unknown key", { apiKey: "nobody" }, AuthenticationError, /10003/],
    ["a wrong secret", { apiSecret: "wrong" }, AuthenticationError, /10004/],
    ["a stale timestamp", { timestampOffsetMs: -6_000 }, InvalidNonce, /10002/],
    ["a timestamp ahead of the server", { timestampOffsetMs: 2_000 }, InvalidNonce, /10002/],
  ])("refused: %s", async ([, changes, error, code]) => {
    await start();
    const other = clientOf(simulator, changes);
    const attempt = other["privateGetV5UserQueryApi"]();
    await expect(attempt).rejects.toThrow(error);
    await expect(attempt).rejects.toThrow(code);
    await other.close();
  });

  test("a revoked key is refused at once, and its position stays protected", async () => {
    await start([still, ["2500.00", "2500.00", "2400.00", "2400.00"]]);
    await openWithProtection("entry");
    simulator.control.step();
    expect(simulator.control.revokeKey(KEY.apiKey)).toBe(true);
    await expect(client.fetchBalance()).rejects.toThrow(AuthenticationError);
    simulator.control.step();
    expect(account().positions).toEqual([]);
    expect(account().executions.at(-1)).toMatchObject({
      stopOrderType: "StopLoss",
      price: "2475",
    });
  });

  test("a read-only key and one without trading rights may look but not trade", async () => {
    await start();
    for (const rights of [{ readOnly: true }, { permissions: { ContractTrade: [] } }]) {
      simulator.control.addKey({ ...KEY, balance: BALANCE, ...rights });
      await client.fetchBalance();
      await expect(client.createOrder(SYMBOL, "market", "buy", 0.1)).rejects.toThrow(
        PermissionDenied,
      );
    }
  });

  test("two keys with one user id share an account; others do not", async () => {
    await start();
    const ids = [7, 7, undefined].map(
      (userId, index) =>
        simulator.control.addKey({ apiKey: `k${index}`, apiSecret: "s", balance: "5", userId })
          .userId,
    );
    expect(ids[0]).toBe(7);
    expect(ids[1]).toBe(7);
    expect(ids[2]).not.toBe(7);
  });
});
