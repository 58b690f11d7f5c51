import type { TradingBot } from "@tradingbots/crds";

/** What says how much real money a bot can lose. */
export type Exposure = Pick<TradingBot["spec"], "mode" | "autoTrade"> & {
  readonly symbols: readonly string[];
  readonly risk: Readonly<Record<Limit, number>>;
};

const LIMITS = [
  "leverage",
  "balancePercent",
  "positionPercent",
  "stopLossPercent",
  "dailyLossPercent",
  "maxConsecutiveErrors",
] as const;
type Limit = (typeof LIMITS)[number];

interface Change {
  readonly wanted: Exposure;
  /** Undefined for a new bot. */
  readonly before?: Exposure;
}

/**
 * Whether a change puts more real money at risk than a stolen access token should be able to: going live, and there higher limits, orders
 * where there were none, or another market.
 */
export function needsStepUp({ wanted, before }: Change): boolean {
  if (wanted.mode !== "live") return false;
  if (before?.mode !== "live") return true;
  return (
    (wanted.autoTrade && !before.autoTrade) ||
    wanted.symbols.some((symbol) => !before.symbols.includes(symbol)) ||
    LIMITS.some((limit) => wanted.risk[limit] > before.risk[limit])
  );
}
