import type { Mode } from "@tradingbots/crds";

/** The sentence, and what protects open positions meanwhile. No exchange holds anything of a bot that trades on paper. */
export function withStops(sentence: string, mode: Mode | undefined): string {
  return mode === "paper" ? sentence : `${sentence} Stops at the exchange stay in force.`;
}
