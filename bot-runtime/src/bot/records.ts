import type { RecordBody, Trade } from "@tradingbots/crds";
import type { OrderSide } from "../exchange/exchange.ts";
import type { TradeFill, TradeFunding } from "../orders/trade-account.ts";
import { type Quantity, text } from "../money.ts";
import { isOrderId } from "../orders/order-id.ts";
import type { Work } from "./work.ts";

export interface OrderFacts {
  readonly clientOrderId: string;
  readonly exchangeOrderId?: string | undefined;
  readonly symbol: string;
  readonly purpose: "entry" | "exit";
  readonly side: OrderSide;
  readonly quantity: Quantity;
  readonly status: Extract<RecordBody, { type: "order" }>["status"];
  readonly code?: string;
  readonly message?: string;
}

const CODE_MAX = 64;
const MESSAGE_MAX = 512;

export function orderRecord(facts: OrderFacts, atMs: number): RecordBody {
  return {
    type: "order",
    clientOrderId: facts.clientOrderId,
    exchangeOrderId: facts.exchangeOrderId?.slice(0, CODE_MAX) ?? null,
    symbol: facts.symbol,
    purpose: facts.purpose,
    side: facts.side,
    quantity: text(facts.quantity),
    status: facts.status,
    code: facts.code?.slice(0, CODE_MAX) ?? null,
    message: facts.message === undefined ? null : storable(facts.message),
    at: timestamp(atMs),
  };
}

/** As much of a message as the journal takes. Postgres takes neither zero characters nor half of one, which a cut may leave. */
export function storable(message: string): string {
  return message.slice(0, MESSAGE_MAX).replaceAll("\0", "").toWellFormed();
}

export function eventRecord(kind: string, message: string, atMs: number): RecordBody {
  return { type: "event", kind, message: storable(message), at: timestamp(atMs) };
}

export function fillRecord(
  work: Work,
  { execution, purpose, quantity, fee }: TradeFill,
): RecordBody {
  return {
    type: "fill",
    executionId: execution.executionId,
    clientOrderId: isClientOrderId(execution.clientOrderId) ? execution.clientOrderId : null,
    tradeId: work.entryId,
    symbol: work.symbol,
    purpose: purpose === "entry" ? "entry" : exitPurpose(execution.cause),
    side: execution.side,
    price: text(execution.price),
    quantity: text(quantity),
    fee: text(fee),
    feeCurrency: execution.feeCurrency,
    at: timestamp(execution.atMs),
  };
}

export function fundingRecord(work: Work, { execution, amount }: TradeFunding): RecordBody {
  return {
    type: "funding",
    executionId: execution.executionId,
    tradeId: work.entryId,
    symbol: work.symbol,
    amount: text(amount),
    currency: execution.feeCurrency,
    at: timestamp(execution.atMs),
  };
}

/** The trade as it stands; undefined before its first fill. It is closed when nothing is open and nothing can come any more. */
export function tradeRecord(
  work: Work,
  isFinal: boolean,
): Extract<RecordBody, { type: "trade" }> | undefined {
  const { account } = work;
  if (account.entryPrice === undefined || account.openedMs === undefined) return undefined;
  const closed = account.open.isZero() && isFinal;
  const trade: Trade = {
    id: work.entryId,
    symbol: work.symbol,
    side: work.side,
    quantity: text(account.entered),
    entryPrice: text(account.entryPrice),
    exitPrice: closed && account.exitPrice !== undefined ? text(account.exitPrice) : null,
    pnl: closed ? text(account.result) : null,
    fees: text(account.fees),
    funding: text(account.funding),
    openedAt: timestamp(account.openedMs),
    closedAt: closed && account.closedMs !== undefined ? timestamp(account.closedMs) : null,
    reason: closed ? closingReason(work) : null,
  };
  return { type: "trade", trade };
}

/** The last word about a trade whose rest nobody can close: its result is what its closed part made, if it has one. */
export function leftBehindRecord(work: Work): Extract<RecordBody, { type: "trade" }> | undefined {
  const record = tradeRecord(work, false);
  const { exitPrice, realised, closedMs } = work.account;
  return (
    record && {
      type: "trade",
      trade: {
        ...record.trade,
        exitPrice: exitPrice === undefined ? null : text(exitPrice),
        pnl: text(realised),
        closedAt: closedMs === undefined ? record.trade.openedAt : timestamp(closedMs),
        reason: "dust",
      },
    }
  );
}

function exitPurpose(cause: TradeFill["execution"]["cause"]): "stop" | "target" | "exit" {
  return cause === "stop" || cause === "target" ? cause : "exit";
}

/** What closed the trade: the exchange (stop, target, liquidation, delisting…), the bot's own order, or somebody else's. */
function closingReason(work: Work): string {
  const { lastExit } = work.account;
  if (lastExit === undefined) return "unknown";
  if (lastExit.cause !== "order") return lastExit.cause;
  const isOwn =
    lastExit.clientOrderId !== undefined &&
    (work.exitIds.has(lastExit.clientOrderId) || isOrderId(lastExit.clientOrderId));
  // After a restart the id says that the exit was the bot's own, not why it was sent.
  return isOwn ? (work.exitWanted ?? "exit") : "foreign";
}

/** Only an id in the bot's own shape fits the journal. */
function isClientOrderId(id: string | undefined): id is string {
  return id !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);
}

function timestamp(ms: number): string {
  return new Date(ms).toISOString();
}
