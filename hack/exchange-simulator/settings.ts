import { z } from "zod";
import { type Instrument, instrumentOf, MAKER_FEE_RATE, TAKER_FEE_RATE } from "./instruments.ts";
import { Decimal } from "./money.ts";
import type { Execution, Order } from "./order.ts";

const MAX_PARTS = 10_000;
const MAX_DELAY_MS = 24 * 3_600_000;
/** "Wait for at least 10 minutes" (https://bybit-exchange.github.io/docs/v5/rate-limit). */
const BAN_MS = 600_000;

/** A share as a decimal string, below zero only where it says so: "0.00055" is 0.055 %. */
const Rate = z
  .string()
  .regex(/^0(\.\d{1,8})?$/, "a share such as 0.00055")
  .transform((value) => new Decimal(value));
const SignedRate = z
  .string()
  .regex(/^-?0(\.\d{1,8})?$/, "a share such as -0.0001")
  .transform((value) => new Decimal(value));

/** In the base coin. */
const QuantityText = z
  .string()
  .regex(/^\d{1,9}(\.\d{1,8})?$/, "a quantity such as 0.02")
  .transform((value) => new Decimal(value));

const FillRule = z.strictObject({
  /** All symbols, or all accounts, without it. */
  symbol: z.string().optional(),
  userId: z.int().optional(),
  reduceOnly: z.boolean().optional(),
  /** The order is filled in so many parts, one a price. */
  parts: z.int().min(1).max(MAX_PARTS),
  /**
   * What becomes of the rest of an order that may not rest in the book (market, IOC): later prices fill it and nobody can cancel
   * it, or they do and its owner can, or it is cancelled; or nothing of it is filled at all, because nobody trades.
   */
  rest: z.enum(["follows", "waits", "cancelled", "unfilled"]).default("follows"),
});

const ExecutionDelay = z.strictObject({
  /** All symbols, types, or orders, without it. Executions of stops and targets are told apart by `stopOrderType`; "" is a plain order's. */
  symbol: z.string().optional(),
  type: z.enum(["Trade", "Funding", "BustTrade", "Delivery"]).optional(),
  stopOrderType: z.enum(["", "Stop", "StopLoss", "TakeProfit"]).optional(),
  /** After it happened, server time. */
  delayMs: z.int().min(1).max(MAX_DELAY_MS),
});

const PositionDelay = z.strictObject({
  /** All symbols without it. */
  symbol: z.string().optional(),
  /** Server time, ms. */
  delayMs: z.int().min(1).max(MAX_DELAY_MS),
});

const SettingsChange = z.strictObject({
  /** Of the executed value; Bybit's for tier "No VIP" by default. */
  takerFeeRate: Rate.optional(),
  makerFeeRate: Rate.optional(),
  /** The first rule that fits an order decides; orders without one are filled whole. */
  fills: z.array(FillRule).max(100).optional(),
  /** Whether an order that meets the market trades at its last price before it is answered, as at an exchange; its first part, if it has parts. */
  fillsAtOnce: z.boolean().optional(),
  /** By symbol: what longs pay shorts of the position's value at 00:00, 08:00 and 16:00 UTC of replay time. None by default. */
  fundingRates: z.record(z.string(), SignedRate).optional(),
  /** How late /v5/execution/list shows executions; the first rule that fits one decides. Positions, wallet and streams stay true. */
  executionDelays: z.array(ExecutionDelay).max(100).optional(),
  /** /v5/position/list shows positions, stops and targets as they were so long ago; the first rule that fits a symbol decides. Streams stay true. */
  positionDelays: z.array(PositionDelay).max(100).optional(),
  /** By symbol: the least that an order may be of, instead of the instrument's own; what is above the step can leave dust. */
  minimumQuantities: z.record(z.string(), QuantityText).optional(),
  /** By symbol: what quantities are multiples of, instead of the instrument's own. */
  quantitySteps: z.record(z.string(), QuantityText).optional(),
  /** Whether an order of quantity 0, which closes the whole position, is taken also for less than the least quantity. */
  closesBelowMinimum: z.boolean().optional(),
  /** Whether the id of an order that was refused is used up, too. */
  refusedIdsAreTaken: z.boolean().optional(),
  /** What an orderLinkId may not be used by already: any order of the account (Bybit), or an open one (Binance, Kraken). */
  idsAreUniqueAmong: z.enum(["all", "open"]).optional(),
  /** How long stop and target stay after their position was closed, server time, ms, as where they are no part of it. Bybit: not at all. */
  orphanedStopsMs: z.int().min(0).max(MAX_DELAY_MS).optional(),
  /** Whether accounts whose equity falls to their maintenance margin are liquidated. */
  liquidation: z.boolean().optional(),
  /** Private requests are answered 10016 and nothing is matched; public data go on. Its end empties what realtime knows of closed orders. */
  maintenance: z.boolean().optional(),
  /** Per account and endpoint; more are answered 10006. Null: no limit. Bybit: 10 for orders, 50 for look-ups. */
  requestsPerSecond: z.int().min(1).nullable().optional(),
  /** Per address; more are answered 403 for banMs. Null: no limit. Bybit: 600. */
  requestsPer5Seconds: z.int().min(1).nullable().optional(),
  banMs: z.int().min(1).optional(),
});
export type SettingsChange = z.input<typeof SettingsChange>;

