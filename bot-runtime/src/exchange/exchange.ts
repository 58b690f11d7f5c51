import type { Timeframe } from "@tradingbots/crds";
import type { Amount, Price, Quantity } from "../money.ts";

/**
 * All that a bot asks of an exchange. Data crosses it as plain values (never class instances to be compared with
 * `instanceof`): an adapter is a bundle of its own with its own copies of shared modules.
 */
export interface Exchange {
  /** Loads trading rules of `symbols`; waits for nothing once they are known. */
  readonly prepare: (symbols: readonly string[]) => Promise<void>;
  /** Trading rules of a prepared symbol; undefined when the exchange does not trade it (any more). */
  readonly market: (symbol: string) => Market | undefined;
  /** It is proven that the exchange does not trade the symbol (any more): what is open there is to be closed. */
  readonly delisted: (symbol: string) => boolean;
  /** Closed and current candles, oldest first; the newest one may be unfinished. */
  readonly candles: (query: CandleQuery) => Promise<readonly Candle[]>;
  readonly balance: () => Promise<Balance>;
  readonly position: (symbol: string) => Promise<PositionView>;
  readonly openOrders: (symbol: string) => Promise<readonly OrderView[]>;
  /** Looks in open orders, then in the history, and checks the id of what comes back. */
  readonly findOrder: (reference: OrderReference) => Promise<OrderView | undefined>;
  readonly executions: (query: ExecutionQuery) => Promise<readonly Execution[]>;
  /** The same look-ups on the exits' own connection and rate budget: what they wait for is nothing but the exchange. */
  readonly urgent: LookUps;
  /** May be called only while the symbol is flat, as it was when that was asked. */
  readonly setLeverage: (symbol: string, leverage: number, asked: Dated) => Promise<Outcome>;
  readonly submitEntry: (order: EntryOrder) => Promise<Outcome>;
  /** Reduces only; own connection and rate budget, so that it never queues behind anything else. */
  readonly submitExit: (order: ExitOrder) => Promise<Outcome>;
  readonly cancel: (reference: OrderReference) => Promise<Outcome>;
  /** Cancels an order that has no client's id: a stop or target whose position is gone. */
  readonly cancelPlaced: (reference: PlacedReference) => Promise<Outcome>;
  readonly protect: (symbol: string, levels: Levels & Dated) => Promise<Outcome>;
  readonly describeKey: () => Promise<KeyDescription>;
  /** This machine's clock against the exchange's, as it is known now; undefined before it was measured. */
  readonly clock: () => ClockReading | undefined;
}

export type LookUps = Pick<Exchange, "position" | "openOrders" | "findOrder" | "executions">;

/** The exchange refuses a request that reaches it later than this after the time in its signature. */
export const RECEIVE_WINDOW_MS = 5_000;
/** What a lease must still last when an opening order leaves: then the exchange refuses the order before the lease ends. */
export const OPENING_LEASE_MS = RECEIVE_WINDOW_MS + 1_000;

/** What makes an adapter; every adapter module exports one as `createExchange`. */
export type CreateExchange = (options: ExchangeOptions) => Exchange;

export interface ExchangeOptions {
  readonly key: ExchangeKeyValues;
  readonly testnet: boolean;
  /** REST address instead of the exchange's own, e.g. of a simulator. */
  readonly restUrl: string | undefined;
}

/** Values of a key at the single place that needs them in clear. */
export interface ExchangeKeyValues {
  readonly reveal: () => {
    readonly apiKey: string;
    readonly apiSecret: string;
    readonly passphrase?: string | undefined;
  };
  /** `text` without the key's values, should the exchange have echoed one. */
  readonly scrub: (text: string) => string;
}

export type OrderSide = "buy" | "sell";
export type PositionSide = "long" | "short";

export interface Market {
  readonly symbol: string;
  readonly quoteCurrency: string;
  readonly tick: Price;
  readonly quantityStep: Quantity;
  readonly minimumQuantity: Quantity;
  /** Of one market order. */
  readonly maximumQuantity: Quantity;
  /** Least value of an opening order. */
  readonly minimumValue: Amount;
  readonly maximumLeverage: number;
  /** Whoever holds it at a funding time pays or gets funding; absent: nobody does. */
  readonly isFunded?: boolean;
}

export interface CandleQuery {
  readonly symbol: string;
  readonly timeframe: Timeframe;
  /** First open time; absent: the newest ones. */
  readonly sinceMs?: number;
  readonly limit: number;
}

export interface Candle {
  readonly openTimeMs: number;
  readonly open: Price;
  readonly high: Price;
  readonly low: Price;
  readonly close: Price;
}

export interface Balance {
  readonly equity: Amount;
  /** Free for new margin. */
  readonly available: Amount;
  readonly currency: string;
}

export interface PositionView {
  /** Leverage in force on the symbol, also while flat; undefined when the exchange does not say. */
  readonly leverage: number | undefined;
  readonly held: HeldPosition | undefined;
}

export interface HeldPosition {
  readonly symbol: string;
  readonly side: PositionSide;
  readonly quantity: Quantity;
  readonly entryPrice: Price;
  readonly unrealisedPnl: Amount;
  readonly stopLoss: Price | undefined;
  readonly takeProfit: Price | undefined;
  /** Where the exchange would take the position over; undefined when it states none. */
  readonly liquidationPrice: Price | undefined;
}

