import { setImmediate } from "node:timers/promises";
import {
  API_VERSION,
  BotClass,
  BotReportLine,
  ExchangeAccount,
  TradingBot,
} from "@tradingbots/crds";
import { accountView } from "./account/account-view.ts";
import { botView } from "./bot/bot-view.ts";
import { classView } from "./class-view.ts";

const metadata = {
  name: "warm-up",
  uid: "warm-up",
  resourceVersion: "1",
  generation: 1,
  creationTimestamp: "2026-01-01T00:00:00Z",
  finalizers: [],
};
const condition = {
  type: "Ready",
  status: "False",
  reason: "WarmUp",
  message: "",
  lastTransitionTime: metadata.creationTimestamp,
};
const account = {
  apiVersion: API_VERSION,
  kind: "ExchangeAccount",
  metadata,
  spec: { userId: "00000000-0000-4000-8000-000000000000", exchange: "bybit", name: "warm-up" },
  status: {
    conditions: [condition],
    verification: {
      credentialsVersion: 1,
      state: "refused",
      reason: "WarmUp",
      message: "",
      permissions: [],
      asOf: metadata.creationTimestamp,
    },
  },
};
const bot = {
  apiVersion: API_VERSION,
  kind: "TradingBot",
  metadata,
  spec: {
    userId: account.spec.userId,
    exchange: "bybit",
    displayName: "warm-up",
    mode: "paper",
    symbols: ["BTC/USDT"],
    strategy: { name: "warm-up" },
  },
  status: { conditions: [condition], summary: {} },
};
const report = {
  botName: "warm-up",
  namespace: "warm-up",
  podUid: "warm-up",
  epoch: 1,
  receivedAt: metadata.creationTimestamp,
  ageMs: 0,
  report: {
    generation: 1,
    state: "Stopped",
    flat: true,
    protected: true,
    trading: false,
    blocked: [{ reason: "WarmUp", message: "" }],
    positions: [],
    balance: null,
    dayResult: null,
    lastTradeAt: null,
    halts: [],
    asOf: metadata.creationTimestamp,
  },
};

const botClass = {
  apiVersion: API_VERSION,
  kind: "BotClass",
  metadata,
  spec: { image: "warm-up" },
  status: { conditions: [condition] },
};

const FIRST = [
  () => void botView(TradingBot.schema.parse(bot)),
  () => void accountView(ExchangeAccount.schema.parse(account)),
  () => void classView(BotClass.schema.parse(botClass)),
  () => void BotReportLine.parse(report),
];

/**
 * Parses one of each kind that there is in every cluster. A schema writes its own program when it first parses something; with all the other
 * first times of a start that would be the longest time in which the event loop serves nobody.
 * @throws ZodError when an example here does not have the shape of its kind any more
 */
export async function warmUp(): Promise<void> {
  for (const parse of FIRST) {
    parse();
    await setImmediate();
  }
}
