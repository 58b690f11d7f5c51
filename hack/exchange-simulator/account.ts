import { initialMargin, orderMargin } from "./margin.ts";
import { DEFAULT_LEVERAGE } from "./instruments.ts";
import { type Decimal, ZERO } from "./money.ts";
import { type Execution, isActive, leavesQuantity, type Order, type Protection } from "./order.ts";
import { FLAT, type Holding, sideOf, unrealisedPnl } from "./position.ts";
import type { Valuation } from "./trading.ts";

/** Closed orders and executions kept per account; the oldest are forgotten. Bybit keeps them for two years. */
const MAX_HISTORY = 20_000;
/** Client order ids remembered per account, so that they stay unique for good. Beyond it no order is taken. */
export const MAX_ORDER_LINK_IDS = 100_000;

export interface Position {
  readonly symbol: string;
  holding: Holding;
  leverage: Decimal;
  /** Realised since the position was opened, and ever; fees included, as Bybit counts them. */
  currentRealised: Decimal;
  cumulativeRealised: Decimal;
  createdMs: number;
  updatedMs: number;
  /** Sequence of the last execution; -1 before the first. */
  sequence: number;
}

/** What a position was from a server time on, ms. */
export interface PastPosition {
  readonly atMs: number;
  readonly holding: Holding;
  readonly protection: Protection;
}

/** A change that the account's private stream tells. */
export type AccountEvent =
  | { readonly kind: "order"; readonly order: Order }
  | { readonly kind: "execution"; readonly execution: Execution }
  | { readonly kind: "position"; readonly symbol: string }
  | { readonly kind: "wallet" };

/** One trading account with its wallet in USDT; several API keys may belong to it. */
export interface Account {
  readonly userId: number;
  readonly initialBalance: Decimal;
  wallet: Decimal;
  readonly positions: Map<string, Position>;
  readonly openOrders: Map<string, Order>;
  /** Oldest first. */
  readonly closedOrders: Order[];
  readonly executions: Execution[];
  readonly linkIds: Set<string>;
  /** In hedge mode the account can be looked at and switched back, and takes no orders. */
  hedgeMode: boolean;
  /** Orders that look-ups do not show yet, with the server time at which they do, ms: a fault that was asked for. */
  readonly hiddenOrders: Map<string, number>;
  /** Each symbol's position after every change, oldest first, kept while the position list shows them late. */
  readonly pastPositions: Map<string, PastPosition[]>;
  /** To be called after every change, in their order. */
  readonly publish: (event: AccountEvent) => void;
}

export function createAccount(
  userId: number,
  balance: Decimal,
  publish: Account["publish"] = () => {},
): Account {
  return {
    userId,
    initialBalance: balance,
    wallet: balance,
    positions: new Map(),
    openOrders: new Map(),
    closedOrders: [],
    executions: [],
    linkIds: new Set(),
    hedgeMode: false,
    hiddenOrders: new Map(),
    pastPositions: new Map(),
    publish,
  };
}

/** The account's position in `symbol`, made flat with the default leverage on first use. */
export function positionOf(account: Account, symbol: string): Position {
  const known = account.positions.get(symbol);
  if (known !== undefined) return known;
  const made: Position = {
    symbol,
    holding: FLAT,
    leverage: DEFAULT_LEVERAGE,
    currentRealised: ZERO,
    cumulativeRealised: ZERO,
    createdMs: 0,
    updatedMs: 0,
    sequence: -1,
  };
  account.positions.set(symbol, made);
  return made;
}

export function ordersOf(account: Account, symbol: string): Order[] {
  return [...account.openOrders.values()].filter((order) => order.symbol === symbol);
}

/** Whether look-ups show the order to its owner at `nowMs`, server time. */
export function isShown(account: Account, orderId: string, nowMs: number): boolean {
  return nowMs >= (account.hiddenOrders.get(orderId) ?? 0);
}

export function remember<Entry>(history: Entry[], entry: Entry): void {
  history.push(entry);
  if (history.length > MAX_HISTORY) history.shift();
}

/** Wallet and margins in USDT, valued at last prices. */
export interface Balances {
  readonly wallet: Decimal;
  readonly unrealisedPnl: Decimal;
  readonly equity: Decimal;
  readonly positionMargin: Decimal;
  readonly orderMargin: Decimal;
  /** What new orders may use; below zero when the margin is overdrawn. */
  readonly available: Decimal;
}

export function balancesOf(account: Account, { lastPrice, settings }: Valuation): Balances {
  const { takerFeeRate } = settings();
  let [unrealised, positionMargin, heldByOrders] = [ZERO, ZERO, ZERO];
  for (const { symbol, holding, leverage } of account.positions.values()) {
    const side = sideOf(holding);
    if (side === "") continue;
    unrealised = unrealised.plus(unrealisedPnl(holding, lastPrice(symbol)));
    positionMargin = positionMargin.plus(
      initialMargin(side, holding.entryValue, { leverage, takerFeeRate }),
    );
  }
  for (const order of account.openOrders.values()) {
    if (order.reduceOnly || !isActive(order)) continue;
    const value = leavesQuantity(order).times(order.price ?? lastPrice(order.symbol));
    const { leverage } = positionOf(account, order.symbol);
    heldByOrders = heldByOrders.plus(orderMargin(order.side, value, { leverage, takerFeeRate }));
  }
  const equity = account.wallet.plus(unrealised);
  return {
    wallet: account.wallet,
    unrealisedPnl: unrealised,
    equity,
    positionMargin,
    orderMargin: heldByOrders,
    available: equity.minus(positionMargin).minus(heldByOrders),
  };
}
