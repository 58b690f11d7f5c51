import type { Dated, HeldPosition, Levels, Outcome } from "../exchange/exchange.ts";
import { type Price, text } from "../money.ts";
import { protectionLevels } from "../orders/levels.ts";
import { stillHeldAt } from "./account-for-fills.ts";
import { lookUps } from "./look-ups.ts";
import { eventRecord } from "./records.ts";
import { seePosition } from "./see-position.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { heldOf, type Work } from "./work.ts";

/** Failed attempts to give a position without a stop one; then it is closed. */
const UNPROTECTED_ATTEMPTS = 2;
/**
 * A stop needs the tick, and the exchange may not tell it. It is asked in every turn; a position that had no stop for so long is
 * closed, which needs no rules: longer than one question (8 s) and its repetition take.
 */
const WITHOUT_RULES_MAX_MS = 20_000;
/**
 * Levels that the exchange did not take, of a position that has a stop, are asked for again after this. A stop that is
 * moved on and on would one day be missing at the wrong moment (freqtrade#11788: 175 times in 14 minutes).
 */
const MOVE_AGAIN_MS = 30_000;
/** Levels that it refuses again and again are asked for ever more rarely, up to this: a settlement ends, a price comes back. */
const MOVE_AGAIN_MAX_MS = 900_000;
/** A stop that is placed alone is asked for again after this: an exchange may show it late, or turn everything away. */
const ALONE_EVERY_MS = 5_000;
/** So long an account says whose a position of its size is, well enough for a stop. */
const KNOWN_FOR_MS = 600_000;

/**
 * Brings stop and target of a held position to its mean entry price × (1 ± p), rounded to the tick. They follow the
 * configuration: a changed percentage moves them, unless the exchange refuses because the price has passed the new level; then
 * the old ones stay until it takes them. A position without a stop that cannot be given one is closed, and so is one whose stop lies where the
 * exchange would have liquidated it before.
 */
export async function protectPosition(
  deps: TraderDeps,
  work: Work,
  held: HeldPosition,
): Promise<void> {
  if (lacksRules(deps, work, held)) return;
  const wanted = isSuccessors(deps, held) ? undefined : wantedLevels(deps, work, held);
  if (wanted === undefined || isAt(held, wanted) || isRefused(deps, work, { held, wanted })) {
    if (held.stopLoss !== undefined) work.protection.failures = 0;
    if (isBeyondLiquidation(held, held.stopLoss))
      leave(deps, work, "its stop lies beyond liquidation");
    return;
  }
  const known = await stillHeldAt(deps, work);
  if (known === undefined) return;
  const outcome = await setLevels(deps, held, { ...wanted, ...known });
  // What counts is what the exchange shows, not what it answered.
  seePosition(deps, work, (await lookUps(deps, work).position(work.symbol)).held);
  const now = heldOf(work);
  if (now === undefined || now.stopLoss !== undefined) {
    work.protection.failures = 0;
    if (now !== undefined && !isAt(now, wanted)) noteRefused(deps, work, { wanted, outcome });
    return;
  }
  work.protection.failures += 1;
  deps.log.error("unprotected", { symbol: work.symbol, failures: work.protection.failures });
  if (work.protection.failures >= UNPROTECTED_ATTEMPTS)
    leave(deps, work, "the exchange takes no stop");
}

/** The pod that has taken over goes by the newer configuration: only where there is no stop does each of them place one. */
function isSuccessors({ journal }: TraderDeps, { stopLoss }: HeldPosition): boolean {
  return stopLoss !== undefined && journal.standing === "stale";
}

/** Whether a position has no stop, and cannot be given one because nobody knows the rules for it. */
function lacksRules(deps: TraderDeps, work: Work, held: HeldPosition): boolean {
  const isNaked = held.stopLoss === undefined && deps.exchange.market(work.symbol) === undefined;
  const now = deps.monotonicMs();
  const sinceMs = isNaked ? (work.protection.withoutRulesMs ?? now) : undefined;
  work.protection.withoutRulesMs = sinceMs;
  if (sinceMs !== undefined && now - sinceMs >= WITHOUT_RULES_MAX_MS)
    leave(deps, work, "it has no stop, and the exchange does not tell the rules for one");
  return isNaked;
}

/**
 * A look that failed on its way to the stop leaves no position without one that is as large as the account has just known it. Were
 * it somebody else's by now, a stop of his own side would be all that he gets.
 */
export async function placeKnownStop(deps: TraderDeps, work: Work): Promise<void> {
  const held = heldOf(work);
  const { account, accountedMs } = work;
  if (held === undefined || held.stopLoss !== undefined) return;
  const isKnown = held.quantity.eq(account.open) && account.others.lte(0);
  if (
    !isKnown ||
    !isBoughtAlike(deps, work, held) ||
    deps.monotonicMs() - accountedMs >= KNOWN_FOR_MS
  )
    return;
  await placeStopAlone(deps, work, held);
}

/** The exchange's mean price is the account's, to the tick: what somebody else has opened since has another. */
function isBoughtAlike(deps: TraderDeps, { symbol, account }: Work, held: HeldPosition): boolean {
  const { tick } = deps.exchange.market(symbol) ?? {};
  if (tick === undefined || account.entryPrice === undefined) return false;
  return held.entryPrice.minus(account.entryPrice).abs().lte(tick);
}

