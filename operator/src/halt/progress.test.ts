import type { Report } from "@tradingbots/crds";
import { expect, test } from "vitest";
import type { BotFacts } from "../bot/facts.ts";
import {
  condition,
  exampleBot,
  exampleFacts,
  exampleHalt,
  exampleReport,
  runningFacts,
} from "../bot/example-facts.ts";
import { pausingHalts, progressOf } from "./progress.ts";

const BTC = "BTC/USDT:USDT";
const ETH = "ETH/USDT:USDT";
const HALTED = { halts: ["uid-of-h"], trading: false };

function said(report: Partial<Report>, ageMs = 0): BotFacts {
  return runningFacts({
    bot: exampleBot({ symbols: [BTC, ETH] }),
    report: { kind: ageMs > 60_000 ? "stale" : "fresh", latest: exampleReport(report, ageMs) },
  });
}
const flatten = exampleHalt("h", { action: "Flatten" });
const flattenEth = exampleHalt("h", { action: "Flatten", scope: { type: "symbol", value: ETH } });
const cancel = exampleHalt("h", { action: "CancelOrders" });
const cancelEth = exampleHalt("h", {
  action: "CancelOrders",
  scope: { type: "symbol", value: ETH },
});

test.each([
  { name: "has not heard of it", halt: flatten, facts: said({}), is: "unheard" },
  {
    name: "obeys another halt of the same name",
    halt: { ...flatten, uid: "made-anew" },
    facts: said(HALTED),
    is: "unheard",
  },
  { name: "obeys and is flat", halt: flatten, facts: said(HALTED), is: "finished" },
  {
    name: "obeys and holds something",
    halt: flatten,
    facts: said({ ...HALTED, flat: false, openSymbols: [BTC], openEntries: [] }),
    is: "acknowledged",
  },
  {
    name: "does not know what it holds",
    halt: flatten,
    facts: said({ ...HALTED, flat: false, openSymbols: [], openEntries: [] }),
    is: "acknowledged",
  },
  {
    name: "holds another symbol than the halt's",
    halt: flattenEth,
    facts: said({ ...HALTED, flat: false, openSymbols: [BTC], openEntries: [] }),
    is: "finished",
  },
  {
    name: "holds the halt's symbol",
    halt: flattenEth,
    facts: said({ ...HALTED, flat: false, openSymbols: [BTC, ETH], openEntries: [] }),
    is: "acknowledged",
  },
  {
    name: "does not say which symbols are open",
    halt: flattenEth,
    facts: said({ ...HALTED, flat: false }),
    is: "acknowledged",
  },
  {
    name: "holds a position without an open entry order",
    halt: cancel,
    facts: said({ ...HALTED, flat: false, openSymbols: [BTC], openEntries: [] }),
    is: "finished",
  },
  {
    name: "has an entry order that may fill",
    halt: cancel,
    facts: said({ ...HALTED, flat: false, openSymbols: [BTC], openEntries: [BTC] }),
    is: "acknowledged",
  },
  {
    name: "has an entry order elsewhere",
    halt: cancelEth,
    facts: said({ ...HALTED, flat: false, openSymbols: [BTC], openEntries: [BTC] }),
    is: "finished",
  },
  { name: "said so a minute ago", halt: flatten, facts: said(HALTED, 61_000), is: "acknowledged" },
  {
    name: "is not the pod that said so",
    halt: flatten,
    facts: runningFacts(
      { report: { kind: "fresh", latest: exampleReport(HALTED) } },
      { uid: "another" },
    ),
    is: "unheard",
  },
  {
    name: "spoke without a session",
    halt: flatten,
    facts: runningFacts({
      report: { kind: "fresh", latest: { ...exampleReport(HALTED), epoch: 0 } },
    }),
    is: "acknowledged",
  },
  {
    name: "has a pod that is somebody else's",
    halt: exampleHalt("h"),
    facts: runningFacts({}, { ownerUid: "somebody", botUid: "somebody" }),
    is: "unheard",
  },
  {
    name: "has a pod that is somebody else's, and ended",
    halt: flatten,
    facts: runningFacts(
      {},
      {
        ownerUid: "somebody",
        botUid: undefined,
        end: {
          succeeded: true,
          message: '{"flat":true,"epoch":1}',
          podReason: undefined,
          exitCode: 0,
          finishedAt: "2026-01-01T12:00:00Z",
        },
      },
    ),
    is: "unheard",
  },
  {
    name: "obeys with a pod that lost its owner",
    halt: flatten,
    facts: runningFacts(
      { report: { kind: "fresh", latest: exampleReport(HALTED) } },
      { ownerUid: undefined },
    ),
    is: "finished",
  },
  { name: "has never run", halt: flatten, facts: exampleFacts(), is: "finished" },
  {
    name: "has no pod and was last known to hold something",
    halt: flatten,
    facts: exampleFacts({
      bot: exampleBot({}, {}, { conditions: [condition("Flat", "False", "PositionOpen")] }),
    }),
    is: "acknowledged",
  },
  {
    name: "has no pod and closed everything",
    halt: flatten,
    facts: exampleFacts({
      bot: exampleBot({}, {}, { conditions: [condition("Flat", "True", "Closed")] }),
    }),
    is: "finished",
  },
])("a bot that $name: $is", ({ halt, facts, is }) => {
  expect(progressOf(halt, facts)).toEqual({
    acknowledged: is !== "unheard",
    finished: is === "finished",
  });
});

const paused = { annotations: { "tradingbots.dev/paused-by-halts": "uid-of-h,uid-of-old" } };

test.each([
  { name: "a finished Flatten", halt: flatten, bot: {}, report: HALTED, pauses: true },
  {
    name: "an unfinished one",
    halt: flatten,
    bot: {},
    report: { ...HALTED, flat: false },
    pauses: false,
  },
  {
    name: "one that has paused it before",
    halt: flatten,
    bot: paused,
    report: HALTED,
    pauses: false,
  },
  { name: "another action", halt: cancel, bot: {}, report: HALTED, pauses: false },
])("$name pauses the bot: $pauses", ({ halt, bot, report, pauses }) => {
  const facts = runningFacts({
    bot: exampleBot({}, bot),
    halts: [halt],
    report: { kind: "fresh", latest: exampleReport(report) },
  });
  expect(pausingHalts(facts)).toEqual(pauses ? [halt] : []);
});
