import type { HeldPosition } from "../exchange/exchange.ts";
import { Decimal, quantity } from "../money.ts";
import { orderId } from "../orders/order-id.ts";
import { accountForFills, isAccountedFor } from "./account-for-fills.ts";
import { orderRecord } from "./records.ts";
import type { TraderDeps } from "./trader-deps.ts";
import type { ExitAttempt, Work } from "./work.ts";

/** An exit of which the exchange shows nothing for this long was not received. It reduces only, so sending the same id again is safe. */
const EXIT_SETTLE_WINDOW_MS = 10_000;

const RETRY_MIN_MS = 500;
/** A refused exit is tried again at least this often: what refuses it may end at any time, and the position has its stop. */
const RETRY_MAX_MS = 15_000;

/**
 * Closes what is held of the work, with an id that derives from the entry's: every process that closes this trade sends the
 * same order. Never more than the work's own fills, never more than the position; needs no journal.
 */
export async function exitPosition(
  deps: TraderDeps,
  work: Work,
  held: HeldPosition,
): Promise<void> {
  if (deps.monotonicMs() < work.exitRetry.notBeforeMs) return;
  work.exit ??= nextAttempt(deps, work, 0);
  if (work.exit.state !== "fresh") await lookUp(deps, work, work.exit);
  if (work.exit.state === "fresh") await sendExit(deps, work, { held, exit: work.exit });
}

/** An adopted work may have been closed half by the process before: its attempts are looked up from the first on. */
function nextAttempt(deps: TraderDeps, work: Work, attempt: number): ExitAttempt {
  const { botUid } = deps.config();
  const identity = { botUid, symbol: work.symbol, timeframe: "", reference: work.entryId };
  return {
    attempt,
    id: orderId({ ...identity, leg: "exit", attempt }),
    state: work.adopted ? "doubtful" : "fresh",
    // An adopted work's attempt was sent at an unknown time before now, or never: nothing to wait for.
    sentMs: -Infinity,
  };
}

/**
 * Finds out what became of an attempt. The next one may only close what this one has left, and the position does not tell: it
 * may hold as much of somebody else's. So all that the order filled has to be in the account first.
 */
async function lookUp(deps: TraderDeps, work: Work, exit: ExitAttempt): Promise<void> {
  const reference = { symbol: work.symbol, clientOrderId: exit.id };
  const found = await deps.exchange.findOrder(reference);
  if (found === undefined) {
    if (deps.monotonicMs() - exit.sentMs < EXIT_SETTLE_WINDOW_MS) return;
    await accountForFills(deps, work);
    work.exit = { ...exit, state: "fresh" };
    return;
  }
  if (found.status === "open") {
    work.exit = { ...exit, state: "sent" };
    return;
  }
  if (!isAccountedFor(work, found)) await accountForFills(deps, work);
  if (isAccountedFor(work, found)) work.exit = nextAttempt(deps, work, exit.attempt + 1);
}

async function sendExit(
  deps: TraderDeps,
  work: Work,
  { held, exit }: { readonly held: HeldPosition; readonly exit: ExitAttempt },
): Promise<void> {
  const units = quantity(Decimal.min(work.account.open, held.quantity));
  if (units.isZero()) return;
  const side = work.side === "long" ? "sell" : "buy";
  const order = { symbol: work.symbol, clientOrderId: exit.id, side, quantity: units } as const;
  const outcome = await deps.exchange.submitExit(order);
  deps.metrics.count("bot_orders_total", { purpose: "exit", outcome: outcome.kind });
  const said = outcome.kind === "accepted" ? { exchangeOrderId: outcome.exchangeOrderId } : outcome;
  deps.record(
    orderRecord({ ...order, ...said, purpose: "exit", status: outcome.kind }, deps.nowMs()),
  );
  deps.log.info("exit-sent", {
    clientOrderId: exit.id,
    reason: work.exitWanted,
    outcome: outcome.kind,
  });
  if (outcome.kind === "refused") {
    deps.account.noteError();
    work.exitRetry = laterRetry(work.exitRetry.refusals, deps.monotonicMs());
    work.exit = outcome.final
      ? nextAttempt(deps, work, exit.attempt + 1)
      : { ...exit, state: "doubtful", sentMs: -Infinity };
    return;
  }
  work.exitRetry = { refusals: 0, notBeforeMs: 0 };
  const state = outcome.kind === "accepted" ? "sent" : "doubtful";
  work.exit = { ...exit, state, sentMs: deps.monotonicMs() };
}

function laterRetry(refusals: number, nowMs: number): Work["exitRetry"] {
  const pauseMs = Math.min(RETRY_MIN_MS * 2 ** Math.min(refusals, 10), RETRY_MAX_MS);
  return { refusals: refusals + 1, notBeforeMs: nowMs + pauseMs };
}