/** What is held of what the entry was to open, and nobody else's executions explain, has its stop before the entry is shown. */
export async function placeUnknownStop(deps: TraderDeps, work: Work): Promise<void> {
  const held = heldOf(work);
  if (held === undefined || held.stopLoss !== undefined) return;
  if (work.intended === undefined || held.quantity.gt(work.intended.units)) return;
  await placeStopAlone(deps, work, held);
}

async function placeStopAlone(deps: TraderDeps, work: Work, held: HeldPosition): Promise<void> {
  const now = deps.monotonicMs();
  const wanted = wantedLevels(deps, work, held);
  if (wanted === undefined || now < work.protection.aloneNotBeforeMs) return;
  work.protection.aloneNotBeforeMs = now + ALONE_EVERY_MS;
  const { kind } = await deps.exchange.protect(held.symbol, { ...wanted, takeProfit: undefined });
  deps.metrics.count("bot_protections_total", { outcome: kind });
  deps.log.warn("stop-alone", { symbol: work.symbol, outcome: kind });
}

type ClosingLevels = Required<Levels> & { readonly takeProfit: Price };

/**
 * Undefined when there is nothing to go by, or when the stop that is there is better than the wanted one. After what nobody can
 * tell the effect of (a split has other prices than its entry) a stop stays, and a missing one goes by the exchange's own mean price.
 */
function wantedLevels(deps: TraderDeps, work: Work, held: HeldPosition): ClosingLevels | undefined {
  // Of two trades in one position each would move the stop to its own levels, in turn.
  if (work.isBesideOpen && held.stopLoss !== undefined) return undefined;
  const { entryPrice: paid, unexplained } = work.account;
  if (unexplained !== undefined && held.stopLoss !== undefined) return undefined;
  const shown = held.entryPrice.gt(0) ? held.entryPrice : undefined;
  const entryPrice = unexplained === undefined ? (paid ?? shown) : (shown ?? paid);
  const market = deps.exchange.market(work.symbol);
  if (entryPrice === undefined || market === undefined) return undefined;
  const { risk } = deps.config();
  const wanted = protectionLevels({ side: work.side, price: entryPrice }, risk, market);
  const worse =
    held.stopLoss !== undefined &&
    isBeyondLiquidation(held, wanted.stopLoss) &&
    !isBeyondLiquidation(held, held.stopLoss);
  return worse ? undefined : wanted;
}

/** Whether the exchange would take the position over before its price comes to the stop. */
function isBeyondLiquidation(held: HeldPosition, stop: Price | undefined): boolean {
  const { liquidationPrice: liquidation, side } = held;
  if (liquidation === undefined || stop === undefined) return false;
  return side === "long" ? stop.lte(liquidation) : stop.gte(liquidation);
}

interface Asked {
  readonly held: HeldPosition;
  readonly wanted: ClosingLevels;
}

function isRefused(deps: TraderDeps, { protection }: Work, { held, wanted }: Asked): boolean {
  if (held.stopLoss === undefined || protection.refusedFor !== nameOf(wanted)) return false;
  return deps.monotonicMs() < protection.notBeforeMs;
}

function noteRefused(
  deps: TraderDeps,
  { protection }: Work,
  { wanted, outcome }: { readonly wanted: ClosingLevels; readonly outcome: Outcome },
): void {
  const isAgain = protection.refusedFor === nameOf(wanted);
  const isRefusedForNow = outcome.kind === "refused" && outcome.final;
  protection.refusals = isRefusedForNow ? (isAgain ? protection.refusals : 0) + 1 : 0;
  protection.refusedFor = nameOf(wanted);
  const pauseMs = Math.min(
    MOVE_AGAIN_MS * 2 ** Math.max(protection.refusals - 1, 0),
    MOVE_AGAIN_MAX_MS,
  );
  protection.notBeforeMs = deps.monotonicMs() + pauseMs;
}

const nameOf = ({ stopLoss, takeProfit }: ClosingLevels) => `${text(stopLoss)}/${text(takeProfit)}`;

function leave(deps: TraderDeps, work: Work, why: string): void {
  if (work.exitWanted === "unprotected") return;
  work.exitWanted = "unprotected";
  const message = `${work.symbol}: ${why}; closing the position`;
  deps.record(eventRecord("unprotected", message, deps.nowMs()));
}

/** Without a stop the stop alone is tried when the exchange refuses it together with the target. */
async function setLevels(
  deps: TraderDeps,
  held: HeldPosition,
  wanted: ClosingLevels & Dated,
): Promise<Outcome> {
  const both = await deps.exchange.protect(held.symbol, wanted);
  deps.metrics.count("bot_protections_total", { outcome: both.kind });
  if (both.kind !== "refused") return both;
  const { code, message } = both;
  deps.log.warn("protection-refused", { symbol: held.symbol, code, message });
  if (held.stopLoss !== undefined) return both;
  await deps.exchange.protect(held.symbol, { ...wanted, takeProfit: undefined });
  return both;
}

function isAt(held: HeldPosition, wanted: ClosingLevels): boolean {
  const { stopLoss, takeProfit } = held;
  if (stopLoss === undefined || takeProfit === undefined) return false;
  return stopLoss.eq(wanted.stopLoss) && takeProfit.eq(wanted.takeProfit);
}
