import { BotConfig } from "@tradingbots/crds";
import { expect, test } from "vitest";
import { rolloutView } from "../class-view.ts";
import { botConfig } from "./config.ts";
import {
  exampleAccount,
  exampleBot,
  exampleClass,
  exampleFacts,
  exampleHalt,
  runningFacts,
} from "./example-facts.ts";
import { planBot } from "./plan.ts";

const endpoint = { restUrl: "http://simulator", websocketUrl: "ws://simulator" };

test("is what its schema says", () => {
  const config = botConfig(exampleFacts(), "Running");
  expect(BotConfig.parse(config)).toEqual({ ...config, requests: [] });
});

test("requests are handed on as they are, also by a bot that is to stop; without any nothing of them is told", () => {
  expect(botConfig(exampleFacts(), "Running")).not.toHaveProperty("requests");
  const requests = [
    {
      id: "c0ffee00-1111-4222-8333-444455556666",
      action: "ClosePosition",
      symbol: "BTC/USDT:USDT",
      notAfter: "2020-01-01T00:00:00Z",
    },
  ];
  const facts = exampleFacts({ bot: exampleBot({ requests }) });
  expect(botConfig(facts, "Stopped").requests).toEqual(requests);
});

test("a request replaces no pod: it is a change of the configuration, and nothing else", () => {
  const before = runningFacts();
  const request = { id: "c0ffee00-1111-4222-8333-444455556666", action: "CancelOrders" };
  const requests = [{ ...request, symbol: "BTC/USDT:USDT", notAfter: "2020-01-01T00:00:00Z" }];
  const asked = { ...before, bot: exampleBot({ requests }, { generation: 2 }) };
  expect(planBot(before).write).toBeUndefined();
  expect(planBot(asked).write).toBe("update-config");
});

test("takes the exchange's endpoint from the class", () => {
  const endpoints = [{ exchange: "bybit" as const, ...endpoint }];
  const rollout = rolloutView({ stable: { ...exampleClass.wanted, endpoints } });
  const facts = exampleFacts({ botClass: { ...exampleClass, rollout } });
  expect(botConfig(facts, "Running").endpoint).toEqual(endpoint);
});

test("without the class a pod keeps its endpoint: a simulator's bot never reaches the real exchange", () => {
  const facts = { ...runningFacts({}, { endpoint }), botClass: undefined };
  expect(botConfig(facts, "Paused").endpoint).toEqual(endpoint);
});

test("a pod that lives keeps mode and endpoint: what it has open is there", () => {
  const bot = exampleBot({ mode: "testnet" });
  const facts = runningFacts({ bot }, { mode: "live", endpoint });
  expect(botConfig(facts, "Paused")).toMatchObject({ mode: "live", endpoint });
  expect(botConfig({ ...facts, pod: undefined }, "Paused")).toMatchObject({
    mode: "testnet",
    endpoint: null,
  });
});

test.each(["BlockEntries", "CancelOrders", "Flatten"])(
  "a halt is handed on with its action %s and the symbols that it is about",
  (action) => {
    const scope = { type: "symbol", value: "BTC/USDT:USDT" };
    const halts = [exampleHalt("h-1", { action, scope }), exampleHalt("h-2", { action })];
    expect(botConfig(exampleFacts({ halts }), "Running").halts).toEqual([
      { name: "h-2", uid: "uid-of-h-2", action, symbols: null },
      { name: "h-1", uid: "uid-of-h-1", action, symbols: ["BTC/USDT:USDT"] },
    ]);
  },
);

test.each([
  { name: "a verified account", changes: {}, id: "4711" },
  { name: "an account not verified yet", changes: { account: exampleAccount({}, {}) }, id: null },
  {
    name: "a paper bot",
    changes: {
      account: undefined,
      bot: exampleBot({ mode: "paper", accountName: undefined }),
    },
    id: null,
  },
])("the exchange's own account id of $name is $id", ({ changes, id }) => {
  expect(botConfig(exampleFacts(changes), "Running").exchangeAccountId).toBe(id);
});

test("more halts than fit are cut, in an order that does not change", () => {
  const halts = Array.from({ length: 70 }, (_, index) => exampleHalt(`block-${index}`));
  const config = botConfig(exampleFacts({ halts }), "Running");
  expect(BotConfig.parse(config).halts).toHaveLength(64);
  const reversed = botConfig(exampleFacts({ halts: halts.toReversed() }), "Running");
  expect(reversed).toEqual(config);
  const strong = [
    exampleHalt("z-1", { action: "Flatten" }),
    exampleHalt("z-2", { action: "CancelOrders" }),
  ];
  const strongest = botConfig(exampleFacts({ halts: [...halts, ...strong] }), "Running").halts;
  expect(strongest.slice(0, 3).map(({ name }) => name)).toEqual(["z-1", "z-2", "block-0"]);
});

const on = (value: string) => ({ scope: { type: "symbol", value } });

test("what is cut changes nothing: every symbol keeps the strongest action that concerns it", () => {
  const btc = Array.from({ length: 70 }, (_, index) =>
    exampleHalt(`btc-${index}`, { ...on("BTC/USDT:USDT"), action: "CancelOrders" }),
  );
  const halts = [
    ...btc,
    exampleHalt("x-block-eth", on("ETH/USDT:USDT")),
    exampleHalt("y-flatten-xrp", { ...on("XRP/USDT:USDT"), action: "Flatten" }),
    exampleHalt("z-block-all"),
  ];
  const told = botConfig(exampleFacts({ halts }), "Running").halts.map(({ name }) => name);
  expect(told).toHaveLength(64);
  expect(told.slice(0, 3)).toEqual(["y-flatten-xrp", "btc-0", "z-block-all"]);
});
