import { BotConfig } from "@tradingbots/crds";
import { expect, test } from "vitest";
import { botConfig } from "./config.ts";
import { exampleClass, exampleFacts, exampleHalt, runningFacts } from "./example-facts.ts";

const endpoint = { restUrl: "http://simulator", websocketUrl: "ws://simulator" };

test("is what its schema says", () => {
  const config = botConfig(exampleFacts(), "Running");
  expect(BotConfig.parse(config)).toEqual(config);
});

test("takes the exchange's endpoint from the class", () => {
  const spec = { ...exampleClass.spec, endpoints: [{ exchange: "bybit" as const, ...endpoint }] };
  expect(
    botConfig(exampleFacts({ botClass: { ...exampleClass, spec } }), "Running").endpoint,
  ).toEqual(endpoint);
});

test("without the class a pod keeps its endpoint: a simulator's bot never reaches the real exchange", () => {
  const facts = { ...runningFacts({}, { endpoint }), botClass: undefined };
  expect(botConfig(facts, "Paused").endpoint).toEqual(endpoint);
});

test.each(["BlockEntries", "CancelOrders", "Flatten"])(
  "a halt with action %s blocks entries and nothing else",
  (action) => {
    const scope = { type: "symbol", value: "BTC/USDT:USDT" };
    const halts = [exampleHalt("h", { action, scope })];
    expect(botConfig(exampleFacts({ halts }), "Running").halts).toEqual([
      { name: "h", action: "BlockEntries", symbols: null },
    ]);
  },
);

test("more halts than fit are cut, in an order that does not change", () => {
  const halts = Array.from({ length: 70 }, (_, index) => exampleHalt(`block-${index}`));
  const config = botConfig(exampleFacts({ halts }), "Running");
  expect(BotConfig.parse(config).halts).toHaveLength(64);
  const reversed = botConfig(exampleFacts({ halts: halts.toReversed() }), "Running");
  expect(reversed).toEqual(config);
});
