import * as z from "zod";

/**
 * Parameters of the `rsi` strategy. It buys when the relative strength index of closes falls below `buyBelow` and
 * sells above `sellAbove`; `confirmPeriod` asks a second, faster index to agree (null: no confirmation).
 */
export const RsiParams = z
  .strictObject({
    period: z.int().min(2).max(200).default(14),
    confirmPeriod: z.int().min(2).max(200).nullable().default(null),
    buyBelow: z.number().gt(0).lt(100).default(30),
    sellAbove: z.number().gt(0).lt(100).default(70),
    direction: z.enum(["long", "short", "both"]).default("both"),
  })
  .refine((params) => params.buyBelow < params.sellAbove, {
    message: "buyBelow must be below sellAbove",
    path: ["buyBelow"],
  });
export type RsiParams = z.infer<typeof RsiParams>;

/** The strategies that exist, each with the schema of its parameters. */
export const STRATEGIES = { rsi: RsiParams } as const;
export type StrategyName = keyof typeof STRATEGIES;

export function isStrategyName(name: string): name is StrategyName {
  return Object.hasOwn(STRATEGIES, name);
}
