import type { BotConfig, RequestAction } from "@tradingbots/crds";
import type { SettingsChange } from "../../../hack/exchange-simulator/settings.ts";
import { Decimal } from "../../src/money.ts";
import { type CaseWorld, SYMBOL } from "./case-world.ts";
import { type Phase, PHASES, type Step } from "./steps.ts";
import type { TapeEvent } from "./tape.ts";

/** A trade, by how its position comes to its end and by what differs from the plain one. */
export interface Scenario {
  readonly name: string;
  readonly leave: TapeEvent;
  /** Instead of a candle: what the operator tells the bot. */
  readonly order?: Partial<Pick<BotConfig, "state" | "halts">>;
  /** What a person asks for: an Order instead of a signal, a ClosePosition instead of what ends it, or CancelOrders after a part. */
  readonly asks?: RequestAction;
  /** Traded at once, each with signals of its own at the same candles. */
  readonly symbols: readonly [string, ...string[]];
  /** How the exchange behaves beyond the plain case. */
  readonly exchange?: SettingsChange;
  /** Parts of the order path that differ from those of the scenarios before. */
  readonly phases: readonly Phase[];
  /** Of these parts, only such steps. */
  readonly strikes?: (step: Step) => boolean;
  /** What a clean run must have brought, or the scenario is not the one that its name says. */
  readonly shows?: (account: CaseWorld["account"]) => boolean;
}

/** Its requests are named apart (steps.ts). */
const SECOND_SYMBOL = "ETH/USDT:USDT";
const symbols = [SYMBOL] as const;
/** Of the position's value. */
const FUNDING_RATE = "0.0001";

export const SCENARIOS: readonly Scenario[] = [
  { name: "stop", leave: "fall", symbols, phases: PHASES },
  { name: "target", leave: "soar", symbols, phases: ["exit"] },
  { name: "signal", leave: "rise", symbols, phases: ["exit", "exited"] },
  {
    name: "stopped",
    leave: "quiet",
    symbols,
    order: { state: "Stopped" },
    phases: ["exit", "exited"],
  },
  {
    name: "flatten",
    leave: "quiet",
    symbols,
    order: { halts: [{ name: "kill-switch", uid: "u", action: "Flatten", symbols: null }] },
    // From the exit's request on it is the path of `stopped`.
    phases: ["exit"],
  },
  {
    name: "parts",
    leave: "rise",
    symbols,
    exchange: { fills: [{ parts: 2 }] },
    phases: ["partly", "filled", "exit", "exited"],
    shows: ({ executions }) => executions.length === 4,
  },
  {
    name: "at-once",
    leave: "rise",
    symbols,
    exchange: { fillsAtOnce: true },
    phases: ["enter", "exit"],
    strikes: ({ request }) => request.startsWith("order-create-"),
  },
  {
    name: "rests",
    leave: "rise",
    symbols,
    // Each exit closes a half of what is left.
    exchange: { fills: [{ reduceOnly: true, parts: 2, rest: "cancelled" }] },
    phases: ["exit", "exited"],
    strikes: ({ request }) => request.startsWith("order-create-exit"),
    shows: ({ executions }) => executions.length > 3,
  },
  {
    name: "funding",
    leave: "rise",
    symbols,
    exchange: { fundingRates: { BTCUSDT: FUNDING_RATE } },
    phases: ["exit", "exited"],
    shows: ({ executions }) =>
      executions.some(({ type, fee }) => type === "Funding" && new Decimal(fee).gt(0)),
  },
  {
    name: "request-order",
    leave: "fall",
    symbols,
    asks: "Order",
    phases: ["enter", "entered", "filled"],
    // From the fill on it is the path of `stop`, but for the word that it is done.
    strikes: ({ phase, request }) => phase !== "filled" || request === "journal-records-request",
  },
  {
    name: "request-close",
    leave: "quiet",
    symbols,
    asks: "ClosePosition",
    phases: ["exit", "exited"],
  },
  {
    name: "request-cancel",
    leave: "fall",
    symbols,
    // What is left of the entry waits for the next price, and can be cancelled until then.
    exchange: { fills: [{ reduceOnly: false, parts: 2, rest: "waits" }] },
    asks: "CancelOrders",
    phases: ["cancel", "cancelled"],
    shows: ({ orders }) => orders.some(({ status }) => status === "Cancelled"),
  },
  {
    name: "second",
    leave: "rise",
    symbols: [SYMBOL, SECOND_SYMBOL],
    phases: ["enter", "entered", "filled", "exit", "exited"],
    strikes: ({ request }) => request.startsWith("second-"),
    shows: ({ executions }) => new Set(executions.map(({ symbol }) => symbol)).size === 2,
  },
];
