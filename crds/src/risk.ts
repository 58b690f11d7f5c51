import * as z from "zod";
import { LEAST_MAINTENANCE_PERCENT, LIQUIDATION_SHARE } from "./farthest-stop.ts";
import { rule, rules } from "./kind.ts";

/** Hard limits that a strategy cannot cross. Percentages of profit and stop are of the entry price. */
export const Risk = z
  .object({
    leverage: z.int().min(1).max(100).default(10),
    balancePercent: z
      .number()
      .min(1)
      .max(100)
      .default(90)
      .describe(
        "Share of the account's margin balance that all bots of the account may commit together.",
      ),
    positionPercent: z
      .number()
      .min(2)
      .max(10)
      .default(5)
      .describe("Margin of one position as a share of equity."),
    takeProfitPercent: z.number().min(0.05).max(100).default(2),
    stopLossPercent: z.number().min(0.05).max(50).default(1),
    minConfidence: z.number().min(0).max(100).default(60),
    dailyLossPercent: z
      .number()
      .min(0.1)
      .max(100)
      .default(5)
      .describe(
        "Entries end for the day (UTC) when this share of the day's opening equity is lost.",
      ),
    maxConsecutiveErrors: z
      .int()
      .min(1)
      .max(100)
      .default(5)
      .describe("After this many errors in a row the bot disables itself."),
  })
  .meta(
    rules(
      rule(
        // Without a quotient: doubles would not meet at the limit.
        `double(self.leverage) * (self.stopLossPercent + ${LIQUIDATION_SHARE * LEAST_MAINTENANCE_PERCENT}) < ${(100 * LIQUIDATION_SHARE).toFixed(1)}`,
        `stopLossPercent must stay below ${LIQUIDATION_SHARE} × (100 / leverage − ${LEAST_MAINTENANCE_PERCENT}), or the position would be liquidated before its stop: lower it or the leverage`,
      ),
    ),
  );
export type Risk = z.infer<typeof Risk>;

export const Strategy = z.object({
  name: z.string().min(1).max(32),
  params: z
    .record(z.string(), z.unknown())
    .meta({ "x-kubernetes-preserve-unknown-fields": true, maxProperties: 16 })
    .prefault({})
    .describe("Parameters of the strategy; absent ones take the strategy's defaults."),
});
