import { type bybit, ExchangeError } from "ccxt";
import { Decimal } from "decimal.js";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type { ExchangeSimulator } from "../server.ts";
import type { SettingsChange } from "../settings.ts";
import { clientOf, KEY, MINUTE_MS, type Prices, startScripted, SYMBOL } from "./simulator.ts";

// Fees, partial fills, funding, liquidation, maintenance and delisting, spoken by the real ccxt client.

const still: Prices = ["2500.00", "2500.00", "2500.00", "2500.00"];
const FUNDING_INTERVAL_CANDLES = 480;

let simulator: ExchangeSimulator;
let client: bybit;

afterEach(async () => {
  await client.close();
  await simulator.close();
});

async function start(settings: SettingsChange, future: readonly Prices[] = []): Promise<void> {
  simulator = await startScripted(future);
  client = clientOf(simulator);
  await client.loadMarkets();
  await client.fetchBalance();
  simulator.control.changeSettings(settings);
}

function account() {
  const view = simulator.control.account(KEY.apiKey);
  if (view === undefined) throw new Error("the key is not registered");
  return view;
}

/** A position before the first candle opens: a market that stands still fills at once. */
async function openAtOnce(side: "buy" | "sell", amount: number): Promise<void> {
  simulator.control.setSpeed(0);
  await client.createOrder(SYMBOL, "market", side, amount);
  simulator.control.setSpeed("lockstep");
}

async function post(path: string, body: object) {
  const answer = await fetch(`${simulator.url}/control/${path}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  const parsed: unknown = await answer.json();
  return { status: answer.status, body: parsed };
}

const Executions = z.object({
  result: z.object({ list: z.array(z.looseObject({ execType: z.string() })) }),
});

async function executions(query: object = {}) {
  const answer = await client["privateGetV5ExecutionList"]({
    category: "linear",
    symbol: "ETHUSDT",
    ...query,
  });
  return Executions.parse(answer).result.list;
}

/** The wallet must be what the executions say, to the last decimal. */
function expectBalancedBooks(): void {
  const { wallet, executions: all } = account();
  const sum = all.reduce(
    (total, { realisedPnl, fee }) => total.plus(realisedPnl).minus(fee),
    new Decimal(wallet.initialBalance),
  );
  expect(sum.toFixed()).toBe(wallet.balance);
}

test("where nobody trades a market order is taken and cancelled without a fill", async () => {
  await start({ fills: [{ parts: 1, rest: "unfilled" }] });
  await openAtOnce("buy", 1);
  const [order] = account().orders;
  expect(order).toMatchObject({ status: "Cancelled", filledQuantity: "0" });
  expect([account().positions, account().executions]).toEqual([[], []]);
});

test("where orders fill at once the first part trades before the answer, the other at the next price", async () => {
  await start({ fillsAtOnce: true, fills: [{ parts: 2 }] }, [still]);
  await client.createOrder(SYMBOL, "market", "buy", 0.4);
  expect(account().positions).toMatchObject([{ size: "0.2" }]);
  simulator.control.step(1);
  expect(account().positions).toMatchObject([{ size: "0.4" }]);
  expect(account().orders).toMatchObject([{ status: "Filled" }]);
  expectBalancedBooks();
});

describe("a rest below the least quantity", () => {
  const whole = { reduceOnly: true, closeOnTrigger: true };

  test.each([
    ["is closed by quantity 0", true, 0, "0"],
    ["is not closed by any order", false, 110_017, "0.0003"],
  ] as const)("%s", async (...[, closesBelowMinimum, retCode, left]) => {
    await start({ quantitySteps: { ETHUSDT: "0.0001" }, closesBelowMinimum });
    await client.loadMarkets(true);
    simulator.control.changeSettings({ fills: [{ parts: 10_000, rest: "cancelled" }] });
    await openAtOnce("buy", 2.5);
    simulator.control.changeSettings({ minimumQuantities: { ETHUSDT: "0.001" }, fills: [] });
    const order = { category: "linear", symbol: "ETHUSDT", side: "Sell", orderType: "Market" };
    simulator.control.setSpeed(0);
    const closing = client["privatePostV5OrderCreate"]({ ...order, qty: "0", ...whole });
    const said = await closing.then(JSON.stringify, String);
    expect(said).toMatch(new RegExp(`"retCode":"?${retCode}`));
    expect(account().positions.map(({ size }) => size)).toEqual(left === "0" ? [] : [left]);
  });
});

