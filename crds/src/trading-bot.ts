import * as z from "zod";
import {
  BotState,
  Conditions,
  DecimalString,
  DnsLabel,
  Exchange,
  Mode,
  MarketSymbol,
  Timeframe,
  Timestamp,
  UserId,
} from "./fields.ts";
import { BotRequest, RequestId, REQUESTS_MAX, RequestStatus } from "./bot-request.ts";
import { defineKind, immutable, rule, ruleForNew, rules } from "./kind.ts";
import { Risk, Strategy } from "./risk.ts";

const spec = z
  .object({
    userId: UserId.meta(immutable("userId")),
    exchange: Exchange.meta(immutable("exchange")),
    accountName: DnsLabel.optional().describe(
      "The ExchangeAccount in this namespace; absent for paper bots.",
    ),
    displayName: z.string().min(1).max(64),
    className: DnsLabel.default("free"),
    mode: Mode,
    symbols: z.array(MarketSymbol).min(1).max(8).meta({ "x-kubernetes-list-type": "set" }),
    timeframe: Timeframe.default("1m"),
    strategy: Strategy,
    risk: Risk.prefault({}),
    autoTrade: z
      .boolean()
      .default(false)
      .describe("False: signals are journalled and no order is sent."),
    state: BotState.default("Stopped"),
    requests: z
      .array(BotRequest)
      .max(REQUESTS_MAX)
      .optional()
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"] })
      .describe(
        "What a person wants done once. Those of the past do nothing; the API takes them out when it writes the next.",
      ),
    abandonPosition: Timestamp.optional().describe(
      "Gives up a position that nobody can look at, so that the bot can end: lastTransitionTime of the condition PositionUnknown. What is open at the exchange is then its owner's to close.",
    ),
    replicas: z
      .int()
      .min(1)
      .max(1)
      .default(1)
      .describe(
        "Always 1: a bot has one pod. For the scale subresource, by which a PodDisruptionBudget counts.",
      ),
  })
  .meta(
    rules(
      rule(
        "self.mode == 'paper' || has(self.accountName)",
        "a testnet or live bot needs accountName: the name of an ExchangeAccount in this namespace",
      ),
      rule(
        "self.mode != 'paper' || !has(self.accountName)",
        "a paper bot has no accountName: leave it out, or choose mode testnet or live",
      ),
      rule(
        "!has(oldSelf.accountName) || (has(self.accountName) && self.accountName == oldSelf.accountName)",
        "accountName cannot be changed once it is set: create another bot for another account",
      ),
      rule(
        "has(oldSelf.accountName) || !has(self.accountName) || oldSelf.state == 'Stopped'",
        "accountName can be set only while the bot is Stopped: stop it first",
      ),
      rule(
        "self.mode == oldSelf.mode || oldSelf.state == 'Stopped'",
        "mode can be changed only while the bot is Stopped: stop it first",
      ),
      rule(
        "oldSelf.state != 'Retired' || self.state == 'Retired'",
        "a Retired bot cannot be used again: create another one",
      ),
    ),
  );

const status = z.object({
  observedGeneration: z.int().min(0).optional(),
  conditions: Conditions.optional(),
  podName: z.string().max(63).optional(),
  replicas: z.int().min(0).max(1).optional(),
  image: z.string().max(255).optional(),
  summary: z
    .object({
      position: z.string().max(128).optional(),
      dayResult: DecimalString.optional(),
      lastTradeAt: Timestamp.optional(),
    })
    .optional(),
  requests: z
    .array(
      z.object({
        id: RequestId,
        status: RequestStatus,
        reason: z.string().max(64).optional(),
      }),
    )
    .max(REQUESTS_MAX)
    .optional()
    .describe("What became of the newest requests."),
});

const ready = (field: string) => `.status.conditions[?(@.type=="Ready")].${field}`;

export const TradingBot = defineKind({
  kind: "TradingBot",
  plural: "tradingbots",
  singular: "tradingbot",
  shortNames: ["tb"],
  scope: "Namespaced",
  columns: [
    { name: "User", type: "string", jsonPath: ".spec.userId" },
    { name: "Exchange", type: "string", jsonPath: ".spec.exchange" },
    { name: "Symbols", type: "string", jsonPath: ".spec.symbols" },
    { name: "Mode", type: "string", jsonPath: ".spec.mode" },
    { name: "State", type: "string", jsonPath: ".spec.state" },
    { name: "Ready", type: "string", jsonPath: ready("status") },
    { name: "Reason", type: "string", jsonPath: ready("reason") },
    { name: "Position", type: "string", jsonPath: ".status.summary.position" },
    { name: "Day", type: "string", jsonPath: ".status.summary.dayResult" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
    { name: "Class", type: "string", jsonPath: ".spec.className", priority: 1 },
    { name: "Account", type: "string", jsonPath: ".spec.accountName", priority: 1 },
    { name: "Strategy", type: "string", jsonPath: ".spec.strategy.name", priority: 1 },
    { name: "Auto-Trade", type: "boolean", jsonPath: ".spec.autoTrade", priority: 1 },
    { name: "Last-Trade", type: "date", jsonPath: ".status.summary.lastTradeAt", priority: 1 },
    { name: "Image", type: "string", jsonPath: ".status.image", priority: 1 },
    { name: "Message", type: "string", jsonPath: ready("message"), priority: 1 },
  ],
  scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" },
  spec,
  status,
  rules: [
    ruleForNew(
      "!self.metadata.name.startsWith('verify-')",
      "metadata.name begins with verify-, and a bot's pod has its name: pods that check keys are called so",
    ),
    rule(
      "!has(self.spec.abandonPosition) || (has(oldSelf.spec.abandonPosition) && self.spec.abandonPosition == oldSelf.spec.abandonPosition) || (has(self.status) && has(self.status.conditions) && self.status.conditions.exists(c, c.type == 'PositionUnknown' && c.status == 'True' && c.lastTransitionTime == self.spec.abandonPosition))",
      "abandonPosition can be set only while the condition PositionUnknown is True, and to its lastTransitionTime",
    ),
  ],
});
export type TradingBot = z.infer<typeof TradingBot.schema>;
