import { type RequestResult, type SessionAnswer, Timeframe } from "@tradingbots/crds";
import type {
  Execution,
  HeldPosition,
  OrderSide,
  OrderView,
  PositionSide,
} from "../exchange/exchange.ts";
import { timeframeMs } from "../exchange/timeframe.ts";
import { quantity, text, ZERO_QUANTITY } from "../money.ts";
import {
  candleReference,
  exitOrderIds,
  isOrderId,
  orderId,
  requestedEntryId,
} from "../orders/order-id.ts";
import { isDust } from "../orders/sizing.ts";
import {
  accountForTrade,
  hasShare,
  movesPosition,
  type TradeAccount,
} from "../orders/trade-account.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { type Work, workFromIntent, workFromOrphan, workFromTrade } from "./work.ts";

/** Entries of one candle have one attempt today; one more is looked for, should a later version have sent it. */
const ATTEMPTS_SEARCHED = 2;
/**
 * An order is sent within seconds of its candle's close and ends within a minute or two: its candle is one of so many that came
 * last when it filled, the one in progress among them, should two clocks differ by a little.
 */
const CANDLES_SEARCHED = 3;
/** Orders that opened a position, newest first, whose ids are computed: a position of the bot's own has one. */
const OPENING_ORDERS_MAX = 100;

/**
 * What the journal remembers of one symbol as work to be taken up. Its settle window runs from now (monotonic clock): the times
 * in the journal may be of another node's clock.
 */
export function rememberedWork(session: SessionAnswer, symbol: string, takenUpMs: number): Work[] {
  const trades = session.openTrades.filter((trade) => trade.symbol === symbol);
  const intents = session.openIntents.filter(
    (intent) =>
      intent.symbol === symbol && !trades.some((trade) => trade.id === intent.clientOrderId),
  );
  const taken = { adopted: true, takenUpMs };
  return [
    ...trades.map((trade) => workFromTrade(trade, taken)),
    ...intents.map((intent) => askedToGo(workFromIntent(intent, taken), session.requests)),
  ];
}

/**
 * A closing or a cancellation is answered while an entry is not shown (requests.ts), and is about that entry all the same: nobody
 * asks for it again.
 */
function askedToGo(work: Work, requests: SessionAnswer["requests"]): Work {
  const since = requests.filter(
    ({ symbol, status, at }) =>
      symbol === work.symbol &&
      (status === "begun" || status === "done") &&
      Date.parse(at) >= (work.intended?.atMs ?? Infinity),
  );
  const isAsked = (wanted: RequestResult["action"]) =>
    since.some(({ action }) => action === wanted);
  if (isAsked("CancelOrders")) work.requested = "cancel";
  if (isAsked("ClosePosition")) work.requested = "close";
  return work;
}

/**
 * What no known work explains: is it this bot's own? Only an id says so, never a time: the ids of the entries that this bot
 * could have sent at the candles given, for requests, or, whatever its timeframe was then, when the order was there, are computed
 * and looked for among the symbol's executions and open orders. So it is found again, however old, even when the journal cannot
 * be asked. What was closed since is not taken up: nothing is left to be done for it.
 */
export function findOrphan(
  deps: Pick<TraderDeps, "config" | "exchange" | "log" | "monotonicMs">,
  seen: SymbolView,
  openTimes: readonly number[],
): Work | undefined {
  const { symbol, orders, executions } = seen;
  const bot = { botUid: deps.config().botUid, symbol };
  const own = new Set([...ownEntryIds(deps, symbol, openTimes), ...entryIdsByTheirTime(bot, seen)]);
  const isOwn = ({ clientOrderId }: { readonly clientOrderId: string | undefined }) =>
    own.has(clientOrderId ?? "");
  const filled = executions.findLast((each) => isOwn(each) && isStillOpen(bot, each, seen));
  const placed = filled === undefined ? orders.find((order) => isOwn(order)) : undefined;
  const entryId = filled?.clientOrderId ?? placed?.clientOrderId;
  const found = filled ?? placed;
  if (entryId === undefined || found === undefined) return undefined;
  deps.log.warn("orphan-found", { symbol, clientOrderId: entryId });
  const atMs = "atMs" in found ? found.atMs : found.createdMs;
  const counts = filled === undefined || !isLeftAsDust(deps, bot, { filled, executions });
  const taken = { adopted: true, counts, takenUpMs: deps.monotonicMs() };
  const origin = { symbol, entryId, side: positionSide(found.side), openedMs: atMs };
  return workFromOrphan(origin, taken);
}

