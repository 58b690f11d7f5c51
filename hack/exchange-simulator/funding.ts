import { type Account, positionOf } from "./account.ts";
import { book } from "./ledger.ts";
import { Decimal, ZERO } from "./money.ts";
import { sideOf } from "./position.ts";
import type { Trading } from "./trading.ts";

const FUNDING_INTERVAL_MS = 8 * 3_600_000;

/** Whether funding is settled at `replayTime`: 00:00, 08:00 and 16:00 UTC. */
export function isFundingTime(replayTime: number): boolean {
  return replayTime % FUNDING_INTERVAL_MS === 0;
}

/** The first funding after `replayTime`, ms. */
export function nextFundingTime(replayTime: number): number {
  return (Math.floor(replayTime / FUNDING_INTERVAL_MS) + 1) * FUNDING_INTERVAL_MS;
}

/**
 * Settles funding on the account's position: value at the last price × rate, which longs pay and shorts receive when the rate is
 * above zero (Bybit help centre, "Introduction to Funding Rate"). It appears as Bybit shows it: an execution of type Funding
 * under an order id that no order has, orderQty 0, orderType UNKNOWN, execFee above zero when paid
 * (https://bybit-exchange.github.io/docs/v5/pre-upgrade/execution, https://github.com/ccxt/ccxt/pull/19630).
 */
export function settleFunding(account: Account, symbol: string, trading: Trading): void {
  const rate = trading.settings().fundingRates[symbol];
  const { holding } = positionOf(account, symbol);
  const side = sideOf(holding);
  if (rate === undefined || side === "") return;
  const price = trading.lastPrice(symbol);
  const quantity = holding.size.abs();
  const feeRate = side === "Buy" ? rate : rate.negated();
  book(
    account,
    {
      type: "Funding",
      orderId: trading.newId(),
      linkId: "",
      symbol,
      side,
      orderType: "UNKNOWN",
      stopOrderType: "",
      orderQuantity: ZERO,
      leavesQuantity: ZERO,
      orderPrice: ZERO,
      price,
      quantity,
      fee: quantity.times(price).times(feeRate),
      // −0 for a short at rate 0 would be shown as such.
      feeRate: feeRate.isZero() ? new Decimal(0) : feeRate,
      maker: false,
      change: { holding, closedQuantity: ZERO, realisedPnl: ZERO },
    },
    trading,
  );
}
