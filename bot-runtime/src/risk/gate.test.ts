import { Risk } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import type { Market } from "../exchange/exchange.ts";
import { amount, price, quantity } from "../money.ts";
import {
  blocked,
  committedMargin,
  type EntryProposal,
  entryRefusal,
  type Standing,
} from "./gate.ts";

const risk = Risk.parse({});

const standing: Standing = {
  config: { state: "Running", autoTrade: true, halts: [], risk },
  symbol: "BTC/USDT:USDT",
  symbolTraded: true,
  journal: "ready",
  reconciled: true,
  foreign: undefined,
  unusable: undefined,
  consecutiveErrors: 0,
  dataAgeMs: 1_000,
  dayBaseline: amount("10000"),
  dayResult: amount("0"),
};

const market: Market = {
  symbol: "BTC/USDT:USDT",
  quoteCurrency: "USDT",
  tick: price("0.1"),
  quantityStep: quantity("0.001"),
  minimumQuantity: quantity("0.001"),
  maximumQuantity: quantity("119"),
  minimumValue: amount("5"),
  maximumLeverage: 100,
};

const proposal: EntryProposal = {
  standing,
  confidence: 75,
  size: { quantity: quantity("0.046"), value: amount("4927.6764"), margin: amount("492.76764") },
  equity: amount("10000"),
  committed: amount("0"),
  market,
};

describe("what stands", () => {
  const changes: readonly [string, Partial<Standing>, string | undefined][] = [
    ["all is well", {}, undefined],
    ["paused", { config: { ...standing.config, state: "Paused" } }, "NotRunning"],
    ["stopped", { config: { ...standing.config, state: "Stopped" } }, "NotRunning"],
    [
      "a halt",
      {
        config: {
          ...standing.config,
          halts: [{ name: "h", action: "BlockEntries", symbols: null }],
        },
      },
      "Halted",
    ],
    [
      "a flattening halt",
      { config: { ...standing.config, halts: [{ name: "h", action: "Flatten", symbols: null }] } },
      "Halted",
    ],
    ["autoTrade off", { config: { ...standing.config, autoTrade: false } }, "AutoTradeOff"],
    ["an unusable exchange", { unusable: { reason: "HedgeMode", message: "hedge" } }, "HedgeMode"],
    ["a removed symbol", { symbolTraded: false }, "SymbolRemoved"],
    ["a lost epoch", { journal: "stale" }, "StaleEpoch"],
    ["no journal", { journal: "unavailable" }, "JournalUnavailable"],
    ["not reconciled", { reconciled: false }, "NotReconciled"],
    ["a foreign position", { foreign: "somebody's position" }, "ForeignPosition"],
    ["one error short of the limit", { consecutiveErrors: 4 }, undefined],
    ["the error limit", { consecutiveErrors: 5 }, "Disabled"],
    ["no candle yet", { dataAgeMs: undefined }, "StaleData"],
    ["data at the limit", { dataAgeMs: 90_000 }, undefined],
    ["old data", { dataAgeMs: 90_001 }, "StaleData"],
    ["no baseline", { dayBaseline: undefined }, "NoDayBaseline"],
    ["a loss below the limit", { dayResult: amount("-499.99") }, undefined],
    ["a loss at the limit", { dayResult: amount("-500") }, "DailyLoss"],
    ["a profit", { dayResult: amount("5000") }, undefined],
  ];
  test.each(changes)("%s", (_name, change, reason) => {
    expect(blocked({ ...standing, ...change })[0]?.reason).toBe(reason);
  });

  test("every reason is told, each once", () => {
    const reasons = blocked({ ...standing, journal: "stale", reconciled: false }).map(
      (each) => each.reason,
    );
    expect(reasons).toEqual(["StaleEpoch", "NotReconciled"]);
  });
});

describe("a proposal", () => {
  const withRisk = (change: Partial<Risk>): Partial<EntryProposal> => ({
    standing: { ...standing, config: { ...standing.config, risk: { ...risk, ...change } } },
  });
  const changes: readonly [string, Partial<EntryProposal>, string | undefined][] = [
    ["passes", {}, undefined],
    [
      "whatever stands comes first",
      { standing: { ...standing, reconciled: false }, confidence: 1 },
      "NotReconciled",
    ],
    ["at the confidence limit", { confidence: 60 }, undefined],
    ["below the confidence limit", { confidence: 59.9 }, "LowConfidence"],
    ["leverage of the market", { market: { ...market, maximumLeverage: 9 } }, "LeverageTooHigh"],
    [
      "a stop beyond liquidation",
      withRisk({ leverage: 40, stopLossPercent: 2 }),
      "StopBeyondLiquidation",
    ],
    ["no equity", { equity: amount("0") }, "NoEquity"],
    [
      "below the lot's minimum",
      { size: { quantity: quantity("0"), value: amount("0"), margin: amount("0") } },
      "BelowMinimum",
    ],
    [
      "below the value's minimum",
      { size: { quantity: quantity("0.001"), value: amount("4.99"), margin: amount("0.5") } },
      "BelowMinimum",
    ],
    [
      "above positionPercent",
      { size: { ...proposal.size, margin: amount("500.01") } },
      "PositionTooLarge",
    ],
    ["the account's share is taken", { committed: amount("8600") }, "BalanceCommitted"],
    ["the account's share just suffices", { committed: amount("8507.23236") }, undefined],
  ];
  test.each(changes)("%s", (_name, change, reason) => {
    expect(entryRefusal({ ...proposal, ...change })?.reason).toBe(reason);
  });
});

test("committed margin is what is not free, never negative", () => {
  expect(committedMargin({ equity: amount("100"), available: amount("70") }).toFixed()).toBe("30");
  expect(committedMargin({ equity: amount("100"), available: amount("120") }).toFixed()).toBe("0");
});
