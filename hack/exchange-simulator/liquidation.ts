import { type Account, ordersOf, positionOf } from "./account.ts";
import { forceClose } from "./forced-close.ts";
import type { MarketEvent } from "./fill.ts";
import { instrumentOf } from "./instruments.ts";
import { maintenanceMargin } from "./margin.ts";
import { Decimal, ZERO } from "./money.ts";
import { isProtection } from "./order.ts";
import { type Holding, sideOf, unrealisedPnl } from "./position.ts";
import { cancelOrder, type Trading, type Valuation } from "./trading.ts";

/**
 * Price of `symbol` at which a cross margin account is liquidated: where its equity, everything else valued at last prices, is no
 * more than its maintenance margins (Bybit help centre, "Liquidation Process (Unified Trading Account)": the account's
 * maintenance margin rate reaches 100 %). Undefined when flat; zero or less when no price liquidates a long.
 */
export function liquidationPrice(
  account: Account,
  symbol: string,
  valuation: Valuation,
): Decimal | undefined {
  const { holding } = positionOf(account, symbol);
  if (sideOf(holding) === "") return undefined;
  return priceForEquity(holding, {
    rest: equityWithout(account, symbol, valuation),
    equity: maintenanceMargins(account, valuation),
  });
}

/** The price at which `rest` and the holding's unrealised profit add up to `equity`. */
function priceForEquity(
  holding: Holding,
  aim: { readonly rest: Decimal; readonly equity: Decimal },
): Decimal {
  const missing = aim.equity.minus(aim.rest);
  return holding.size.isPositive()
    ? missing.plus(holding.entryValue).div(holding.size)
    : holding.entryValue.minus(missing).div(holding.size.abs());
}

/** Wallet and unrealised profit of all positions but the one in `symbol`. */
function equityWithout(account: Account, symbol: string, { lastPrice }: Valuation): Decimal {
  let equity = account.wallet;
  for (const position of account.positions.values()) {
    if (position.symbol === symbol) continue;
    equity = equity.plus(unrealisedPnl(position.holding, lastPrice(position.symbol)));
  }
  return equity;
}

/** Of all its positions. */
export function maintenanceMargins(account: Account, { settings }: Valuation): Decimal {
  const { takerFeeRate } = settings();
  let sum = ZERO;
  for (const { holding, leverage } of account.positions.values()) {
    const side = sideOf(holding);
    if (side !== "")
      sum = sum.plus(maintenanceMargin(side, holding.entryValue, { leverage, takerFeeRate }));
  }
  return sum;
}

/**
 * Liquidates the account when the event takes it to its liquidation price. Called before orders are served, it leaves a position
 * to a stop that lies before that price; called after them, it spares nothing.
 */
export function liquidate(
  account: Account,
  when: { readonly event: MarketEvent; readonly sparesStopped: boolean },
  trading: Trading,
): void {
  const { symbol, tick } = when.event;
  const price = liquidationPrice(account, symbol, trading);
  if (price === undefined) return;
  const long = positionOf(account, symbol).holding.size.isPositive();
  const worst = tick.kind === "price" ? tick.price : long ? tick.low : tick.high;
  const reached = long ? worst.lte(price) : worst.gte(price);
  if (!reached || (when.sparesStopped && isStopped(account, symbol, { price, long }))) return;
  takeOver(account, symbol, trading);
}

function isStopped(
  account: Account,
  symbol: string,
  liquidation: { readonly price: Decimal; readonly long: boolean },
): boolean {
  return ordersOf(account, symbol).some((order) => {
    const { trigger } = order;
    if (trigger === undefined || !order.reduceOnly || order.status !== "Untriggered") return false;
    return liquidation.long
      ? trigger.direction === "falling" && trigger.price.gt(liquidation.price)
      : trigger.direction === "rising" && trigger.price.lt(liquidation.price);
  });
}

/**
 * Cancels the account's orders and closes its positions at their bankruptcy prices, at which nothing is left of the equity once
 * the fee is paid: an insurance fund bears what the market takes beyond. The rounding to a tick stays in the wallet.
 */
function takeOver(account: Account, first: string, trading: Trading): void {
  const nowMs = trading.now();
  for (const order of account.openOrders.values()) {
    if (isProtection(order)) continue;
    cancelOrder(account, order, { cancelType: "CancelAllBeforeLiq", nowMs });
  }
  const others = [...account.positions.keys()].filter((symbol) => symbol !== first);
  for (const symbol of [first, ...others]) {
    const price = bankruptcyPrice(account, symbol, trading);
    const feeRate = trading.settings().takerFeeRate;
    if (price !== undefined) {
      forceClose(account, { symbol, type: "BustTrade", price, feeRate }, trading);
    }
  }
}

function bankruptcyPrice(account: Account, symbol: string, trading: Trading): Decimal | undefined {
  const { holding } = positionOf(account, symbol);
  if (sideOf(holding) === "") return undefined;
  const rest = equityWithout(account, symbol, trading);
  const { tickSize } = instrumentOf(symbol);
  const { takerFeeRate } = trading.settings();
  const long = holding.size.isPositive();
  const missing = long ? holding.entryValue.minus(rest) : holding.entryValue.plus(rest);
  const kept = new Decimal(1).plus(long ? takerFeeRate.negated() : takerFeeRate);
  return missing
    .div(holding.size.abs().times(kept))
    .toNearest(tickSize, long ? Decimal.ROUND_UP : Decimal.ROUND_DOWN);
}
