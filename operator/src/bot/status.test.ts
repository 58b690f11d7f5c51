import { describe, expect, test } from "vitest";
import { conditionOf } from "../conditions.ts";
import {
  condition,
  exampleAccount,
  exampleBot,
  exampleFacts,
  exampleHalt,
  examplePod,
  exampleReport,
  runningFacts,
  VERIFICATION,
} from "./example-facts.ts";
import type { BotFacts } from "./facts.ts";
import { planBot } from "./plan.ts";
import { botStatus } from "./status.ts";
import { summaryOf } from "./summary.ts";

const statusOf = (facts: BotFacts) => botStatus(facts, planBot(facts));
function shown(facts: BotFacts, type: string): string {
  const found = conditionOf(statusOf(facts).conditions, type);
  return `${found?.status} ${found?.reason}`;
}

test.each<{ name: string; facts: BotFacts; ready: string }>([
  { name: "about to start", facts: exampleFacts(), ready: "False Starting" },
  { name: "starting", facts: runningFacts({}, { isReady: false }), ready: "False Starting" },
  { name: "ready", facts: runningFacts(), ready: "True Running" },
  {
    name: "in trouble",
    facts: runningFacts({}, { isReady: false, trouble: { reason: "CrashLooping", message: "…" } }),
    ready: "False CrashLooping",
  },
  {
    name: "about to be replaced",
    facts: runningFacts({}, { inputsHash: "x" }),
    ready: "False Replacing",
  },
  { name: "denied", facts: exampleFacts({ olderBotsOfUser: 9 }), ready: "False TooManyBots" },
  {
    name: "foreign pod",
    facts: runningFacts({}, { ownerUid: "x", botUid: "x" }),
    ready: "False ForeignPod",
  },
  {
    name: "the exchange refuses the key that it runs with",
    facts: runningFacts({
      report: {
        kind: "fresh",
        latest: exampleReport({
          trading: false,
          blocked: [{ reason: "CredentialsRefused", message: "…" }],
        }),
      },
    }),
    ready: "False CredentialsRefused",
  },
  { name: "halted", facts: runningFacts({ halts: [exampleHalt("h")] }), ready: "False Halted" },
  {
    name: "halted on another symbol",
    facts: runningFacts({
      bot: exampleBot({ symbols: ["BTC/USDT:USDT", "ETH/USDT:USDT"] }),
      halts: [exampleHalt("h", { scope: { type: "symbol", value: "ETH/USDT:USDT" } })],
    }),
    ready: "True Running",
  },
  {
    name: "paused by a halt",
    facts: exampleFacts({
      bot: exampleBot(
        { state: "Paused" },
        { annotations: { "tradingbots.dev/paused-by-halts": "uid-of-h" } },
      ),
      halts: [exampleHalt("h", { action: "Flatten" })],
    }),
    ready: "False Halted",
  },
  {
    name: "paused by its user under a halt",
    facts: exampleFacts({
      bot: exampleBot({ state: "Paused" }),
      halts: [exampleHalt("h", { action: "Flatten" })],
    }),
    ready: "False Paused",
  },
  {
    name: "paused by a halt that is over",
    facts: exampleFacts({
      bot: exampleBot(
        { state: "Paused" },
        { annotations: { "tradingbots.dev/paused-by-halts": "uid-of-h" } },
      ),
    }),
    ready: "False Paused",
  },
  {
    name: "pausing",
    facts: runningFacts({ bot: exampleBot({ state: "Paused" }) }),
    ready: "False Pausing",
  },
  {
    name: "paused",
    facts: exampleFacts({ bot: exampleBot({ state: "Paused" }) }),
    ready: "False Paused",
  },
  {
    name: "stopping",
    facts: runningFacts({ bot: exampleBot({ state: "Stopped" }) }),
    ready: "False Stopping",
  },
  {
    name: "stopped",
    facts: exampleFacts({ bot: exampleBot({ state: "Stopped" }) }),
    ready: "False Stopped",
  },
  {
    name: "kept from closing by pods that fail one after the other",
    facts: {
      ...runningFacts(
        { bot: exampleBot({ state: "Stopped" }), report: { kind: "none" } },
        {
          createdAt: "2026-01-01T11:59:00Z",
          end: {
            succeeded: false,
            message: undefined,
            podReason: "OutOfpods",
            exitCode: undefined,
            finishedAt: "2026-01-01T12:00:00Z",
          },
        },
      ),
      restarts: 1,
    },
    ready: "False CrashLooping",
  },
  {
    name: "kept from closing by trouble",
    facts: runningFacts(
      { bot: exampleBot({ state: "Stopped" }), report: { kind: "none" } },
      { isReady: false, trouble: { reason: "ImagePullFailed", message: "…" } },
    ),
    ready: "False ImagePullFailed",
  },
])("Ready, $name: $ready", ({ facts, ready }) => {
  expect(shown(facts, "Ready")).toBe(ready);
});

