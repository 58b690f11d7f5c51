import type { BotConfig } from "@tradingbots/crds";
import type { ExitReason, Work } from "./work.ts";

/** What the owner or an operator has ordered, whatever the strategy proposes: states of the bot, and halts. */
type Ordered = Pick<BotConfig, "state" | "halts">;

/** Why positions of the symbol are to be closed; undefined when they are not. */
export function reasonToClose(config: Ordered, symbol: string): ExitReason | undefined {
  if (config.state === "Stopped") return "stopped";
  if (config.state === "Retired") return "retired";
  return isHalted(config, symbol, ["Flatten"]) ? "flatten" : undefined;
}

/** Whether the entry, should it still be open, is to be cancelled. */
export function isEntryUnwanted(
  config: Ordered,
  { symbol, exitWanted }: Pick<Work, "symbol" | "exitWanted">,
): boolean {
  if (config.state !== "Running" || exitWanted !== undefined) return true;
  return isHalted(config, symbol, ["CancelOrders", "Flatten"]);
}

type HaltAction = BotConfig["halts"][number]["action"];

function isHalted({ halts }: Ordered, symbol: string, actions: readonly HaltAction[]): boolean {
  return halts.some(
    ({ action, symbols }) =>
      actions.includes(action) && (symbols === null || symbols.includes(symbol)),
  );
}
