import type { Execution, PositionSide } from "../exchange/exchange.ts";
import {
  add,
  type Amount,
  amount,
  Decimal,
  meanPrice,
  type Price,
  type Quantity,
  quantity,
  value,
  ZERO_AMOUNT,
  ZERO_QUANTITY,
} from "../money.ts";

/** Which executions belong to a trade: its orders' by id, and whatever else reduced its position. */
export interface TradeIdentity {
  readonly entryId: string;
  readonly side: PositionSide;
  readonly symbol: string;
  /** Client order ids of the trade's own exits. */
  readonly exitIds: ReadonlySet<string>;
}

/** One execution's share in a trade; whole unless the position was not the trade's alone. */
export interface TradeFill {
  readonly execution: Execution;
  readonly purpose: "entry" | "exit";
  readonly quantity: Quantity;
  /** What it did to the holding: less than was executed where the fee is taken from the coins bought. */
  readonly held: Quantity;
  /** In the execution's fee currency. */
  readonly fee: Amount;
}

/** The trade's share in a funding; positive when received. */
export interface TradeFunding {
  readonly execution: Execution;
  readonly amount: Amount;
}

/** A trade as its executions tell it; nothing is remembered, so a restart finds the same. */
export interface TradeAccount {
  readonly fills: readonly TradeFill[];
  readonly fundings: readonly TradeFunding[];
  readonly entered: Quantity;
  readonly exited: Quantity;
  /** What is still held of it. */
  readonly open: Quantity;
  /** What everybody else holds of the symbol since the entry; negative in the other direction. */
  readonly others: Quantity;
  /** Price × quantity of all that was entered. */
  readonly entryValue: Amount;
  readonly entryPrice: Price | undefined;
  readonly exitPrice: Price | undefined;
  /** In the quote currency; a fee in the base currency at its execution's price. */
  readonly fees: Amount;
  /** Fee currencies that are neither base nor quote: their fees are in the fills, and not in `fees`. */
  readonly unvaluedFees: readonly string[];
  /** Sum of funding; positive when received. */
  readonly funding: Amount;
  /** Result of what is closed − fees + funding: `result` plus what the open part cost. `result` itself once `open` is zero. */
  readonly realised: Amount;
  /** Gross result of all fills − fees + funding; the trade's profit once `open` is zero. */
  readonly result: Amount;
  readonly openedMs: number | undefined;
  readonly closedMs: number | undefined;
  /** What closed the last part. */
  readonly lastExit: Execution | undefined;
  /** What happened while something was held and nobody can tell the effect of: `open` and `entryPrice` may be wrong since. */
  readonly unexplained: Execution | undefined;
}

/** Places kept of a share: what a protocol can carry. */
const SHARE_PLACES = 16;

/** What a symbol's position consists of, while executions are gone through: flat until the trade's first fill. */
interface Holding {
  /** Of the trade. */
  open: Quantity;
  /** Of everybody else; negative in the other direction. */
  others: Quantity;
}

/** A trade as it stood at some time: what happened afterwards is accounted for on top of it. */
export type TradeBasis = Pick<
  TradeAccount,
  "fills" | "fundings" | "open" | "others" | "unexplained"
>;

const NOTHING: TradeBasis = {
  fills: [],
  fundings: [],
  open: ZERO_QUANTITY,
  others: ZERO_QUANTITY,
  unexplained: undefined,
};

/**
 * Accounts for a trade from everything that happened to a symbol's positions, or that has since `before`. What reduces a
 * position takes from its owner: an exit of the trade from the trade, anybody else's order from what that one holds and only
 * then from the trade. Stops, targets and what the exchange itself closes take from the trade first: they are for the whole
 * position.
 */
export function accountForTrade(
  trade: TradeIdentity,
  executions: readonly Execution[],
  before: TradeBasis = NOTHING,
): TradeAccount {
  const holding: Holding = { open: before.open, others: before.others };
  const fills = [...before.fills];
  const fundings = [...before.fundings];
  let { unexplained } = before;
  const ordered = inOrder(trade, executions);
  for (const execution of fills.length > 0 ? ordered : sinceEntry(trade, ordered)) {
    if (execution.cause === "funding") fundings.push(...shareOfFunding(execution, holding));
    else if (movesPosition(execution) || isOfTrade(trade, execution))
      fills.push(...book(trade, execution, holding));
    else if (holding.open.gt(0)) unexplained = execution;
  }
  return summed(trade, { ...holding, fills, fundings, unexplained });
}

