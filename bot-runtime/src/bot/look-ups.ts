import type { LookUps } from "../exchange/exchange.ts";
import { isEntryUnwanted, reasonToClose } from "./standing-orders.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { heldOf, type Work } from "./work.ts";

/**
 * What the exchange is asked by about a work: on the exits' own connection once something is to be closed, cancelled or
 * protected, so that none of it waits behind candles, balances or other symbols' polls.
 */
export function lookUps(deps: TraderDeps, work: Work): LookUps {
  return isUrgent(deps, work) ? deps.exchange.urgent : deps.looks;
}

export function isUrgent(deps: Pick<TraderDeps, "config" | "exchange">, work: Work): boolean {
  if (work.exitWanted !== undefined || reasonToClose(deps, work) !== undefined) return true;
  if (work.entry !== "over" && isEntryUnwanted(deps.config(), work)) return true;
  return isNaked(work);
}

/** The work's position was seen without its stop. */
export function isNaked(work: Pick<Work, "held" | "side">): boolean {
  const held = heldOf(work);
  return held !== undefined && held.stopLoss === undefined;
}