/** How the exchange behaves beyond the plain case; what the defaults leave out happens only when it is asked for. */
export interface Settings {
  readonly takerFeeRate: Decimal;
  readonly makerFeeRate: Decimal;
  readonly fills: readonly z.output<typeof FillRule>[];
  readonly fillsAtOnce: boolean;
  readonly fundingRates: Readonly<Record<string, Decimal>>;
  readonly executionDelays: readonly z.output<typeof ExecutionDelay>[];
  readonly positionDelays: readonly z.output<typeof PositionDelay>[];
  readonly minimumQuantities: Readonly<Record<string, Decimal>>;
  readonly quantitySteps: Readonly<Record<string, Decimal>>;
  readonly closesBelowMinimum: boolean;
  readonly refusedIdsAreTaken: boolean;
  readonly idsAreUniqueAmong: "all" | "open";
  readonly orphanedStopsMs: number;
  readonly liquidation: boolean;
  readonly maintenance: boolean;
  readonly requestsPerSecond: number | null;
  readonly requestsPer5Seconds: number | null;
  readonly banMs: number;
}

export const defaultSettings: Settings = {
  takerFeeRate: TAKER_FEE_RATE,
  makerFeeRate: MAKER_FEE_RATE,
  fills: [],
  fillsAtOnce: false,
  fundingRates: {},
  executionDelays: [],
  positionDelays: [],
  minimumQuantities: {},
  quantitySteps: {},
  closesBelowMinimum: true,
  refusedIdsAreTaken: false,
  idsAreUniqueAmong: "all",
  orphanedStopsMs: 0,
  liquidation: false,
  maintenance: false,
  requestsPerSecond: null,
  requestsPer5Seconds: null,
  banMs: BAN_MS,
};

/** The settings with what is given changed; throws a ZodError for what makes no sense. */
export function changedSettings(settings: Settings, change: SettingsChange): Settings {
  const given = Object.entries(SettingsChange.parse(change)).filter(
    ([, value]) => value !== undefined,
  );
  return { ...settings, ...Object.fromEntries(given) };
}

/** The trading rules of `symbol` as they are set; throws for one that the simulator has none for. */
export function rulesOf(settings: Settings, symbol: string): Instrument {
  const instrument = instrumentOf(symbol);
  const minimumQuantity = settings.minimumQuantities[symbol] ?? instrument.minimumQuantity;
  const quantityStep = settings.quantitySteps[symbol] ?? instrument.quantityStep;
  return { ...instrument, minimumQuantity, quantityStep };
}

/** How an order of `userId` is filled: in how many parts, and what becomes of a rest that may not wait in the book. */
export function fillRuleFor(
  settings: Settings,
  order: Pick<Order, "symbol" | "reduceOnly">,
  userId: number,
): Pick<z.output<typeof FillRule>, "parts" | "rest"> {
  const rule = settings.fills.find(
    (candidate) =>
      (candidate.symbol === undefined || candidate.symbol === order.symbol) &&
      (candidate.userId === undefined || candidate.userId === userId) &&
      (candidate.reduceOnly === undefined || candidate.reduceOnly === order.reduceOnly),
  );
  return rule ?? { parts: 1, rest: "follows" };
}

/** How long after it happened the execution list shows an execution, ms. */
export function executionDelayMs(
  { executionDelays }: Settings,
  execution: Pick<Execution, "symbol" | "type" | "stopOrderType">,
): number {
  const rule = executionDelays.find(
    ({ symbol, type, stopOrderType }) =>
      (symbol === undefined || symbol === execution.symbol) &&
      (type === undefined || type === execution.type) &&
      (stopOrderType === undefined || stopOrderType === execution.stopOrderType),
  );
  return rule?.delayMs ?? 0;
}

/** How old what /v5/position/list shows of a symbol is, ms. */
export function positionDelayMs({ positionDelays }: Settings, symbol: string): number {
  const rule = positionDelays.find((each) => each.symbol === undefined || each.symbol === symbol);
  return rule?.delayMs ?? 0;
}
