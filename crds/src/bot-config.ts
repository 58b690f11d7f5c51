import * as z from "zod";
import {
  BotState,
  DnsLabel,
  Exchange,
  HaltAction,
  Mode,
  MarketSymbol,
  Timeframe,
  UserId,
} from "./fields.ts";
import { BotRequest, REQUESTS_MAX } from "./bot-request.ts";
import { Risk, Strategy } from "./risk.ts";

/**
 * What a bot pod is told, as JSON in its annotation and, through the downward API, in a file that follows changes.
 * The operator composes it from the TradingBot, its BotClass and the halts in force; it holds no secret.
 */
export const BotConfig = z.object({
  botName: DnsLabel,
  botUid: z.string().max(64).describe("Uid of the TradingBot: order ids are derived from it."),
  namespace: DnsLabel,
  generation: z
    .int()
    .min(1)
    .describe("Generation of the TradingBot that this configuration shows."),
  userId: UserId,
  accountName: DnsLabel.nullable(),
  exchange: Exchange,
  mode: Mode,
  symbols: z.array(MarketSymbol).min(1).max(8),
  timeframe: Timeframe,
  strategy: Strategy,
  risk: Risk,
  autoTrade: z.boolean(),
  state: BotState,
  endpoint: z.object({ restUrl: z.string(), websocketUrl: z.string() }).nullable(),
  exchangeAccountId: z
    .string()
    .max(64)
    .nullable()
    .default(null)
    .describe(
      "The exchange's own id of the connected account; a key of another one opens nothing.",
    ),
  halts: z
    .array(
      z.object({
        name: z.string(),
        uid: z
          .string()
          .max(64)
          .describe("What the bot acknowledges: another halt may have had the same name."),
        action: HaltAction,
        symbols: z
          .array(MarketSymbol)
          .max(8)
          .nullable()
          .default(null)
          .describe("The symbols that the halt is about; null for all that the bot has."),
      }),
    )
    .max(64),
  requests: z.array(BotRequest).max(REQUESTS_MAX).default([]),
});
export type BotConfig = z.infer<typeof BotConfig>;

/** What a `verify` pod is told, in the same annotation and file: the part of a bot's configuration that reaches an exchange. */
export const VerifyConfig = BotConfig.pick({
  namespace: true,
  userId: true,
  accountName: true,
  exchange: true,
  mode: true,
  endpoint: true,
});
export type VerifyConfig = z.infer<typeof VerifyConfig>;

/** Keys travel in HTTP headers: a letter outside ASCII, or a blank from copying, could only fail at the exchange. */
const Word = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[!-~]*$/, "must consist of printable ASCII characters without blanks");

/** The file that the Vault agent writes into a pod's memory. */
export const Credentials = z.object({
  apiKey: Word,
  /** Or a private key in PEM: several lines. */
  apiSecret: z
    .string()
    .min(1)
    .max(8192)
    .regex(/^[ -~\r\n]*$/, "must consist of printable ASCII characters"),
  passphrase: z
    .string()
    .min(1)
    .max(512)
    .regex(/^[ -~]*$/, "must consist of printable ASCII characters")
    .optional(),
});
export type Credentials = z.infer<typeof Credentials>;

/** The termination message of a bot pod: what is certain without the journal. */
export const BotTermination = z.object({
  flat: z.boolean(),
  epoch: z.int().min(0).describe("0 when the journal never granted one."),
  reason: z.string().max(512).optional(),
});
export type BotTermination = z.infer<typeof BotTermination>;
