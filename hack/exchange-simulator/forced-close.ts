import { type Account, positionOf } from "./account.ts";
import { dropExits } from "./fill.ts";
import { book } from "./ledger.ts";
import type { Decimal } from "./money.ts";
import { ZERO } from "./money.ts";
import { opposite } from "./order.ts";
import { applyTrade, sideOf } from "./position.ts";
import type { Trading } from "./trading.ts";

interface ForcedClose {
  readonly symbol: string;
  readonly type: "BustTrade" | "Delivery";
  readonly price: Decimal;
  readonly feeRate: Decimal;
}

/**
 * Closes the position without an order of the user: an execution under an order id that no list has ("recorded as a trade but
 * not an order", https://bybit-exchange.github.io/docs/v5/enum#createtype). Its exits are cancelled; nothing when flat.
 */
export function forceClose(account: Account, close: ForcedClose, trading: Trading): void {
  const { symbol, price, feeRate } = close;
  const { holding } = positionOf(account, symbol);
  const held = sideOf(holding);
  if (held === "") return;
  const quantity = holding.size.abs();
  const side = opposite(held);
  book(
    account,
    {
      type: close.type,
      orderId: trading.newId(),
      linkId: "",
      symbol,
      side,
      orderType: "Market",
      stopOrderType: "",
      orderQuantity: quantity,
      leavesQuantity: ZERO,
      orderPrice: price,
      price,
      quantity,
      fee: quantity.times(price).times(feeRate),
      feeRate,
      maker: false,
      change: applyTrade(holding, { side, quantity, price }),
    },
    trading,
  );
  dropExits(account, symbol, trading.now());
}
