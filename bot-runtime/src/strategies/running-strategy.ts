import { isStrategyName, STRATEGIES } from "@tradingbots/crds";
import { createRsiStrategy } from "./rsi.ts";
import type { PriceBar, Proposal, Strategy } from "./strategy.ts";

/** A strategy with its state kept inside, for callers that follow one series of candles. */
export interface RunningStrategy {
  readonly decide: (bar: PriceBar) => Proposal;
}

/** Starts the named strategy. Throws when the name or a parameter is not known; the sentence is for the user. */
export function startStrategy(chosen: {
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>>;
}): RunningStrategy {
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
  return run(createRsiStrategy(parsed.data));
}

function run<State>(strategy: Strategy<State>): RunningStrategy {
  let state = strategy.initial;
  return {
    decide: (bar) => {
      const decision = strategy.decide(state, bar);
      state = decision.state;
      return decision.proposal;
    },
  };
}
