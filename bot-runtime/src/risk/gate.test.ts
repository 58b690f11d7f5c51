import { BotConfig, Risk } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import type { Market } from "../exchange/exchange.ts";
import { amount, price, quantity } from "../money.ts";
import {
  blocked,
  committedMargin,
  type EntryProposal,
  entryRefusal,
  type SizedEntry,
  type Standing,
} from "./gate.ts";

const risk = Risk.parse({});
const config: Standing["config"] = { state: "Running", autoTrade: true, halts: [], risk };
const SYMBOL = "BTC/USDT:USDT";

const market: Market = {
  symbol: SYMBOL,
  quoteCurrency: "USDT",
  tick: price("0.1"),
  quantityStep: quantity("0.001"),
  minimumQuantity: quantity("0.001"),
  maximumQuantity: quantity("119"),
  minimumValue: amount("5"),
  maximumLeverage: 100,
};

const size = {
  quantity: quantity("0.046"),
  value: amount("4927.6764"),
  margin: amount("492.76764"),
};

const standing: Standing = {
  config,
  symbol: SYMBOL,
  symbolTraded: true,
  journal: "ready",
  leaseRemainingMs: 15_000,
  key: undefined,
  reconciled: true,
  foreign: undefined,
  unusable: undefined,
  consecutiveErrors: 0,
  dataAgeMs: 1_000,
  clock: { skewMs: 0, uncertaintyMs: 20 },
  stalledMs: undefined,
  dayBaseline: amount("10000"),
  dayResult: amount("0"),
};
const outlook = { size, equity: amount("10000"), market };

const proposal: EntryProposal = {
  risk,
  confidence: 75,
  size,
  equity: amount("10000"),
  committed: amount("0"),
  price: price("107123.4"),
  market,
};

const halted = (symbols: string[] | null) => ({
  config: { ...config, halts: [{ name: "h", uid: "u", action: "Flatten" as const, symbols }] },
});
const sized = (units: string, value: string, equity = "10000") => ({
  size: { quantity: quantity(units), value: amount(value), margin: amount("1") },
  equity: amount(equity),
  market,
});

const margin = (text: string) => ({ size: { ...size, margin: amount(text) } });

describe("what stands", () => {
  const changes: readonly [string, Partial<Standing>, string | undefined][] = [
    ["all is well", {}, undefined],
    ["paused", { config: { ...config, state: "Paused" } }, "NotRunning"],
    ["stopped", { config: { ...config, state: "Stopped" } }, "NotRunning"],
    ["retired", { config: { ...config, state: "Retired" } }, "NotRunning"],
    ["a halt of everything", halted(null), "Halted"],
    ["a halt of this symbol", halted(["ETH/USDT:USDT", SYMBOL]), "Halted"],
    ["a halt of another symbol", halted(["ETH/USDT:USDT"]), undefined],
    ["autoTrade off", { config: { ...config, autoTrade: false } }, "AutoTradeOff"],
    ["an unusable exchange", { unusable: { reason: "HedgeMode", message: "hedge" } }, "HedgeMode"],
    ["a key that is unfit", { key: { reason: "WrongAccount", message: "…" } }, "WrongAccount"],
    ["a removed symbol", { symbolTraded: false }, "SymbolRemoved"],
    ["a lost epoch", { journal: "stale" }, "StaleEpoch"],
    ["no journal", { journal: "unavailable" }, "JournalUnavailable"],
    ["a lease that just suffices", { leaseRemainingMs: 6_000 }, undefined],
    ["a lease that ends within an order's window", { leaseRemainingMs: 5_999 }, "NoLease"],
    ["no lease", { leaseRemainingMs: 0 }, "NoLease"],
    ["not reconciled", { reconciled: false }, "NotReconciled"],
    ["a foreign position", { foreign: "somebody's position" }, "ForeignPosition"],
    ["one error short of the limit", { consecutiveErrors: 4 }, undefined],
    ["the error limit", { consecutiveErrors: 5 }, "Disabled"],
    ["a stall", { stalledMs: 2_000 }, "EventLoopStalled"],
    ["no candle yet", { dataAgeMs: undefined }, "StaleData"],
    ["data at the limit", { dataAgeMs: 90_000 }, undefined],
    ["old data", { dataAgeMs: 90_001 }, "StaleData"],
    ["a clock that was not measured", { clock: undefined }, "ClockSkew"],
    ["a time just certain enough", { clock: { skewMs: 0, uncertaintyMs: 1_000 } }, undefined],
    ["an uncertain time", { clock: { skewMs: 0, uncertaintyMs: 1_001 } }, "ClockSkew"],
    ["a clock ahead by as much", { clock: { skewMs: 300_000, uncertaintyMs: 0 } }, undefined],
    ["a clock too far ahead", { clock: { skewMs: 300_001, uncertaintyMs: 0 } }, "ClockSkew"],
    ["a clock behind by as much", { clock: { skewMs: -300_000, uncertaintyMs: 0 } }, undefined],
    ["a clock too far behind", { clock: { skewMs: -300_001, uncertaintyMs: 0 } }, "ClockSkew"],
    ["no baseline", { dayBaseline: undefined }, "NoDayBaseline"],
    ["a loss below the limit", { dayResult: amount("-499.99999999") }, undefined],
    ["a loss at the limit", { dayResult: amount("-500") }, "DailyLoss"],
    ["a profit", { dayResult: amount("5000") }, undefined],
  ];
  test.each(changes)("%s", (_name, change, reason) => {
    expect(blocked({ ...standing, ...change }, outlook)[0]?.reason).toBe(reason);
  });

  const outlooks: readonly [string, SizedEntry | undefined, string | undefined][] = [
    ["no outlook yet", undefined, undefined],
    ["the least quantity", sized("0.001", "100"), undefined],
    ["less than the least quantity", sized("0.0009", "100"), "BelowMinimum"],
    ["the least value", sized("0.001", "5"), undefined],
    ["less than the least value", sized("0.001", "4.99999999"), "BelowMinimum"],
    ["the least equity", sized("0.001", "5", "0.00000001"), undefined],
    ["no equity", sized("0.001", "5", "0"), "NoEquity"],
  ];
  test.each(outlooks)("the outlook: %s", (_name, entry, reason) => {
    expect(blocked(standing, entry)[0]?.reason).toBe(reason);
  });

  test("every reason is told, each once", () => {
    const reasons = blocked({ ...standing, journal: "stale", reconciled: false }, outlook).map(
      (each) => each.reason,
    );
    expect(reasons).toEqual(["StaleEpoch", "NotReconciled"]);
  });

  test("the share of a loss is of the day's opening equity, exactly", () => {
    const third = { ...config, risk: { ...risk, dailyLossPercent: 0.1 } };
    const at = (dayResult: string) =>
      blocked(
        {
          ...standing,
          config: third,
          dayBaseline: amount("3333.33"),
          dayResult: amount(dayResult),
        },
        outlook,
      );
    expect(at("-3.33332")).toEqual([]);
    expect(at("-3.33333")[0]?.reason).toBe("DailyLoss");
  });
});

