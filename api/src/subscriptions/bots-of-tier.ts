import type { Ceilings, TradingBot } from "@tradingbots/crds";
import { ceilingCrossed } from "../bots/ceilings.ts";
import type { Tier } from "../auth/user.ts";

/** What is done to one bot so that it fits its owner's tier. */
export type Step =
  | { readonly kind: "none" }
  /** It opens nothing new, and its position is managed to its end. */
  | { readonly kind: "pause"; readonly reason: string }
  | { readonly kind: "move" }
  /** It moves as soon as it holds nothing: another class is another pod. */
  | { readonly kind: "wait" };

interface OwnedBots {
  readonly tier: Tier;
  readonly ceilings: Ceilings;
  /** All that are not retired, in the order in which they were made: Kubernetes knows the second only. */
  readonly bots: readonly TradingBot[];
}

/**
 * What each bot needs. Of too many the ones made last are paused. A bot that does not run is left alone: starting takes it into
 * the class of its owner, whose ceilings are asked then.
 */
export function stepsFor({
  tier,
  ceilings,
  bots,
}: OwnedBots): readonly (Step & { readonly bot: TradingBot })[] {
  return bots.map((bot, place) => {
    if (bot.spec.state !== "Running") return { bot, kind: "none" };
    if (place >= ceilings.botsPerUser) {
      return { bot, kind: "pause", reason: `the ${tier} tier has ${ceilings.botsPerUser} bots` };
    }
    if (bot.spec.className === tier) return { bot, kind: "none" };
    const crossed = ceilingCrossed({ wanted: bot.spec, className: tier, ceilings });
    if (crossed !== undefined) return { bot, kind: "pause", reason: crossed.message };
    return { bot, kind: isFlat(bot) ? "move" : "wait" };
  });
}

function isFlat({ status }: TradingBot): boolean {
  return status?.conditions?.find(({ type }) => type === "Flat")?.status === "True";
}
