import { BotClass, ExchangeAccount, Report, TradingBot, TradingHalt } from "@tradingbots/crds";
import { type AccountView, accountView } from "../account/account-view.ts";
import { classView } from "../class-view.ts";
import { type HaltView, haltView } from "../halt/halt-view.ts";
import { hashOf, type PodView } from "../pod-view.ts";
import type { BotReport } from "../reports.ts";
import { type BotView, botView } from "./bot-view.ts";
import { botConfig } from "./config.ts";
import type { BotFacts } from "./facts.ts";
import { podInputsHash } from "./pod.ts";

/** Facts for tests: a bot on an account, in order, until a test changes something. */

export const NOW = new Date("2026-01-01T12:00:00Z");
/** Far from any wall clock: a decision that mixed the two up would show. */
const CLOCK_MS = 86_400_000;
const USER = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";

const metadata = (name: string, more: object = {}) => ({
  name,
  namespace: "tradingbots-00",
  uid: `uid-of-${name}`,
  resourceVersion: "1",
  generation: 1,
  creationTimestamp: "2026-01-01T00:00:00Z",
  ...more,
});
const group = (kind: string) => ({ apiVersion: "tradingbots.dev/v1alpha1", kind });

const TEMPLATE = {
  image: "bot:1",
  resources: { requests: { cpu: "10m", memory: "96Mi" }, limits: { memory: "192Mi" } },
};
export const exampleClass = classView(
  BotClass.schema.parse({
    ...group("BotClass"),
    metadata: metadata("free"),
    spec: { image: "bot:1" },
    status: { rollout: { stable: TEMPLATE } },
  }),
);

export function exampleBot(spec: object = {}, more: object = {}, status: object = {}): BotView {
  return botView(
    TradingBot.schema.parse({
      ...group("TradingBot"),
      metadata: metadata("bot-1", { finalizers: ["tradingbots.dev/flat"], ...more }),
      spec: {
        userId: USER,
        exchange: "bybit",
        accountName: "acct-1",
        displayName: "example",
        mode: "live",
        symbols: ["BTC/USDT:USDT"],
        strategy: { name: "rsi" },
        state: "Running",
        ...spec,
      },
      status,
    }),
  );
}

export function exampleAccount(
  spec: object = {},
  status: object = VERIFIED,
  more: object = {},
): AccountView {
  return accountView(
    ExchangeAccount.schema.parse({
      ...group("ExchangeAccount"),
      metadata: metadata("acct-1", { finalizers: ["tradingbots.dev/account"], ...more }),
      spec: { userId: USER, exchange: "bybit", name: "mine", ...spec },
      status,
    }),
  );
}

export const VERIFICATION = {
  credentialsVersion: 1,
  state: "verified",
  reason: "Verified",
  message: "ok",
  permissions: [],
  exchangeAccountId: "4711",
  asOf: "2026-01-01T00:00:00Z",
} as const;
const VERIFIED = { verification: VERIFICATION };

export function exampleHalt(name: string, spec: object = {}): HaltView {
  return haltView(
    TradingHalt.schema.parse({
      ...group("TradingHalt"),
      metadata: metadata(name),
      spec: { scope: { type: "all" }, action: "BlockEntries", reason: "a test", ...spec },
    }),
  );
}

export function condition(type: string, status: string, reason: string) {
  return { type, status, reason, message: "", lastTransitionTime: "2026-01-01T00:00:00Z" };
}

/** What the bot said, `ageMs` ago. */
export function exampleReport(report: Partial<Report> = {}, ageMs = 0): BotReport {
  return {
    podUid: "uid-of-pod",
    epoch: 1,
    saidAtMs: CLOCK_MS - ageMs,
    report: Report.parse({
      generation: 1,
      state: "Running",
      flat: true,
      protected: true,
      trading: true,
      blocked: [],
      positions: [],
      balance: null,
      dayResult: null,
      lastTradeAt: null,
      halts: [],
      asOf: "2026-01-01T00:00:00Z",
      ...report,
    }),
  };
}

export function exampleFacts(changes: Partial<BotFacts> = {}): BotFacts {
  return {
    bot: exampleBot(),
    account: exampleAccount(),
    botClass: exampleClass,
    formerClass: undefined,
    pod: undefined,
    drainingNode: undefined,
    restarts: 0,
    hasServiceAccount: true,
    halts: [],
    symbolHolder: undefined,
    olderBotsOfUser: 0,
    report: { kind: "none" },
    refusal: undefined,
    now: NOW,
    clockMs: CLOCK_MS,
    ...changes,
  };
}

/** A ready pod that is just as the facts want it, but for the changes. */
export function examplePod(facts: BotFacts, changes: Partial<PodView> = {}): PodView {
  const { bot, botClass = exampleClass } = facts;
  const credentialsVersion = facts.account?.spec.credentialsVersion;
  return {
    key: bot.key,
    namespace: bot.namespace,
    name: bot.name,
    uid: "uid-of-pod",
    role: "bot",
    accountName: bot.spec.accountName,
    ownerUid: bot.uid,
    botUid: bot.uid,
    createdAt: "2026-01-01T00:00:00Z",
    isDeleting: false,
    endsBy: undefined,
    nodeName: "node-1",
    isGuarded: false,
    isReady: true,
    restarts: 0,
    image: botClass.spec.image,
    inputsHash: podInputsHash({ bot, template: botClass.wanted, credentialsVersion }),
    wasUnwell: false,
    recoveredAt: undefined,
    credentialsVersion,
    configHash: hashOf(JSON.stringify(botConfig(facts, bot.spec.state))),
    toldState: bot.spec.state,
    toldHalts: facts.halts.map((halt) => halt.uid),
    mode: bot.spec.mode,
    endpoint: null,
    trouble: undefined,
    disruption: undefined,
    end: undefined,
    ...changes,
  };
}

/** Facts of a bot whose pod runs. */
export function runningFacts(
  changes: Partial<BotFacts> = {},
  pod: Partial<PodView> = {},
): BotFacts {
  const facts = exampleFacts({
    report: { kind: "fresh", latest: exampleReport() },
    ...changes,
  });
  return { ...facts, pod: examplePod(facts, pod) };
}