const withRisk = (change: Partial<Risk>): Partial<EntryProposal> => ({
  risk: { ...risk, ...change },
});

// 1/leverage − half of 1/100, of which four fifths: 7.6 % at leverage 10, 0.4 % at 100, 1.6 % at 40.
const stopAt = (leverage: number, stopLossPercent: number) =>
  withRisk({ leverage, stopLossPercent });

describe("a proposal", () => {
  const changes: readonly [string, Partial<EntryProposal>, string | undefined][] = [
    ["passes", {}, undefined],
    ["at the confidence limit", { confidence: 60 }, undefined],
    ["below the confidence limit", { confidence: 59.9 }, "LowConfidence"],
    ["at the market's leverage", { market: { ...market, maximumLeverage: 10 } }, undefined],
    ["above it", { market: { ...market, maximumLeverage: 9 } }, "LeverageTooHigh"],
    ["a stop before liquidation", stopAt(10, 7.59), undefined],
    ["a stop too near to it", stopAt(10, 7.6), "StopBeyondLiquidation"],
    ["a stop before it at leverage 100", stopAt(100, 0.39), undefined],
    ["a stop too near to it at leverage 100", stopAt(100, 0.4), "StopBeyondLiquidation"],
    [
      "the same where a contract allows more leverage",
      { ...stopAt(100, 0.4), market: { ...market, maximumLeverage: 200 } },
      "StopBeyondLiquidation",
    ],
    ["the least equity", { equity: amount("9855.3528") }, undefined],
    ["no equity", { equity: amount("0") }, "NoEquity"],
    ["below the lot's minimum", sized("0", "0"), "BelowMinimum"],
    ["at the value's minimum", sized("0.001", "5"), undefined],
    ["below the value's minimum", sized("0.001", "4.99"), "BelowMinimum"],
    ["at positionPercent", margin("500"), undefined],
    ["levels a price step away", { price: price("10") }, undefined],
    ["levels less than that", { price: price("9.99") }, "LevelsBelowTick"],
    ["above positionPercent", margin("500.00000001"), "PositionTooLarge"],
    ["the account's share just suffices", { committed: amount("8507.23236") }, undefined],
    ["the account's share is taken", { committed: amount("8507.23237") }, "BalanceCommitted"],
  ];
  test.each(changes)("%s", (_name, change, reason) => {
    expect(entryRefusal({ ...proposal, ...change })?.reason).toBe(reason);
  });
});

test.each([
  ["positionPercent", 2, 10],
  ["balancePercent", 1, 100],
  ["leverage", 1, 100],
  ["dailyLossPercent", 0.1, 100],
  ["minConfidence", 0, 100],
  ["maxConsecutiveErrors", 1, 100],
])("a configuration with %s outside of %d to %d never reaches a bot", (name, least, most) => {
  const step = Number.isInteger(least) && name !== "positionPercent" ? 1 : 0.01;
  const accepts = (value: number) =>
    BotConfig.shape.risk.safeParse({ ...risk, [name]: value }).success;
  expect([least - step, least, most, most + step].map(accepts)).toEqual([false, true, true, false]);
});

test("committed margin is what is not free, never negative", () => {
  expect(committedMargin({ equity: amount("100"), available: amount("70") }).toFixed()).toBe("30");
  expect(committedMargin({ equity: amount("100"), available: amount("120") }).toFixed()).toBe("0");
});