const protections = () =>
  account()
    .orders.filter(({ stopOrderType }) => stopOrderType !== "")
    .map(({ stopOrderType, status }) => `${stopOrderType} ${status}`);

async function orphaned() {
  await start({ orphanedStopsMs: 60_000 });
  simulator.control.setSpeed(0);
  await client.createOrder(SYMBOL, "market", "buy", 0.1, undefined, {
    takeProfit: { triggerPrice: "2600" },
    stopLoss: { triggerPrice: "2400" },
  });
  await client.createOrder(SYMBOL, "market", "sell", 0.1, undefined, { reduceOnly: true });
  expect(account().positions).toEqual([]);
  expect(protections()).toEqual(["StopLoss Untriggered", "TakeProfit Untriggered"]);
}

describe("stop and target that outlive their position", () => {
  test("are no part of the next one, and can be cancelled", async () => {
    await orphaned();
    await client.createOrder(SYMBOL, "market", "buy", 0.2);
    expect(account().positions).toMatchObject([{ size: "0.2", stopLoss: null, takeProfit: null }]);
    const orders = await client.fetchOpenOrders(SYMBOL);
    expect(orders.map(({ amount }) => amount)).toEqual([0.1, 0.1]);
    for (const { id } of orders) await client.cancelOrder(String(id), SYMBOL);
    expect(protections()).toEqual(["StopLoss Deactivated", "TakeProfit Deactivated"]);
  });

  test("end after their time", async () => {
    await orphaned();
    simulator.control.setSkew(60_000);
    simulator.control.setSpeed("lockstep");
    simulator.control.step();
    expect(protections()).toEqual(["StopLoss Deactivated", "TakeProfit Deactivated"]);
  });
});

describe("fees", () => {
  test("taker and maker rates are those of the settings", async () => {
    await start({ takerFeeRate: "0.001", makerFeeRate: "0" }, [
      still,
      ["2500.00", "2500.00", "2490.00", "2500.00"],
    ]);
    expect(await client.fetchTradingFee(SYMBOL)).toMatchObject({ taker: 0.001, maker: 0 });
    await client.createOrder(SYMBOL, "market", "buy", 0.1);
    await client.createOrder(SYMBOL, "limit", "buy", 0.1, 2490);
    simulator.control.step(2);
    const trades = await client.fetchMyTrades(SYMBOL);
    expect(trades.map(({ takerOrMaker, fee }) => [takerOrMaker, fee?.cost])).toEqual([
      ["taker", 0.25],
      ["maker", 0],
    ]);
    expectBalancedBooks();
  });
});

test("margins are reckoned with the settings' fees, as the ledger is", async () => {
  await start({ takerFeeRate: "0.001" }, [still]);
  await openAtOnce("buy", 0.4);
  // Ten times leverage by default: 1000/10 and the closing fee 900 × 0.001; the opening fee has left the wallet.
  const { wallet } = account();
  expect([wallet.balance, wallet.available]).toEqual(["999", "898.1"]);
  const [position] = await client.fetchPositions([SYMBOL]);
  expect(position?.info).toMatchObject({ positionIM: "100.9", positionMM: "5.9" });
});

