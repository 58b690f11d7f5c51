import { expect, test } from "vitest";
import type { BotView } from "./bot-view.ts";
import { exampleBot } from "./example-facts.ts";
import { countOlderBots } from "./observe.ts";

const EARLIER = "2025-12-31T00:00:00Z";
const older = (name: string, spec: object = {}, more: object = {}) =>
  exampleBot(spec, { name, uid: name, creationTimestamp: EARLIER, ...more });

test.each<[string, BotView, number]>([
  ["one that runs counts", older("bot-0"), 1],
  ["one that is Retired counts until it is gone", older("bot-0", { state: "Retired" }), 1],
  [
    "one that is being deleted counts until it is gone",
    older("bot-0", {}, { deletionTimestamp: EARLIER }),
    1,
  ],
  ["one of another class does not", older("bot-0", { className: "pro" }), 0],
  [
    "a younger one does not",
    exampleBot({}, { name: "bot-0", creationTimestamp: "2026-01-02T00:00:00Z" }),
    0,
  ],
])("of a user's older bots %s", (_name, other, count) => {
  const bot = exampleBot();
  expect(countOlderBots(bot, [bot, other])).toBe(count);
});
