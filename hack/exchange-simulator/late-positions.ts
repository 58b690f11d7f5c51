import { type Account, type AccountEvent, type PastPosition, positionOf } from "./account.ts";
import { NO_PROTECTION, type Protection } from "./order.ts";
import { FLAT } from "./position.ts";
import { positionDelayMs } from "./settings.ts";
import { protectionOrders, type Trading } from "./trading.ts";

/** More changes within the longest delay are not told apart: the oldest are forgotten. */
const MAX_PAST = 1_000;

/** What can be seen of a symbol's position. */
export type PositionSight = Pick<PastPosition, "holding" | "protection"> & {
  readonly symbol: string;
};

/** Stop and target of the symbol's position, as prices; undefined for none. */
export function protectionOf(account: Account, symbol: string): Protection {
  const orders = protectionOrders(account, symbol);
  const level = (type: string) =>
    orders.find((order) => order.stopOrderType === type)?.trigger?.price;
  return { takeProfit: level("TakeProfit"), stopLoss: level("StopLoss") };
}

/** To be called after every change of an account: keeps what its position is from now on, while the list shows positions late. */
export function rememberPosition(account: Account, event: AccountEvent, trading: Trading): void {
  if (event.kind !== "position" && event.kind !== "order") return;
  const symbol = event.kind === "order" ? event.order.symbol : event.symbol;
  if (positionDelayMs(trading.settings(), symbol) === 0) return;
  const past = account.pastPositions.get(symbol) ?? [];
  past.push({ atMs: trading.now(), ...presentSight(account, symbol) });
  if (past.length > MAX_PAST) past.shift();
  account.pastPositions.set(symbol, past);
}

/** What /v5/position/list shows of a symbol: what is, or what was so long ago as the settings say. */
export function listedSight(account: Account, symbol: string, trading: Trading): PositionSight {
  const delayMs = positionDelayMs(trading.settings(), symbol);
  if (delayMs === 0) return presentSight(account, symbol);
  const shownMs = trading.now() - delayMs;
  const shown = account.pastPositions.get(symbol)?.findLast(({ atMs }) => atMs <= shownMs);
  return { symbol, ...(shown ?? { holding: FLAT, protection: NO_PROTECTION }) };
}

export function presentSight(account: Account, symbol: string): PositionSight {
  const { holding } = positionOf(account, symbol);
  return { symbol, holding, protection: protectionOf(account, symbol) };
}