describe("partial fills", () => {
  test("an order is open while it is filled in parts, and trades add up", async () => {
    await start({ fills: [{ symbol: "ETHUSDT", parts: 3 }] }, [still, still]);
    await client.createOrder(SYMBOL, "market", "buy", 0.1, undefined, { clientOrderId: "parts" });
    simulator.control.halfStep();
    const [order] = await client.fetchOpenOrders(SYMBOL, undefined, undefined, {
      orderLinkId: "parts",
    });
    expect(order).toMatchObject({ status: "open", filled: 0.04, remaining: 0.06 });
    expect(order?.info).toMatchObject({ orderStatus: "PartiallyFilled", leavesQty: "0.06" });
    simulator.control.step(2);
    const [closed] = await client.fetchCanceledAndClosedOrders(SYMBOL);
    expect(closed).toMatchObject({ status: "closed", filled: 0.1, cost: 250 });
    const trades = await client.fetchMyTrades(SYMBOL);
    expect(trades.map(({ amount }) => amount)).toEqual([0.04, 0.04, 0.02]);
    expectBalancedBooks();
  });

  test("the rest of a market order is cancelled; Bybit says Cancelled with an executed quantity", async () => {
    await start({ fills: [{ parts: 2, rest: "cancelled" }] });
    await client.createOrder(SYMBOL, "market", "buy", 0.1);
    simulator.control.step();
    const [order] = await client.fetchCanceledAndClosedOrders(SYMBOL);
    expect(order).toMatchObject({ status: "canceled", filled: 0.05 });
    expect(order?.info).toMatchObject({ orderStatus: "Cancelled", cumExecQty: "0.05" });
    expect((await client.fetchPositions([SYMBOL]))[0]?.contracts).toBe(0.05);
  });

  test("a market that stands still fills all parts at once; a partly filled limit can be cancelled", async () => {
    await start({ fills: [{ parts: 2 }] }, [["2500.00", "2500.00", "2480.00", "2500.00"]]);
    await openAtOnce("buy", 0.1);
    expect(account().executions.map(({ quantity }) => quantity)).toEqual(["0.05", "0.05"]);
    const { id } = await client.createOrder(SYMBOL, "limit", "buy", 0.1, 2490);
    simulator.control.step();
    await expect(client.editOrder(id ?? "", SYMBOL, "limit", "buy", 0.05, 2480)).rejects.toThrow(
      /110064/,
    );
    const amendment = { category: "linear", symbol: "ETHUSDT", orderId: id, stopLoss: "2400" };
    await expect(client["privatePostV5OrderAmend"](amendment)).rejects.toThrow(/110059/);
    await client.cancelOrder(id ?? "", SYMBOL);
    const orders = await client.fetchCanceledAndClosedOrders(SYMBOL);
    expect(orders.find((order) => order.id === id)).toMatchObject({
      status: "canceled",
      filled: 0.05,
    });
  });

  test("other accounts are filled whole", async () => {
    await start({});
    const { userId } = simulator.control.addKey({ apiKey: "o", apiSecret: "s", balance: "1000" });
    simulator.control.changeSettings({ fills: [{ userId, parts: 2, rest: "cancelled" }] });
    await client.createOrder(SYMBOL, "market", "buy", 0.1);
    simulator.control.step();
    expect(account().positions).toMatchObject([{ size: "0.1" }]);
  });
});

describe("funding", () => {
  test.for<[name: string, side: "buy" | "sell", rate: string, fee: string]>([
    ["a long pays a rate above zero", "buy", "0.0001", "0.025"],
    ["a short receives it", "sell", "0.0001", "-0.025"],
    ["a long receives a rate below zero", "buy", "-0.0003", "-0.075"],
  ])("%s", async ([, side, rate, fee]) => {
    await start({ fundingRates: { ETHUSDT: rate } }, [still]);
    await openAtOnce(side, 0.1);
    const before = new Decimal(account().wallet.balance);
    simulator.control.step(3);
    const funding = await executions({ execType: "Funding" });
    expect(funding).toHaveLength(1);
    expect(funding[0]).toMatchObject({
      execFee: fee,
      execValue: "250",
      orderQty: "0",
      orderType: "UNKNOWN",
      side: side === "buy" ? "Buy" : "Sell",
      closedSize: "0",
    });
    expect(before.minus(account().wallet.balance).toFixed()).toBe(fee);
    const [position] = await client.fetchPositions([SYMBOL]);
    const opening = new Decimal("0.1375");
    expect(position?.info["curRealisedPnl"]).toBe(opening.plus(fee).negated().toFixed());
    // What asks for trades sees trades; what asks for everything sees both.
    expect(await client.fetchMyTrades(SYMBOL)).toHaveLength(1);
    expect((await executions()).map(({ execType }) => execType)).toEqual(["Funding", "Trade"]);
    expectBalancedBooks();
  });

  test("it comes every eight hours, to open positions only, and the ticker tells it", async () => {
    await start({ fundingRates: { ETHUSDT: "0.0001" } });
    const ticker = await client.fetchTicker(SYMBOL);
    expect(ticker.info).toMatchObject({ fundingRate: "0.0001" });
    simulator.control.step();
    await client.createOrder(SYMBOL, "market", "buy", 0.1);
    simulator.control.step(39);
    const next = Number((await client.fetchTicker(SYMBOL)).info["nextFundingTime"]);
    expect((next - simulator.control.clock().replayTime) / MINUTE_MS).toBe(
      FUNDING_INTERVAL_CANDLES - 40,
    );
    expect(await executions({ execType: "Funding" })).toEqual([]);
  });
});

