import { type Account, ordersOf } from "./account.ts";
import { BybitError, RetCode } from "./bybit-error.ts";
import { forceClose } from "./forced-close.ts";
import { ZERO } from "./money.ts";
import { cancelOrder, type Trading } from "./trading.ts";

/** ReduceOnly: the delisting is announced and positions can only shrink. Closed: the contract is no more. */
export type SymbolStatus = "Trading" | "ReduceOnly" | "Closed";

/** Cancels the account's orders in a symbol that closes and settles its position at the last price, free of charge. */
export function settleDelisting(account: Account, symbol: string, trading: Trading): void {
  const nowMs = trading.now();
  for (const order of ordersOf(account, symbol)) {
    cancelOrder(account, order, { cancelType: "CancelBySettle", nowMs });
  }
  const price = trading.lastPrice(symbol);
  forceClose(account, { symbol, type: "Delivery", price, feeRate: ZERO }, trading);
}

/** Bybit's refusal of an order in a symbol that is delisted or about to be (https://bybit-exchange.github.io/docs/v5/error). */
export function checkListed(status: SymbolStatus, reduceOnly: boolean): void {
  if (status === "Closed") {
    throw new BybitError(RetCode.contractNotLive, "This contract is not live");
  }
  if (status === "ReduceOnly" && !reduceOnly) {
    throw new BybitError(RetCode.delisting, "No new positions during delisting");
  }
}
