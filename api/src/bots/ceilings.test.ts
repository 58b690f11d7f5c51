import type { Ceilings } from "@tradingbots/crds";
import { expect, test } from "vitest";
import { ceilingCrossed, type Limited } from "./ceilings.ts";

const ceilings: Ceilings = {
  botsPerUser: 3,
  modes: ["paper", "testnet"],
  exchanges: ["bybit"],
  leverage: 10,
  positionPercent: 5,
  dailyLossPercent: 5,
};
const fine: Limited = {
  exchange: "bybit",
  mode: "paper",
  risk: { leverage: 10, positionPercent: 5, dailyLossPercent: 5 },
};
const risky = (change: Partial<Limited["risk"]>): Limited => ({
  ...fine,
  risk: { ...fine.risk, ...change },
});

test.for<
  [name: string, wanted: Limited, before: Limited | undefined, sentence: string | undefined]
>([
  ["everything at its limit", fine, undefined, undefined],
  [
    "leverage",
    risky({ leverage: 11 }),
    undefined,
    "risk.leverage 11 is above the limit 10 of class free",
  ],
  [
    "position",
    risky({ positionPercent: 5.5 }),
    undefined,
    "risk.positionPercent 5.5 is above the limit 5 of class free",
  ],
  [
    "daily loss",
    risky({ dailyLossPercent: 6 }),
    undefined,
    "risk.dailyLossPercent 6 is above the limit 5 of class free",
  ],
  [
    "mode",
    { ...fine, mode: "live" },
    undefined,
    "mode live is not among paper, testnet of class free",
  ],
  [
    "exchange",
    { ...fine, exchange: "kraken" },
    undefined,
    "exchange kraken is not among bybit of class free",
  ],
  [
    "an unchanged value above a lowered ceiling",
    risky({ leverage: 40 }),
    risky({ leverage: 40 }),
    undefined,
  ],
  [
    "a change from above to above",
    risky({ leverage: 39 }),
    risky({ leverage: 40 }),
    "risk.leverage 39 is above the limit 10 of class free",
  ],
])("ceilings: %s", ([, wanted, before, sentence]) => {
  const judged = { wanted, className: "free", ceilings };
  const crossed = ceilingCrossed(before === undefined ? judged : { ...judged, before });
  expect(crossed?.message).toBe(sentence);
});