/**
 * A trade whose position is gone for good although its executions tell of less: what is left counts as closed by what nobody can
 * tell the effect of, at that one's price, or at the entry's where it has none.
 */
export function withRestClosed(trade: TradeIdentity, account: TradeAccount): TradeAccount {
  const { fills, fundings, open, others, unexplained, entryPrice, closedMs = -Infinity } = account;
  if (unexplained === undefined || entryPrice === undefined || open.isZero()) return account;
  const execution: Execution = {
    ...unexplained,
    executionId: restId(trade),
    side: trade.side === "long" ? "sell" : "buy",
    price: unexplained.price.isZero() ? entryPrice : unexplained.price,
    quantity: open,
    fee: ZERO_AMOUNT,
    // The trade's own exits may have come after it.
    atMs: Math.max(unexplained.atMs, closedMs),
  };
  const rest = {
    execution,
    purpose: "exit",
    quantity: open,
    held: open,
    fee: ZERO_AMOUNT,
  } as const;
  const all = { fills: [...fills, rest], fundings, open: ZERO_QUANTITY, others, unexplained };
  return summed(trade, all);
}

/**
 * Whether a position of the trade's side has anything of it, beside what others hold. Only what nobody can tell the effect of says
 * less than the account: it counts as at the trade's cost.
 */
export function hasShare(
  { unexplained, others }: Pick<TradeAccount, "unexplained" | "others">,
  held: Quantity,
): boolean {
  return unexplained === undefined || held.gt(Decimal.max(others, 0));
}

/** Of what closes a trade's rest in its account, and is no execution of the exchange. */
export function restId({ entryId }: Pick<TradeIdentity, "entryId">): string {
  return `rest of ${entryId}`;
}

function summed(trade: TradeIdentity, basis: TradeBasis): TradeAccount {
  const funding = basis.fundings.reduce((total, each) => add(total, each.amount), ZERO_AMOUNT);
  const sums = totals(trade, basis.fills, funding);
  return { ...sums, ...basis, realised: realisedPart(trade.side, sums, basis.open) };
}

/** Of a trade before its first execution. */
export const EMPTY_ACCOUNT = accountForTrade(
  { entryId: "", side: "long", symbol: "", exitIds: new Set() },
  [],
);

/** An entry is sent into an empty symbol: what was executed before its first fill opened and closed somebody else's positions. */
function sinceEntry(trade: TradeIdentity, ordered: readonly Execution[]): readonly Execution[] {
  const first = ordered.findIndex((execution) => isEntry(trade, execution));
  return first < 0 ? [] : ordered.slice(first);
}

/** Oldest first; what happened within one millisecond has no order at the exchange: there the entry comes before its end. */
function inOrder(trade: TradeIdentity, executions: readonly Execution[]): readonly Execution[] {
  return executions.toSorted(
    (left, right) =>
      left.atMs - right.atMs || Number(isEntry(trade, right)) - Number(isEntry(trade, left)),
  );
}

function isEntry({ entryId, side }: TradeIdentity, execution: Execution): boolean {
  return execution.clientOrderId === entryId && isOpening(side, execution);
}

/** Of an order of the trade's own, which fills and does nothing else, whatever the exchange calls it. */
function isOfTrade({ entryId, exitIds }: TradeIdentity, { clientOrderId: id = "" }: Execution) {
  return id === entryId || exitIds.has(id);
}

function isOpening(side: PositionSide, execution: Execution): boolean {
  return execution.cause !== "funding" && (execution.side === "buy") === (side === "long");
}

/** Whether its quantity went into a position, or out of one, as far as anybody can tell. */
export function movesPosition({ cause }: Execution): boolean {
  return cause !== "funding" && cause !== "unknown";
}

