import { isStrategyName, STRATEGIES } from "@tradingbots/crds";
import { RsiStrategy } from "./rsi.ts";
import type { PriceBar, Proposal, Strategy } from "./strategy.ts";

/** Starts the named strategy. Throws when the name or a parameter is not known; the sentence is for the user. */
export function startStrategy(chosen: {
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>>;
}): Strategy {
  const { name, params } = chosen;
  if (!isStrategyName(name)) {
    const known = Object.keys(STRATEGIES).join(", ");
    throw new Error(`strategy ${name} does not exist; choose one of: ${known}`);
  }
  const parsed = STRATEGIES[name].safeParse(params);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue?.path.join(".") ?? "";
    throw new Error(`strategy parameter ${field || name}: ${issue?.message ?? "not valid"}`);
  }
  return new RsiStrategy(parsed.data);
}

/** Shows the next closed candle to the strategy and gives its signal with the reasons. */
export function propose(strategy: Strategy, bar: PriceBar): Proposal {
  const signal = strategy.decide(bar);
  return { ...signal, ...strategy.explain() };
}