/** Such a trade is told of as closed when its bot stops (records.ts): the journal has counted its result, unless it says otherwise. */
function isLeftAsDust(
  { exchange }: Pick<TraderDeps, "exchange">,
  bot: Bot,
  seen: { readonly filled: Execution; readonly executions: readonly Execution[] },
): boolean {
  const { entryPrice, open } = accountOf(bot, seen.filled, seen.executions);
  return isDust(exchange.market(bot.symbol), entryPrice, open);
}

interface Bot {
  readonly botUid: string;
  readonly symbol: string;
}

/** Whether anything is left of what the execution's order opened. */
function isStillOpen(
  bot: Bot,
  opening: Execution,
  { held, executions }: Pick<SymbolView, "held" | "executions">,
): boolean {
  if (opening.clientOrderId === undefined) return false;
  const account = accountOf(bot, opening, executions);
  const units = held?.side === positionSide(opening.side) ? held.quantity : ZERO_QUANTITY;
  return account.open.gt(0) && hasShare(account, units);
}

/** The trade that the execution's order opened. */
function accountOf(
  bot: Bot,
  { clientOrderId: entryId = "", side }: Execution,
  executions: readonly Execution[],
): TradeAccount {
  const seen = new Set(executions.flatMap(({ clientOrderId: id }) => id ?? []));
  const exitIds = new Set(exitOrderIds({ ...bot, entryId }, seen));
  const identity = { symbol: bot.symbol, entryId, side: positionSide(side), exitIds };
  return accountForTrade(identity, executions);
}

const positionSide = (side: OrderSide): PositionSide => (side === "buy" ? "long" : "short");

function ownEntryIds(
  deps: Pick<TraderDeps, "config">,
  symbol: string,
  openTimes: readonly number[],
): ReadonlySet<string> {
  const { botUid, requests } = deps.config();
  const requested = requests.map(({ id }) => requestedEntryId({ botUid, symbol }, id));
  return new Set([...requested, ...candleEntryIds(deps, symbol, openTimes)]);
}

/** Ids of the entries that candles of these open times (ms) can lead to. */
export function candleEntryIds(
  deps: Pick<TraderDeps, "config">,
  symbol: string,
  openTimes: readonly number[],
): ReadonlySet<string> {
  const { botUid, timeframe } = deps.config();
  const ids = new Set<string>();
  for (const openTime of openTimes) {
    for (let attempt = 0; attempt < ATTEMPTS_SEARCHED; attempt += 1) {
      const reference = candleReference(openTime);
      ids.add(orderId({ botUid, symbol, timeframe, reference, leg: "entry", attempt }));
    }
  }
  return ids;
}

/** Ids of orders that opened what is held, or still may, which this bot gives to an entry of that time. */
function entryIdsByTheirTime(bot: Bot, { held, orders, executions }: SymbolView): string[] {
  const opening = held === undefined ? [] : openingExecutions(held, executions).opening;
  const placed = orders.map(({ clientOrderId, createdMs }) => ({ clientOrderId, atMs: createdMs }));
  const times = new Map<string, number>();
  for (const { clientOrderId: id, atMs } of [...placed, ...opening]) {
    if (id !== undefined && isOrderId(id) && times.size < OPENING_ORDERS_MAX) times.set(id, atMs);
  }
  return [...times].filter(([id, atMs]) => isEntryOf(bot, id, atMs)).map(([id]) => id);
}

/** Whether this bot gives the id to the entry of a candle that was one of the newest at that time of the exchange, ms. */
function isEntryOf({ botUid, symbol }: Bot, id: string, atMs: number): boolean {
  return Timeframe.options.some((timeframe) => {
    const stepMs = timeframeMs(timeframe);
    const inProgressMs = Math.floor(atMs / stepMs) * stepMs;
    for (let back = 0; back < CANDLES_SEARCHED; back += 1) {
      const reference = candleReference(inProgressMs - back * stepMs);
      for (let attempt = 0; attempt < ATTEMPTS_SEARCHED; attempt += 1) {
        if (orderId({ botUid, symbol, timeframe, reference, leg: "entry", attempt }) === id)
          return true;
      }
    }
    return false;
  });
}

