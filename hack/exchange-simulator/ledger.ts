import { type Account, positionOf, remember } from "./account.ts";
import type { Decimal } from "./money.ts";
import type { Execution } from "./order.ts";
import type { HoldingChange } from "./position.ts";
import type { Trading } from "./trading.ts";

/** What happened, before the ledger gives it its number and time. */
type Entry = Omit<
  Execution,
  "id" | "sequence" | "value" | "closedQuantity" | "realisedPnl" | "timeMs" | "replayTime"
> & { readonly change: HoldingChange };

/** Writes wallet, position and execution list: the only place where money moves. Gives back the value in USDT. */
export function book(account: Account, entry: Entry, trading: Trading): Decimal {
  const { change, ...facts } = entry;
  const nowMs = trading.now();
  const value = entry.quantity.times(entry.price);
  const result = change.realisedPnl.minus(entry.fee);
  account.wallet = account.wallet.plus(result);

  const position = positionOf(account, entry.symbol);
  const opensAnew = position.holding.size.isZero();
  position.holding = change.holding;
  position.currentRealised = opensAnew ? result : position.currentRealised.plus(result);
  position.cumulativeRealised = position.cumulativeRealised.plus(result);
  position.updatedMs = nowMs;
  const execution: Execution = {
    ...facts,
    id: trading.newId(),
    sequence: trading.nextSequence(),
    value,
    closedQuantity: change.closedQuantity,
    realisedPnl: change.realisedPnl,
    timeMs: nowMs,
    replayTime: trading.replayTime(),
  };
  position.sequence = execution.sequence;
  remember(account.executions, execution);
  account.publish({ kind: "execution", execution });
  account.publish({ kind: "position", symbol: entry.symbol });
  account.publish({ kind: "wallet" });
  return value;
}