test.each<{ name: string; type: string; facts: BotFacts; expected: string }>([
  {
    name: "the journal is silent about it",
    type: "Trading",
    facts: runningFacts({ report: { kind: "none" } }),
    expected: "Unknown Starting",
  },
  {
    name: "an old report",
    type: "Trading",
    facts: runningFacts({ report: { kind: "stale", latest: exampleReport() } }),
    expected: "Unknown ReportStale",
  },
  {
    name: "a block in the bot's own words",
    type: "Trading",
    facts: runningFacts({
      report: {
        kind: "fresh",
        latest: exampleReport({
          trading: false,
          blocked: [{ reason: "daily loss-limit", message: "…" }],
        }),
      },
    }),
    expected: "False DailyLossLimit",
  },
  {
    name: "a change not taken over yet",
    type: "ConfigApplied",
    facts: runningFacts({ bot: exampleBot({}, { generation: 2 }) }),
    expected: "False Pending",
  },
  {
    name: "a position without its stop",
    type: "Protected",
    facts: runningFacts({
      report: {
        kind: "fresh",
        latest: exampleReport({
          protected: false,
          positions: [
            {
              symbol: "BTC/USDT:USDT",
              side: "long",
              quantity: "1",
              entryPrice: "1",
              unrealisedPnl: "0",
              stopLoss: null,
              takeProfit: null,
            },
          ],
        }),
      },
    }),
    expected: "False StopMissing",
  },
  {
    name: "a halt",
    type: "Halted",
    facts: runningFacts({ halts: [exampleHalt("h")] }),
    expected: "True TradingHalt",
  },
  {
    name: "a refused key",
    type: "CredentialsReady",
    facts: exampleFacts({
      account: exampleAccount(
        {},
        {
          verification: { ...VERIFICATION, state: "refused" },
          conditions: [condition("Ready", "False", "CredentialsRefused")],
        },
      ),
    }),
    expected: "False CredentialsRefused",
  },
])("$type, $name: $expected", ({ type, facts, expected }) => {
  expect(shown(facts, type)).toBe(expected);
});

test("while the journal cannot be heard, nothing changes", () => {
  const heard = runningFacts();
  const bot = exampleBot({}, {}, statusOf(heard));
  const deaf = { ...heard, bot, report: { kind: "unheard" } as const };
  expect(statusOf(deaf)).toEqual(bot.status);
});

test("what hinders a bot is told by its own pod, and stays while the journal cannot be heard", () => {
  const hindered = blockedBy("SymbolNotTraded");
  const bot = exampleBot({}, {}, statusOf(hindered));
  expect(shown(hindered, "Ready")).toBe("True Hindered");
  expect(statusOf({ ...hindered, bot, report: { kind: "unheard" } })).toEqual(bot.status);
  const next = { ...hindered, pod: examplePod(hindered, { uid: "uid-of-the-next-pod" }) };
  expect(shown(next, "Ready")).toBe("True Running");
});

test("a status that was written is not written again", () => {
  const facts = runningFacts();
  const again = { ...facts, bot: exampleBot({}, {}, statusOf(facts)), now: new Date() };
  expect(statusOf(again)).toEqual(statusOf(facts));
});

test("the whole object stays below 2 kB of specification and status together", () => {
  const size = JSON.stringify({ spec: exampleBot().spec, status: statusOf(runningFacts()) }).length;
  expect(size).toBeLessThan(2_048);
});

test("what became of requests is shown, and stays when the journal is not heard", () => {
  const id = "c0ffee00-1111-4222-8333-444455556666";
  const told = [
    { id, status: "refused", reason: "Halted" } as const,
    { id: id.replace("c0", "d0"), status: "done", reason: null } as const,
  ];
  const expected = [
    { id, status: "refused", reason: "Halted" },
    { id: id.replace("c0", "d0"), status: "done" },
  ];
  const fresh = { kind: "fresh", latest: exampleReport({ requests: told }) } as const;
  expect(statusOf(runningFacts({ report: fresh })).requests).toEqual(expected);
  const bot = exampleBot({}, {}, { requests: expected });
  expect(statusOf(runningFacts({ bot, report: { kind: "unheard" } })).requests).toEqual(expected);
  expect(statusOf(runningFacts())).not.toHaveProperty("requests");
});

describe("summary", () => {
  const position = {
    symbol: "BTC/USDT:USDT",
    side: "long" as const,
    quantity: "0.01",
    entryPrice: "64000",
    unrealisedPnl: "1",
    stopLoss: "63000",
    takeProfit: null,
  };
  const previous = { position: "long 0.01 BTC/USDT:USDT @ 64000", dayResult: "3.5" };
  test.each([
    {
      name: "the result alone moves",
      report: { positions: [position], dayResult: "4" },
      expected: previous,
    },
    {
      name: "the position ends",
      report: { dayResult: "4" },
      expected: { position: "none", dayResult: "4" },
    },
    {
      name: "a new day",
      report: { positions: [position], dayResult: "0" },
      expected: { ...previous, dayResult: "0" },
    },
  ])("$name", ({ report, expected }) => {
    const bot = exampleBot({}, {}, { summary: previous });
    const latest = exampleReport(report);
    expect(summaryOf({ bot, report: { kind: "fresh", latest } })).toEqual(expected);
  });
});

const blockedBy = (...reasons: readonly string[]) =>
  runningFacts({
    report: {
      kind: "fresh",
      latest: exampleReport({
        trading: false,
        blocked: reasons.map((reason) => ({ reason, message: `because of ${reason}` })),
      }),
    },
  });

test.each<[string, BotFacts, string, string]>([
  [
    "several blocks that pass are told one by one",
    blockedBy("NoLease", "StaleData"),
    "NoLease because of NoLease; because of StaleData",
    "Running The bot is running.",
  ],
  [
    "one that lasts is told alone, and by Ready as well",
    blockedBy("StaleData", "SymbolNotTraded"),
    "SymbolNotTraded because of SymbolNotTraded",
    "Hindered The bot is running, but does not trade all: because of SymbolNotTraded.",
  ],
])("%s", (...[, facts, trading, ready]) => {
  const { conditions } = botStatus(facts, planBot(facts));
  const told = (type: string) => {
    const { reason, message } = conditionOf(conditions, type) ?? {};
    return `${reason} ${message}`;
  };
  expect(told("Trading")).toBe(trading);
  expect(told("Ready")).toBe(ready);
});