/** Changes the holding by one execution; gives the trade's fill, if it has a part in it. */
function book(trade: TradeIdentity, execution: Execution, holding: Holding): TradeFill[] {
  const units = execution.quantity;
  if (isEntry(trade, execution)) {
    const held = heldAfterFee(trade, execution);
    holding.open = quantity(holding.open.plus(held));
    return [{ execution, purpose: "entry", quantity: units, held, fee: execution.fee }];
  }
  if (isOpening(trade.side, execution)) {
    holding.others = quantity(holding.others.plus(units));
    return [];
  }
  const isOthers = execution.cause === "order" && !isOfTrade(trade, execution);
  const fromOthers = isOthers ? Decimal.max(Decimal.min(holding.others, units), 0) : 0;
  const own = quantity(Decimal.min(holding.open, units.minus(fromOthers)));
  holding.open = quantity(holding.open.minus(own));
  holding.others = quantity(holding.others.minus(units).plus(own));
  if (own.isZero()) return [];
  const fee = share(execution.fee, own, units);
  return [{ execution, purpose: "exit", quantity: own, held: own, fee }];
}

/** On spot an exchange takes the fee of a purchase from the coins bought: they never arrive. */
function heldAfterFee({ symbol }: TradeIdentity, { quantity: units, fee, feeCurrency }: Execution) {
  return feeCurrency === currencies(symbol).base ? quantity(units.minus(fee)) : units;
}

function shareOfFunding(execution: Execution, { open }: Holding): TradeFunding[] {
  if (open.isZero()) return [];
  const paid = open.gte(execution.quantity)
    ? execution.fee
    : share(execution.fee, open, execution.quantity);
  return [{ execution, amount: amount(paid.negated()) }];
}

/** A fraction that nobody's ledger states is cut to what a protocol can carry. */
function share(total: Amount, part: Quantity, whole: Quantity): Amount {
  if (part.eq(whole)) return total;
  return amount(total.times(part).div(whole).toDecimalPlaces(SHARE_PLACES));
}

/** Of several entry fills the open part has its share in the cost; exact as long as nothing is closed, and again once all is. */
function realisedPart(
  side: PositionSide,
  { result, entered, entryValue }: ReturnType<typeof totals>,
  open: Quantity,
): Amount {
  if (open.isZero()) return result;
  const cost = entryValue.times(open).div(entered).toDecimalPlaces(SHARE_PLACES);
  return amount(side === "long" ? result.plus(cost) : result.minus(cost));
}

function totals(trade: TradeIdentity, fills: readonly TradeFill[], funding: Amount) {
  const entry = sum(fills.filter((fill) => fill.purpose === "entry"));
  const exit = sum(fills.filter((fill) => fill.purpose === "exit"));
  const long = trade.side === "long";
  const gross = long ? exit.value.minus(entry.value) : entry.value.minus(exit.value);
  const valued = fills.map((fill) => feeInQuote(trade.symbol, fill));
  const fees = amount(valued.reduce<Decimal>((total, fee) => total.plus(fee ?? 0), ZERO_AMOUNT));
  const unvalued = fills.filter((_, index) => valued[index] === undefined);
  return {
    entered: entry.quantity,
    entryValue: entry.value,
    exited: exit.quantity,
    entryPrice: entry.quantity.isZero() ? undefined : meanPrice(entry.value, entry.quantity),
    exitPrice: exit.quantity.isZero() ? undefined : meanPrice(exit.value, exit.quantity),
    fees,
    unvaluedFees: [...new Set(unvalued.map(({ execution }) => execution.feeCurrency))],
    funding,
    result: amount(gross.minus(fees).plus(funding)),
    openedMs: entry.first?.atMs,
    closedMs: exit.last?.atMs,
    lastExit: exit.last,
  };
}

/** Undefined for a fee in a third currency, e.g. an exchange's own token. */
function feeInQuote(symbol: string, { execution, fee }: TradeFill): Decimal | undefined {
  const { base, quote } = currencies(symbol);
  if (fee.isZero() || execution.feeCurrency === quote) return fee;
  return execution.feeCurrency === base ? fee.times(execution.price) : undefined;
}

/** Of a unified symbol such as `BTC/USDT:USDT`. */
function currencies(symbol: string) {
  const [base, quote] = symbol.replace(/:.*$/, "").split("/");
  return { base, quote };
}

/** By what was held: a fee in coins counts as coins that were sold for it, at the price that they were bought at. */
function sum(fills: readonly TradeFill[]) {
  let total = ZERO_AMOUNT;
  let units = ZERO_QUANTITY;
  for (const { execution, held } of fills) {
    total = amount(total.plus(value(execution.price, held)));
    units = quantity(units.plus(held));
  }
  return {
    value: total,
    quantity: units,
    first: fills[0]?.execution,
    last: fills.at(-1)?.execution,
  };
}