export interface OrderReference {
  readonly symbol: string;
  readonly clientOrderId: string;
}

export interface PlacedReference {
  readonly symbol: string;
  readonly exchangeOrderId: string;
}

export interface OrderView {
  readonly clientOrderId: string | undefined;
  readonly exchangeOrderId: string;
  readonly side: OrderSide;
  readonly quantity: Quantity;
  readonly filledQuantity: Quantity;
  /** `open` still may fill; the others never will again. */
  readonly status: "open" | "filled" | "cancelled" | "refused";
  /** The position's own stop or target, not an order of somebody. */
  readonly isProtection: boolean;
  readonly createdMs: number;
}

export interface ExecutionQuery {
  readonly symbol: string;
  readonly sinceMs: number;
  /** The last millisecond that is asked for; absent: up to now. */
  readonly untilMs?: number;
}

/**
 * Executions are asked for back to here: Bybit keeps them for two years, and one that is just being forgotten is a matter of luck.
 * https://bybit-exchange.github.io/docs/v5/order/execution
 */
export const EXECUTIONS_KEPT_MS = 729 * 86_400_000;

/** What moved a position, or its funding, which moves only money. */
export interface Execution {
  readonly executionId: string;
  readonly clientOrderId: string | undefined;
  readonly side: OrderSide;
  readonly price: Price;
  /** Funding: of the position that it was for. */
  readonly quantity: Quantity;
  /** Positive when paid; the funding itself when that is the cause. */
  readonly fee: Amount;
  readonly feeCurrency: string;
  /** `unknown`: whether it moved the position or only money nobody can tell; it is in no account, and `unexplained` names it. */
  readonly cause:
    | "order"
    | "stop"
    | "target"
    | "liquidation"
    | "adl"
    | "delisting"
    | "funding"
    | "unknown";
  readonly unexplained?: string;
  /** Neither side, price nor quantity are known. */
  readonly isUnreadable?: true;
  readonly atMs: number;
}

export interface Levels {
  readonly stopLoss: Price;
  readonly takeProfit: Price | undefined;
}

/** What a request goes by is as old as this: it is signed with that time, so that the receive window ends it. */
export interface Dated {
  /** Wall clock of this machine, ms. */
  readonly madeMs?: number;
  /** Instead of `RECEIVE_WINDOW_MS`. */
  readonly receiveWindowMs?: number;
}

/** A market order with stop and target that take effect with its fill, in one request. */
export interface EntryOrder extends OrderReference, Dated {
  readonly side: OrderSide;
  readonly quantity: Quantity;
  readonly stopLoss: Price;
  readonly takeProfit: Price;
}

export interface ExitOrder extends OrderReference, Dated {
  readonly side: OrderSide;
  readonly quantity: Quantity;
  /** Closes all that is held, also less than the exchange's minimum; for a position that is the bot's alone. */
  readonly wholePosition?: boolean;
}

/**
 * What became of a request that changes something. `unknown` is a state to be settled by asking, never an error to be
 * retried: the exchange may or may not have accepted.
 */
export type Outcome =
  | { readonly kind: "accepted"; readonly exchangeOrderId: string | undefined }
  | {
      readonly kind: "refused";
      readonly code: string;
      readonly message: string;
      /** False: the request was turned away before it was read as an order; the same id may be sent again. */
      readonly final: boolean;
    }
  | {
      readonly kind: "unknown";
      readonly code: string;
      readonly message: string;
      /** The exchange has had an order of this id before: no other will get it. */
      readonly idIsTaken?: boolean;
    };

/** How far this machine's wall clock is from the exchange's, and by how much that may be wrong. */
export interface ClockReading {
  /** Positive when this machine is ahead. */
  readonly skewMs: number;
  readonly uncertaintyMs: number;
}

export interface KeyDescription {
  readonly readOnly: boolean;
  readonly permissions: readonly string[];
  readonly canWithdraw: boolean;
  /** It may move or pay money out of the account in another way than by withdrawal. */
  readonly canTransfer: boolean;
  /** What it may be used from; empty: everywhere. */
  readonly addresses: readonly string[];
  readonly canTrade: boolean;
  readonly accountId: string | undefined;
  readonly expiresAt: string | undefined;
  readonly hedgeMode: boolean;
}

/**
 * Why an exchange cannot be used as it is. Recognised by `name`, not by `instanceof` (see `Exchange`).
 *
 * - `InvalidKey`: the exchange does not know the key or the signature; `PermissionDenied`: it may not do this.
 * - `Unavailable`: no usable answer; ask again later.
 * - `AddressBanned`: it answers nothing from this address; as `Unavailable`, and asked again ever more rarely.
 * - `Refused`: the exchange understood and said no.
 */
export interface ExchangeFault extends Error {
  readonly name: "ExchangeFault";
  readonly fault:
    | "InvalidKey"
    | "PermissionDenied"
    | "Unavailable"
    | "AddressBanned"
    | "Refused"
    | "HedgeMode";
  readonly code: string;
}

/** Says nothing of key or account: the same question may be answered later. */
export function isPassing({ fault }: Pick<ExchangeFault, "fault">): boolean {
  return fault === "Unavailable" || fault === "AddressBanned";
}

export function isExchangeFault(error: unknown): error is ExchangeFault {
  return error instanceof Error && error.name === "ExchangeFault";
}
