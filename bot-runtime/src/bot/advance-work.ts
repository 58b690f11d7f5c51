import type { OrderView, PositionView } from "../exchange/exchange.ts";
import { ZERO_QUANTITY } from "../money.ts";
import { accountForFills, isAccountedFor, recordTrade } from "./account-for-fills.ts";
import { exitPosition } from "./exit-position.ts";
import { protectPosition } from "./protect-position.ts";
import { eventRecord, type OrderFacts, orderRecord } from "./records.ts";
import type { TraderDeps } from "./trader-deps.ts";
import type { Work } from "./work.ts";

/**
 * An entry of which the exchange knows nothing (no order, no execution, no position) is over after this time. Its receive
 * window ended long before; the rest is for an exchange that shows orders late.
 */
const SETTLE_WINDOW_MS = 20_000;

/**
 * Looks at the exchange and brings the work one step further: settles its entry, accounts for what was filled, protects what
 * is held, closes what shall be closed. True once nothing of it is left.
 */
export async function advanceWork(deps: TraderDeps, work: Work): Promise<boolean> {
  const view = await deps.exchange.position(work.symbol);
  work.held = view.held;
  if (work.entry !== "over") await settleEntry(deps, work);
  if (mayHaveFilled(work, view)) await accountForFills(deps, work);
  if (work.account.open.gt(0)) {
    await holdPosition(deps, work);
    return false;
  }
  return work.entry === "over";
}

/** Finds out what became of the entry order. */
async function settleEntry(deps: TraderDeps, work: Work): Promise<void> {
  const reference = { symbol: work.symbol, clientOrderId: work.entryId };
  const order = await deps.exchange.findOrder(reference);
  if (order === undefined) {
    await settleMissingEntry(deps, work);
    return;
  }
  work.contradiction = undefined;
  // By the exchange's clock, however wrong this machine's was.
  work.sinceMs = Math.min(work.sinceMs, order.createdMs);
  if (order.status !== "open") {
    await accountForFills(deps, work);
    if (!isAccountedFor(work, order)) return;
    work.entry = "over";
    deps.record(orderRecord(entryFacts(work, order), deps.nowMs()));
    recordTrade(deps, work);
    return;
  }
  if (work.entry === "unknown") deps.record(orderRecord(entryFacts(work, order), deps.nowMs()));
  work.entry = "open";
  if (!isEntryUnwanted(deps)) return;
  const outcome = await deps.exchange.cancel(reference);
  deps.log.info("entry-cancelled", { clientOrderId: work.entryId, outcome: outcome.kind });
}

/** "Not found" is not "not placed": only silence of orders, executions and position over the whole window is. */
async function settleMissingEntry(deps: TraderDeps, work: Work): Promise<void> {
  if (deps.nowMs() - work.sentMs < SETTLE_WINDOW_MS) return;
  await accountForFills(deps, work);
  const found = work.account.entered.gt(0);
  if (!found && work.filled) {
    // Looked at again and again: the key may come back.
    work.contradiction = `${work.symbol}: the journal knows the ${work.side} position of order ${work.entryId}, but this exchange account never had that order; give the bot the key of the account that it traded on`;
    return;
  }
  work.contradiction = undefined;
  work.entry = "over";
  if (found) return;
  deps.record(
    orderRecord(
      {
        clientOrderId: work.entryId,
        symbol: work.symbol,
        purpose: "entry",
        side: work.side === "long" ? "buy" : "sell",
        quantity: ZERO_QUANTITY,
        status: "cancelled",
        code: "NotFound",
        message: "the exchange never received the order",
      },
      deps.nowMs(),
    ),
  );
}

function entryFacts(work: Work, order: OrderView): OrderFacts {
  const over = order.filledQuantity.gt(0) && order.status !== "open" ? "filled" : order.status;
  return {
    clientOrderId: work.entryId,
    exchangeOrderId: order.exchangeOrderId,
    symbol: work.symbol,
    purpose: "entry",
    side: order.side,
    quantity: order.quantity,
    status: over === "open" ? "accepted" : over,
  };
}

function isEntryUnwanted(deps: TraderDeps): boolean {
  const { state, halts } = deps.config();
  return state !== "Running" || halts.some(({ action }) => action !== "BlockEntries");
}

/** Executions are asked for only when the position says something else than the account. */
function mayHaveFilled(work: Work, { held }: PositionView): boolean {
  const heldQuantity = held?.side === work.side ? held.quantity : ZERO_QUANTITY;
  return !heldQuantity.eq(work.account.open);
}

/** What is held is protected, or closed when it shall be, or cannot be protected. */
async function holdPosition(deps: TraderDeps, work: Work): Promise<void> {
  const { held } = work;
  // Executions may be known before the position shows them, and the other way round.
  if (held === undefined || held.side !== work.side) return;
  wantExitByState(deps, work);
  if (work.exitWanted === undefined) await protectPosition(deps, work, held);
  if (work.exitWanted !== undefined) await exitPosition(deps, work, held);
}

/** States and halts that close a position; a signal's exit comes from the strategy. */
export function wantExitByState(deps: TraderDeps, work: Work): void {
  const { state, halts } = deps.config();
  const flatten = halts.find(({ action }) => action === "Flatten");
  const reason =
    state === "Stopped"
      ? "stopped"
      : state === "Retired"
        ? "retired"
        : flatten && ("flatten" as const);
  if (reason === undefined || work.exitWanted !== undefined) return;
  work.exitWanted = reason;
  deps.record(
    eventRecord("closing", `${work.symbol}: closing the position (${reason})`, deps.nowMs()),
  );
}
