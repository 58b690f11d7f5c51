import {
  DnsLabel,
  Exchange,
  isStrategyName,
  MarketSymbol,
  Mode,
  Risk,
  STRATEGIES,
  StrategyParam,
  Timeframe,
} from "@tradingbots/crds";
import { z } from "zod";
import { DisplayName } from "../fields.ts";

const StrategyName = z.enum(Object.keys(STRATEGIES));
const Params = z.record(z.string().max(64), StrategyParam);

const Symbols = z
  .array(MarketSymbol)
  .min(1)
  .max(8)
  .refine((symbols) => new Set(symbols).size === symbols.length, "names a symbol twice");

const StrategySettings = z
  .strictObject({ name: StrategyName, params: Params.default({}) })
  .superRefine(({ name, params }, context) => {
    if (!isStrategyName(name)) return; // StrategyName has said so
    for (const issue of STRATEGIES[name].safeParse(params).error?.issues ?? []) {
      context.addIssue({ code: "custom", path: ["params", ...issue.path], message: issue.message });
    }
  });

/** What a user may choose about a bot, complete with defaults. The same rules hold for a new bot and a patched one. */
export const BotSettings = z.strictObject({
  displayName: DisplayName,
  mode: Mode,
  symbols: Symbols,
  timeframe: Timeframe.default("1m"),
  strategy: StrategySettings,
  risk: z.strictObject(Risk.shape).prefault({}),
  autoTrade: z.boolean().default(false),
});
export type BotSettings = z.infer<typeof BotSettings>;

/** Body of POST /api/bots. */
export const NewBot = BotSettings.extend({
  accountId: DnsLabel.optional().describe("The exchange account; absent for a paper bot."),
  exchange: Exchange.optional().describe(
    "For a paper bot; otherwise the account says it. Bots trade on bybit only so far.",
  ),
  state: z.enum(["Running", "Paused", "Stopped"]).default("Stopped"),
}).meta({
  examples: [
    {
      displayName: "Bitcoin, hourly",
      mode: "paper",
      exchange: "bybit",
      symbols: ["BTC/USDT:USDT"],
      timeframe: "1h",
      strategy: { name: "rsi", params: { period: 14, buyBelow: 30, sellAbove: 70 } },
      risk: { leverage: 5, stopLossPercent: 1 },
      autoTrade: true,
      state: "Running",
    },
  ],
});
export type NewBot = z.infer<typeof NewBot>;

const riskFields = Object.fromEntries(
  Object.entries(Risk.shape).map(([name, field]) => [name, field.unwrap().nullish()]),
);

/** Body of PATCH /api/bots/:id: a JSON merge patch. Null gives a field its default back. */
export const BotPatch = z
  .strictObject(
    {
      displayName: DisplayName.optional(),
      accountId: DnsLabel.optional().describe("Can be set once, while the bot is Stopped."),
      mode: Mode.optional(),
      symbols: Symbols.optional(),
      timeframe: Timeframe.optional(),
      strategy: z
        .strictObject({ name: StrategyName.optional(), params: Params.optional() })
        .optional(),
      risk: z.strictObject(riskFields).optional(),
      autoTrade: z.boolean().optional(),
    },
    {
      error: (issue) =>
        issue.code === "unrecognized_keys" && issue.keys.includes("state")
          ? "the state is changed by POST /api/bots/{id}/start, /pause or /stop"
          : undefined,
    },
  )
  .meta({
    examples: [{ displayName: "Bitcoin, slower", risk: { leverage: 3, minConfidence: null } }],
  });
export type BotPatch = z.infer<typeof BotPatch>;
