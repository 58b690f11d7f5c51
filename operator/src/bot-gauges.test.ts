import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { condition, exampleBot } from "./bot/example-facts.ts";
import { addBotGauges } from "./bot-gauges.ts";

const bot = (state: string, ...conditions: readonly object[]) =>
  exampleBot({ state }, {}, { conditions });

test("bots are counted by state and reason, and those whose position is unknown", async () => {
  const registry = new Registry();
  let bots = [
    bot("Running", condition("Ready", "True", "Running")),
    bot("Running", condition("Ready", "True", "Running")),
    bot("Running"),
    bot(
      "Stopped",
      condition("Ready", "False", "CredentialsRefused"),
      condition("PositionUnknown", "True", "CredentialsRefused"),
    ),
    exampleBot({}, { deletionTimestamp: "2026-01-01T00:00:00Z" }),
  ];
  addBotGauges(registry, () => bots);
  const text = await registry.metrics();
  expect(text.split("\n").filter((line) => /^[^#]/.test(line))).toEqual([
    'tradingbots_operator_bots{state="Running",reason="Running"} 2',
    'tradingbots_operator_bots{state="Running",reason="NotSeen"} 1',
    'tradingbots_operator_bots{state="Stopped",reason="CredentialsRefused"} 1',
    'tradingbots_operator_bots{state="Retired",reason="NotSeen"} 1',
    "tradingbots_operator_positions_unknown 1",
  ]);
  bots = [];
  expect(await registry.metrics()).toBe(text); // not counted again at once
});
