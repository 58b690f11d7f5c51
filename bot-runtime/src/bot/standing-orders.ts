import type { BotConfig } from "@tradingbots/crds";
import type { TraderDeps } from "./trader-deps.ts";
import type { ExitReason, Work } from "./work.ts";

/** What the owner or an operator has ordered, whatever the strategy proposes: states of the bot, halts, and requests. */
type Ordered = Pick<BotConfig, "state" | "halts">;

/** Why the position is to be closed, whatever the strategy proposes; undefined when it is not. */
export function reasonToClose(
  { config, exchange }: Pick<TraderDeps, "config" | "exchange">,
  work: Pick<Work, "symbol" | "requested">,
): ExitReason | undefined {
  return (
    orderedToClose(config(), work) ?? (exchange.delisted(work.symbol) ? "delisting" : undefined)
  );
}

function orderedToClose(
  config: Ordered,
  { symbol, requested }: Pick<Work, "symbol" | "requested">,
): ExitReason | undefined {
  if (requested === "close") return "manual";
  if (config.state === "Stopped") return "stopped";
  if (config.state === "Retired") return "retired";
  return isHalted(config, symbol, ["Flatten"]) ? "flatten" : undefined;
}

/** Whether the entry, should it still be open, is to be cancelled. */
export function isEntryUnwanted(
  config: Ordered,
  { symbol, exitWanted, requested }: Pick<Work, "symbol" | "exitWanted" | "requested">,
): boolean {
  if (config.state !== "Running" || (exitWanted ?? requested) !== undefined) return true;
  return isHalted(config, symbol, ["CancelOrders", "Flatten"]);
}

type HaltAction = BotConfig["halts"][number]["action"];

function isHalted({ halts }: Ordered, symbol: string, actions: readonly HaltAction[]): boolean {
  return halts.some(
    ({ action, symbols }) =>
      actions.includes(action) && (symbols === null || symbols.includes(symbol)),
  );
}
