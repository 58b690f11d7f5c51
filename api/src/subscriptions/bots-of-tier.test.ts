import type { Ceilings, TradingBot } from "@tradingbots/crds";
import { expect, test } from "vitest";
import { stepsFor } from "./bots-of-tier.ts";

const FREE: Ceilings = {
  botsPerUser: 2,
  modes: ["paper", "testnet"],
  exchanges: ["bybit"],
  leverage: 10,
  positionPercent: 5,
  dailyLossPercent: 5,
};

const MADE = "2026-01-01T00:00:00Z";

interface Wanted {
  readonly name: string;
  readonly state?: TradingBot["spec"]["state"];
  readonly className?: string;
  readonly leverage?: number;
  readonly isFlat?: boolean;
}

function bot({ name, isFlat = true, ...wanted }: Wanted): TradingBot {
  const flat = isFlat ? "True" : "False";
  const { state = "Running", className = "pro", leverage = 5 } = wanted;
  return {
    apiVersion: "tradingbots.dev/v1alpha1",
    kind: "TradingBot",
    metadata: { name, uid: name, resourceVersion: "1", generation: 1, creationTimestamp: MADE },
    spec: {
      userId: "00000000-0000-4000-8000-00000000000a",
      exchange: "bybit",
      displayName: name,
      className,
      mode: "paper",
      symbols: ["BTC/USDT:USDT"],
      timeframe: "1m",
      strategy: { name: "rsi", params: {} },
      risk: {
        leverage,
        balancePercent: 90,
        positionPercent: 5,
        takeProfitPercent: 2,
        stopLossPercent: 1,
        minConfidence: 60,
        dailyLossPercent: 5,
        maxConsecutiveErrors: 5,
      },
      autoTrade: true,
      state,
      replicas: 1,
    },
    status: {
      conditions: [
        {
          type: "Flat",
          status: flat,
          reason: "Test",
          message: "",
          lastTransitionTime: "2026-01-01T00:00:00Z",
        },
      ],
    },
  };
}

test.for<[name: string, bots: readonly Wanted[], steps: readonly string[]]>([
  ["as many as allowed move", [{ name: "a" }, { name: "b" }], ["a move", "b move"]],
  [
    "of too many those made last are paused",
    [{ name: "c" }, { name: "a" }, { name: "b" }],
    ["c move", "a move", "b pause"],
  ],
  ["with a position it waits where it is", [{ name: "a", isFlat: false }], ["a wait"]],
  [
    "above a ceiling it is paused, with a position too",
    [{ name: "a", leverage: 50, isFlat: false }],
    ["a pause"],
  ],
  ["what does not run is left alone", [{ name: "a", state: "Stopped", leverage: 50 }], ["a none"]],
  [
    "what does not run counts all the same",
    [{ name: "a", state: "Paused" }, { name: "b", state: "Stopped" }, { name: "c" }],
    ["a none", "b none", "c pause"],
  ],
  ["who is there already stays", [{ name: "a", className: "free" }], ["a none"]],
])("%s", ([, bots, expected]) => {
  const steps = stepsFor({ tier: "free", ceilings: FREE, bots: bots.map(bot) });
  expect(steps.map((step) => `${step.bot.metadata.name} ${step.kind}`)).toEqual(expected);
});