describe("liquidation", () => {
  const crash: Prices = ["2500.00", "2500.00", "2000.00", "2000.00"];

  test("an account that its margin no longer covers loses its position and everything in it", async () => {
    await start({ liquidation: true }, [still, crash]);
    // 1,000 USDT carry 3 ETH at 2,500: liquidated where 1000 + 3 P − 7500 − fee falls to the maintenance margin.
    await client.createOrder(SYMBOL, "market", "buy", 3);
    await client.createOrder(SYMBOL, "limit", "buy", 0.1, 1900);
    simulator.control.step();
    const [position] = await client.fetchPositions([SYMBOL]);
    const liquidationPrice = Number(position?.liquidationPrice);
    expect(liquidationPrice).toBeGreaterThan(2_166);
    expect(liquidationPrice).toBeLessThan(2_190);
    simulator.control.step();
    const { positions, orders, executions: all, wallet } = account();
    expect(positions).toEqual([]);
    expect(all.at(-1)).toMatchObject({ type: "BustTrade", side: "Sell", quantity: "3" });
    expect(Number(all.at(-1)?.price)).toBeLessThan(liquidationPrice);
    expect(orders.find(({ price }) => price === "1900")).toMatchObject({
      status: "Cancelled",
      cancelType: "CancelAllBeforeLiq",
    });
    expect(Number(wallet.balance)).toBeGreaterThanOrEqual(0);
    expect(Number(wallet.balance)).toBeLessThan(0.05);
    expectBalancedBooks();
    expect((await executions())[0]).toMatchObject({
      execType: "BustTrade",
      createType: "CreateByTakeOver_PassThrough",
    });
  });

  test("a short is liquidated above its entry", async () => {
    await start({ liquidation: true }, [still, ["2500.00", "3000.00", "2500.00", "3000.00"]]);
    await client.createOrder(SYMBOL, "market", "sell", 3);
    simulator.control.step();
    const [position] = await client.fetchPositions([SYMBOL]);
    expect(Number(position?.liquidationPrice)).toBeGreaterThan(2_800);
    simulator.control.step();
    expect(account().executions.at(-1)).toMatchObject({ type: "BustTrade", side: "Buy" });
    expect(Number(account().wallet.balance)).toBeGreaterThanOrEqual(0);
    expectBalancedBooks();
  });

  test.for<[name: string, stop: string, type: string, end: string]>([
    ["a stop before the liquidation price saves the rest", "2400", "Trade", "Filled UNKNOWN"],
    ["a stop beyond it comes too late", "2050", "BustTrade", "Deactivated CancelByTpSlTsClear"],
  ])("%s", async ([, stop, type, end]) => {
    await start({ liquidation: true }, [still, crash]);
    await client.createOrder(SYMBOL, "market", "buy", 3, undefined, {
      stopLoss: { triggerPrice: stop },
    });
    simulator.control.step(2);
    expect(account().positions).toEqual([]);
    expect(account().executions.at(-1)).toMatchObject({ type });
    const [, exit] = account().orders;
    expect(`${exit?.status} ${exit?.cancelType}`).toBe(end);
    expectBalancedBooks();
  });

  test("nothing is liquidated unless it is asked for", async () => {
    await start({}, [still, crash]);
    await client.createOrder(SYMBOL, "market", "buy", 3);
    simulator.control.step(2);
    expect(account().positions).toMatchObject([{ size: "3" }]);
    expect((await client.fetchPositions([SYMBOL]))[0]?.info["liqPrice"]).toBe("");
  });
});

