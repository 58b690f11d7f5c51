import type { HeldPosition, OrderView } from "../exchange/exchange.ts";
import { Decimal, quantity } from "../money.ts";
import { orderId } from "../orders/order-id.ts";
import { orderRecord } from "./records.ts";
import type { TraderDeps } from "./trader-deps.ts";
import type { ExitAttempt, Work } from "./work.ts";

/** An exit of which the exchange shows nothing for this long was not received. It reduces only, so sending the same id again is safe. */
const EXIT_SETTLE_WINDOW_MS = 10_000;

/**
 * Closes what is held of the work, with an id that derives from the entry's: every process that closes this trade sends the
 * same order. Never more than the work's own fills, never more than the position; needs no journal.
 */
export async function exitPosition(
  deps: TraderDeps,
  work: Work,
  held: HeldPosition,
): Promise<void> {
  work.exit ??= nextAttempt(deps, work, 0);
  if (work.exit.state !== "fresh") {
    const reference = { symbol: work.symbol, clientOrderId: work.exit.id };
    work.exit = afterLookUp(
      deps,
      { work, exit: work.exit },
      await deps.exchange.findOrder(reference),
    );
  }
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
    sentMs: 0,
  };
}

function afterLookUp(
  deps: TraderDeps,
  { work, exit }: { readonly work: Work; readonly exit: ExitAttempt },
  found: OrderView | undefined,
): ExitAttempt {
  if (found?.status === "open") return { ...exit, state: "sent" };
  // It is over and something is still held: the next attempt closes the rest.
  if (found !== undefined) return nextAttempt(deps, work, exit.attempt + 1);
  const settled = deps.nowMs() - exit.sentMs >= EXIT_SETTLE_WINDOW_MS;
  return settled ? { ...exit, state: "fresh" } : exit;
}

async function sendExit(
  deps: TraderDeps,
  work: Work,
  { held, exit }: { readonly held: HeldPosition; readonly exit: ExitAttempt },
): Promise<void> {
  const units = quantity(Decimal.min(work.account.open, held.quantity));
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
    // Refused is over: the next look either finds the position gone or tries the next attempt.
    work.exit = nextAttempt(deps, work, exit.attempt + 1);
    return;
  }
  const state = outcome.kind === "accepted" ? "sent" : "doubtful";
  work.exit = { ...exit, state, sentMs: deps.nowMs() };
}
