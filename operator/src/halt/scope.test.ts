import { expect, test } from "vitest";
import { exampleBot, exampleHalt, NOW } from "../bot/example-facts.ts";
import { concerns, isInForce, untilFirstExpiry } from "./scope.ts";

const bot = exampleBot();

test.each([
  { type: "all", concerned: true },
  { type: "user", value: bot.spec.userId, concerned: true },
  { type: "user", value: "somebody", concerned: false },
  { type: "bot", value: "bot-1", concerned: true },
  { type: "bot", value: "bot-2", concerned: false },
  { type: "exchange", value: "bybit", concerned: true },
  { type: "exchange", value: "kraken", concerned: false },
  { type: "symbol", value: "BTC/USDT:USDT", concerned: true },
  { type: "symbol", value: "BTC/USDT", concerned: false },
])("$type $value concerns the bot: $concerned", ({ concerned, ...scope }) => {
  expect(concerns(exampleHalt("h", { scope }), bot)).toBe(concerned);
});

test("a bot that still holds a symbol that left its specification is concerned", () => {
  const halt = exampleHalt("h", { scope: { type: "symbol", value: "ETH/USDT:USDT" } });
  expect(concerns(halt, bot)).toBe(false);
  expect(concerns(halt, bot, ["ETH/USDT:USDT"])).toBe(true);
});

test.each([
  { name: "as made", spec: {}, inForce: true },
  { name: "lifted", spec: { lifted: true }, inForce: false },
  { name: "before its end", spec: { expiresAt: "2026-01-01T12:00:01Z" }, inForce: true },
  { name: "at its end", spec: { expiresAt: "2026-01-01T12:00:00Z" }, inForce: false },
])("$name it is in force: $inForce", ({ spec, inForce }) => {
  expect(isInForce(exampleHalt("h", spec), NOW)).toBe(inForce);
});

test("the first end counts", () => {
  const halts = [
    exampleHalt("a"),
    exampleHalt("b", { expiresAt: "2026-01-01T12:00:20Z" }),
    exampleHalt("c", { expiresAt: "2026-01-01T12:00:05Z" }),
  ];
  expect(untilFirstExpiry(halts, NOW)).toBe(5_000);
  expect(untilFirstExpiry([exampleHalt("a")], NOW)).toBeUndefined();
});
