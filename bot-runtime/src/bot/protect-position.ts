import type { HeldPosition, Levels, Outcome } from "../exchange/exchange.ts";
import { text } from "../money.ts";
import { protectionLevels } from "../orders/levels.ts";
import { eventRecord } from "./records.ts";
import type { TraderDeps } from "./trader-deps.ts";
import type { Work } from "./work.ts";

/** Failed attempts to give a position without a stop one; then it is closed. */
const UNPROTECTED_ATTEMPTS = 2;

/**
 * Brings stop and target of a held position to its mean entry price × (1 ± p), rounded to the tick. They follow the
 * configuration: a changed percentage moves them, unless the exchange refuses because the price has passed the new level; then
 * the old ones stay. A position without a stop that cannot be given one is closed.
 */
export async function protectPosition(
  deps: TraderDeps,
  work: Work,
  held: HeldPosition,
): Promise<void> {
  const wanted = wantedLevels(deps, work);
  if (wanted === undefined || isAt(held, wanted)) {
    if (held.stopLoss !== undefined) work.protection.failures = 0;
    return;
  }
  const name = `${text(wanted.stopLoss)}/${text(wanted.takeProfit)}`;
  if (held.stopLoss !== undefined && work.protection.refusedFor === name) return;
  const outcome = await setLevels(deps, held, wanted);
  // What counts is what the exchange shows, not what it answered.
  work.held = (await deps.exchange.position(work.symbol)).held;
  if (work.held === undefined || work.held.stopLoss !== undefined) {
    work.protection.failures = 0;
    if (outcome.kind === "refused") work.protection.refusedFor = name;
    return;
  }
  work.protection.failures += 1;
  deps.log.error("unprotected", { symbol: work.symbol, failures: work.protection.failures });
  if (work.protection.failures < UNPROTECTED_ATTEMPTS) return;
  work.exitWanted = "unprotected";
  const message = `${work.symbol}: the exchange takes no stop; closing the position`;
  deps.record(eventRecord("unprotected", message, deps.nowMs()));
}

function wantedLevels(deps: TraderDeps, work: Work) {
  const { entryPrice } = work.account;
  if (entryPrice === undefined) return undefined;
  const { risk } = deps.config();
  const market = deps.exchange.market(work.symbol);
  if (market === undefined) return undefined;
  return protectionLevels({ side: work.side, price: entryPrice }, risk, market);
}

/** Without a stop the stop alone is tried when the exchange refuses it together with the target. */
async function setLevels(
  deps: TraderDeps,
  held: HeldPosition,
  wanted: Required<Levels>,
): Promise<Outcome> {
  const both = await deps.exchange.protect(held.symbol, wanted);
  deps.metrics.count("bot_protections_total", { outcome: both.kind });
  if (both.kind !== "refused") return both;
  deps.log.warn("protection-refused", {
    symbol: held.symbol,
    code: both.code,
    message: both.message,
  });
  if (held.stopLoss !== undefined) return both;
  await deps.exchange.protect(held.symbol, { stopLoss: wanted.stopLoss, takeProfit: undefined });
  return both;
}

function isAt(held: HeldPosition, wanted: Required<Levels>): boolean {
  const { stopLoss, takeProfit } = held;
  if (stopLoss === undefined || takeProfit === undefined || wanted.takeProfit === undefined)
    return false;
  return stopLoss.eq(wanted.stopLoss) && takeProfit.eq(wanted.takeProfit);
}
