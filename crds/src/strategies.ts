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

/** What a parameter may be: no object and no list, so that a merge patch replaces it whole, however it was made up. */
export const StrategyParam = z.union(
  [z.string().max(200), z.number(), z.boolean(), z.null()],
  "must be a text of up to 200 characters, a number, true, false or null",
);
type StrategyParams = z.ZodType<Readonly<Record<string, z.infer<typeof StrategyParam>>>>;

/** The strategies that exist, each with the schema of its parameters. */
export const STRATEGIES = { rsi: RsiParams } as const satisfies Record<string, StrategyParams>;
export type StrategyName = keyof typeof STRATEGIES;

export function isStrategyName(name: string): name is StrategyName {
  return Object.hasOwn(STRATEGIES, name);
}
