import * as z from "zod";
import { Conditions, Exchange, HaltAction, PATTERNS, Timestamp } from "./fields.ts";
import { defineKind, rule, rules } from "./kind.ts";

/** A value that nothing can match is refused: a kill switch with a slip of the pen would stop nobody. */
const isOf = (type: string, condition: string) =>
  `self.type != '${type}' || !has(self.value) || ${condition}`;
const EXCHANGES = Exchange.options.map((name) => `'${name}'`).join(", ");

const Scope = z
  .object({
    type: z.enum(["all", "user", "bot", "exchange", "symbol"]),
    value: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe("The user's id, the bot's name, the exchange or the symbol; absent for all."),
  })
  .meta(
    rules(
      rule(
        "(self.type == 'all') != has(self.value)",
        "scope.value names the user, bot, exchange or symbol; it is left out for scope.type all",
      ),
      rule(
        isOf("symbol", `self.value.matches(r'${PATTERNS.marketSymbol}')`),
        "scope.value is no symbol: write it as bots have it, like BTC/USDT:USDT",
      ),
      rule(
        isOf("exchange", `self.value in [${EXCHANGES}]`),
        `scope.value is no exchange: it is one of ${Exchange.options.join(", ")}`,
      ),
      rule(
        isOf("user", `self.value.matches(r'${PATTERNS.userId}')`),
        "scope.value is no user's id: it is a UUID in lower case",
      ),
      rule(
        isOf("bot", `self.value.matches(r'${PATTERNS.dnsLabel}')`),
        "scope.value is no bot's name: write it without its namespace",
      ),
    ),
  );

const spec = z
  .object({
    scope: Scope,
    action: HaltAction,
    reason: z.string().min(1).max(256),
    expiresAt: Timestamp.optional().describe(
      "End of a BlockEntries halt; other actions do not expire.",
    ),
    lifted: z.boolean().default(false),
  })
  .meta(
    rules(
      rule(
        "self.scope == oldSelf.scope && self.action == oldSelf.action",
        "scope and action cannot be changed: lift this halt and create another one",
      ),
      rule(
        "!oldSelf.lifted || self.lifted",
        "a lifted halt cannot be put in force again: create another one",
      ),
      rule(
        "!has(self.expiresAt) || self.action == 'BlockEntries'",
        "expiresAt is for action BlockEntries only: CancelOrders and Flatten are done once",
      ),
    ),
  );

const status = z.object({
  observedGeneration: z.int().min(0).optional(),
  conditions: Conditions.optional(),
  matched: z.int().min(0).optional(),
  acknowledged: z.int().min(0).optional(),
  finished: z.int().min(0).optional(),
  laggards: z
    .array(z.string().max(128))
    .max(10)
    .optional()
    .meta({ "x-kubernetes-list-type": "set" }),
});

export const TradingHalt = defineKind({
  kind: "TradingHalt",
  plural: "tradinghalts",
  singular: "tradinghalt",
  shortNames: ["th"],
  scope: "Cluster",
  columns: [
    { name: "Scope", type: "string", jsonPath: ".spec.scope.type" },
    { name: "Value", type: "string", jsonPath: ".spec.scope.value" },
    { name: "Action", type: "string", jsonPath: ".spec.action" },
    { name: "Lifted", type: "boolean", jsonPath: ".spec.lifted" },
    { name: "Matched", type: "integer", jsonPath: ".status.matched" },
    { name: "Acknowledged", type: "integer", jsonPath: ".status.acknowledged" },
    { name: "Finished", type: "integer", jsonPath: ".status.finished" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
    { name: "Reason", type: "string", jsonPath: ".spec.reason", priority: 1 },
  ],
  spec,
  status,
});
export type TradingHalt = z.infer<typeof TradingHalt.schema>;