export interface SymbolView {
  readonly symbol: string;
  readonly held: HeldPosition | undefined;
  readonly orders: readonly OrderView[];
  /** From before what is held was opened; empty where nobody asked. */
  readonly executions: readonly Execution[];
}

/**
 * Whether what holds a symbol besides the bot's works could be its own all the same: an order that opened the position, or
 * still may, carries an id of the bot's form which nothing explains. So it is after the journal was restored from an older
 * copy. The position of another bot on the same symbol looks alike, one opened by hand does not, nor does what is left of it
 * after the bot's own trade in its midst has ended.
 */
export function couldBeOwn(
  { config, exchange }: Pick<TraderDeps, "config" | "exchange">,
  works: readonly Work[],
  seen: SymbolView,
): boolean {
  const { symbol, held, orders, executions } = seen;
  const bot = { botUid: config().botUid, symbol };
  const known = new Set(works.flatMap((work) => [work.entryId, ...work.exitIds]));
  const isUnexplained = ({ clientOrderId: id }: Pick<OrderView, "clientOrderId">) =>
    id !== undefined && isOrderId(id) && !known.has(id);
  if (orders.some((order) => !order.isProtection && isUnexplained(order))) return true;
  if (held === undefined) return false;
  // Its own it may be: a process that ended has left it behind, and nobody is held up by it.
  if (isDust(exchange.market(symbol), held.entryPrice, held.quantity)) return false;
  return openingExecutions(held, executions).opening.some(
    (each) => isUnexplained(each) && isStillOpen(bot, each, seen),
  );
}

/** What opened a position, of a symbol's executions, oldest first: back from now to when nothing was held. */
function openingExecutions(
  held: HeldPosition,
  executions: readonly Execution[],
): { readonly opening: readonly Execution[]; readonly isAll: boolean } {
  const openingSide = held.side === "long" ? "buy" : "sell";
  const opening: Execution[] = [];
  let before = held.quantity;
  let isKnown = true;
  for (const execution of executions.toReversed()) {
    if (before.lte(0)) break;
    isKnown &&= execution.cause !== "unknown";
    if (!movesPosition(execution)) continue;
    const opens = execution.side === openingSide;
    if (opens) opening.push(execution);
    before = quantity(opens ? before.minus(execution.quantity) : before.plus(execution.quantity));
  }
  return { opening, isAll: isKnown && before.lte(0) };
}

/** Whether the executions tell how all that is held was opened. */
export function areAllOpening(held: HeldPosition, executions: readonly Execution[]): boolean {
  return openingExecutions(held, executions).isAll;
}

/** Whether executions of other orders than `entryId` account for all of a position. */
export function isOfOthers(
  held: HeldPosition,
  executions: readonly Execution[],
  entryId: string,
): boolean {
  const { opening, isAll } = openingExecutions(held, executions);
  return isAll && opening.every(({ clientOrderId }) => clientOrderId !== entryId);
}

/** The sentence about what holds a symbol besides the bot's own works; undefined when nothing does. */
export function foreignHolding(
  works: readonly Work[],
  seen: Omit<SymbolView, "executions">,
): string | undefined {
  const { symbol, held, orders } = seen;
  // While an entry may be filling, the position may run ahead of what is known of it.
  const settled = works.every((work) => work.entry === "over");
  if (held !== undefined && settled) {
    const own = works
      .filter((work) => work.side === held.side)
      .reduce((sum, work) => quantity(sum.plus(work.account.open)), ZERO_QUANTITY);
    if (held.quantity.gt(own)) {
      const excess = text(quantity(held.quantity.minus(own)));
      return `${symbol}: a ${held.side} position of ${excess} was not opened by this bot; close it, or trade the symbol on another account`;
    }
  }
  const ids = new Set(works.flatMap((work) => [work.entryId, ...work.exitIds]));
  const order = orders.find((each) => !each.isProtection && !ids.has(each.clientOrderId ?? "-"));
  if (order === undefined) return undefined;
  return `${symbol}: order ${order.exchangeOrderId} was not sent by this bot; cancel it, or trade the symbol on another account`;
}