describe("maintenance", () => {
  test("private requests are refused, nothing is matched, public data go on; then stops catch up", async () => {
    await start({}, [
      still,
      ["2480.00", "2490.00", "2400.00", "2410.00"],
      ["2420.00", "2420.00", "2420.00", "2420.00"],
    ]);
    await client.createOrder(SYMBOL, "market", "buy", 0.1, undefined, {
      stopLoss: { triggerPrice: "2475" },
    });
    simulator.control.step();
    simulator.control.changeSettings({ maintenance: true });
    await expect(client.fetchPositions([SYMBOL])).rejects.toThrow(/10016/);
    await expect(client.createOrder(SYMBOL, "market", "sell", 0.1)).rejects.toThrow(ExchangeError);
    simulator.control.step();
    expect((await client.fetchTicker(SYMBOL)).last).toBe(2410);
    expect(account().positions).toMatchObject([{ size: "0.1" }]);
    simulator.control.changeSettings({ maintenance: false });
    simulator.control.step();
    expect(account().positions).toEqual([]);
    expect(account().executions.at(-1)).toMatchObject({ stopOrderType: "StopLoss", price: "2420" });
    expect(account().orders).toHaveLength(2);
  });
});

describe("delisting", () => {
  test("an announced end lets positions shrink, the end settles them and cancels orders", async () => {
    await start({}, [still, still]);
    await client.createOrder(SYMBOL, "market", "buy", 0.2, undefined, {
      stopLoss: { triggerPrice: "2400" },
    });
    await client.createOrder(SYMBOL, "limit", "buy", 0.1, 2450);
    simulator.control.step();
    simulator.control.setSymbolStatus("ETHUSDT", "ReduceOnly");
    await expect(client.createOrder(SYMBOL, "market", "buy", 0.1)).rejects.toThrow(/30228/);
    await client.createOrder(SYMBOL, "market", "sell", 0.1, undefined, { reduceOnly: true });
    simulator.control.step();
    simulator.control.setSymbolStatus("ETHUSDT", "Closed");
    const { positions, orders, executions: all } = account();
    expect(positions).toEqual([]);
    expect(all.at(-1)).toMatchObject({
      type: "Delivery",
      side: "Sell",
      quantity: "0.1",
      price: "2500",
      fee: "0",
    });
    const ends = orders.map(({ status, cancelType }) => `${status} ${cancelType}`);
    expect(ends).toEqual([
      "Filled UNKNOWN",
      "Cancelled CancelBySettle",
      "Deactivated CancelBySettle",
      "Filled UNKNOWN",
    ]);
    await expect(client.createOrder(SYMBOL, "market", "buy", 0.1)).rejects.toThrow(/110074/);
    expect(Object.keys(await client.loadMarkets(true))).toEqual([]);
    expectBalancedBooks();
  });

  test("over HTTP; a symbol that is not replayed is refused", async () => {
    await start({});
    expect((await post("symbols", { symbol: "ETHUSDT", status: "Closed" })).status).toBe(200);
    await expect(client.createOrder(SYMBOL, "market", "buy", 0.1)).rejects.toThrow(ExchangeError);
    expect((await post("symbols", { symbol: "XRPUSDT", status: "Closed" })).status).toBe(400);
    expect((await post("symbols", { symbol: "ETHUSDT", status: "Trading" })).status).toBe(200);
    await client.createOrder(SYMBOL, "market", "buy", 0.1);
  });
});

test("settings over HTTP: what is given changes, what makes no sense is refused", async () => {
  await start({});
  expect(await post("settings", { takerFeeRate: "0.001", maintenance: true })).toMatchObject({
    status: 200,
    body: { takerFeeRate: "0.001", makerFeeRate: "0.0002", maintenance: true, liquidation: false },
  });
  expect((await post("settings", { maintenance: false })).body).toMatchObject({
    takerFeeRate: "0.001",
  });
  for (const wrong of [
    { takerFeeRate: "1.5" },
    { fills: [{ parts: 0 }] },
    { fundingRates: { ETHUSDT: 0.1 } },
    { liquidatoin: true },
  ]) {
    const { status } = await post("settings", wrong);
    expect({ wrong, status }).toEqual({ wrong, status: 400 });
  }
});
