import { amount, Decimal, price, quantity, ZERO_AMOUNT, ZERO_QUANTITY } from "../money.ts";
import {
  type BybitExecution,
  type UnshapedExecution,
  type BybitOrder,
  type BybitPosition,
  ExecutionPage,
  OrderPage,
  PositionPage,
} from "./bybit-answers.ts";
import { type BybitClient, QUOTE } from "./bybit-client.ts";
import {
  executionCause,
  isMoving,
  isStop,
  isTarget,
  unexplained,
} from "./bybit-execution-types.ts";
import { request } from "./bybit-names.ts";
import { exchangeFault } from "./bybit-outcomes.ts";
import {
  type Execution,
  type ExecutionQuery,
  EXECUTIONS_KEPT_MS,
  type HeldPosition,
  type LookUps,
  type OrderReference,
  type OrderView,
  type PositionView,
} from "./exchange.ts";

const PAGE_LIMIT = { order: 50, execution: 100 };
/** Pages of one question: Bybit allows 500 open orders of a symbol, and nobody's week has 20,000 executions of one. */
const PAGES_MAX = { order: 20, execution: 200 };
/**
 * Bybit answers at most seven days of executions to one question, and seven to one without an end. An hour less, so that the
 * last question, which has no end, reaches the present even where that is known badly.
 */
const EXECUTION_WINDOW_MS = 7 * 86_400_000 - 3_600_000;

/** Bybit's implicit calls: exact strings, the exchange's own filters, and no further call hidden behind one. */
export function lookUps(client: BybitClient): LookUps {
  return {
    position: (symbol) => position(client, symbol),
    openOrders: (symbol) => openOrders(client, symbol),
    findOrder: (reference) => findOrder(client, reference),
    executions: (query) => executions(client, query),
  };
}

async function position(client: BybitClient, symbol: string): Promise<PositionView> {
  const answer: unknown = await client.privateGetV5PositionList(request(symbol));
  const rows = PositionPage.parse(answer).result.list;
  if (rows.some((row) => row.positionIdx !== 0)) {
    throw exchangeFault("HedgeMode", {
      code: "HedgeMode",
      message: `${symbol} is in hedge mode; switch it to one-way mode`,
    });
  }
  const [row] = rows;
  const leverage = row?.leverage ? Number(row.leverage) : undefined;
  return { leverage, held: row === undefined ? undefined : heldPosition(symbol, row) };
}

function heldPosition(symbol: string, row: BybitPosition): HeldPosition | undefined {
  const size = quantity(row.size);
  if (size.isZero()) return undefined;
  return {
    symbol,
    side: row.side === "Buy" ? "long" : "short",
    quantity: size,
    entryPrice: price(row.avgPrice || "0"),
    unrealisedPnl: amount(row.unrealisedPnl || "0"),
    stopLoss: level(row.stopLoss),
    takeProfit: level(row.takeProfit),
    liquidationPrice: level(row.liqPrice ?? ""),
  };
}

/** Bybit writes "", "0" or "0.00" where there is none. */
function level(text: string) {
  return text === "" || new Decimal(text).isZero() ? undefined : price(text);
}

async function openOrders(client: BybitClient, symbol: string): Promise<readonly OrderView[]> {
  const orders = await orderPages(client, "open", request(symbol));
  return orders.filter((order) => order.status === "open");
}

/**
 * ccxt's own look-ups by client id return the first order of an unfiltered answer: here the exchange's filter is used, and the
 * id of what comes back is checked.
 */
async function findOrder(
  client: BybitClient,
  reference: OrderReference,
): Promise<OrderView | undefined> {
  const wanted = { ...request(reference.symbol), orderLinkId: reference.clientOrderId };
  for (const where of ["open", "history"] as const) {
    const orders = await orderPages(client, where, wanted);
    const found = orders.find((order) => order.clientOrderId === reference.clientOrderId);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function orderPages(
  client: BybitClient,
  where: "open" | "history",
  filter: Record<string, unknown>,
): Promise<readonly OrderView[]> {
  const orders: OrderView[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < PAGES_MAX.order; pages += 1) {
    const query = { ...filter, limit: PAGE_LIMIT.order, ...(cursor && { cursor }) };
    const answer: unknown =
      where === "open"
        ? await client.privateGetV5OrderRealtime(query)
        : await client.privateGetV5OrderHistory(query);
    const { list, nextPageCursor } = OrderPage.parse(answer).result;
    orders.push(...list.map(orderView));
    if (!nextPageCursor || list.length < PAGE_LIMIT.order) return orders;
    cursor = nextPageCursor;
  }
  throw exchangeFault("Refused", {
    code: "TooManyOrders",
    message: "more orders than can be read",
  });
}

/** https://bybit-exchange.github.io/docs/v5/enum#orderstatus; a status not named there still may fill. */
const orderStatus: Readonly<Record<string, OrderView["status"]>> = {
  Filled: "filled",
  Cancelled: "cancelled",
  PartiallyFilledCanceled: "cancelled",
  Deactivated: "cancelled",
  Rejected: "refused",
};

function orderView(order: BybitOrder): OrderView {
  return {
    clientOrderId: order.orderLinkId || undefined,
    exchangeOrderId: order.orderId,
    side: order.side === "Buy" ? "buy" : "sell",
    quantity: quantity(order.qty),
    filledQuantity: quantity(order.cumExecQty),
    status: orderStatus[order.orderStatus] ?? "open",
    isProtection: isStop(order.stopOrderType) || isTarget(order.stopOrderType),
    createdMs: order.createdTime,
  };
}

/** Everything that happened to the symbol's positions in a time, as far back as Bybit knows, oldest first. */
async function executions(
  client: BybitClient,
  query: ExecutionQuery,
): Promise<readonly Execution[]> {
  const found: Execution[] = [];
  // By the exchange's time: this machine's may be days behind.
  const nowMs = client.nonce();
  // Bybit refuses fractions, which differences of clocks have: a ms more is asked for than one too little.
  let fromMs = Math.floor(Math.max(query.sinceMs, nowMs - EXECUTIONS_KEPT_MS));
  const untilMs = query.untilMs && Math.ceil(query.untilMs);
  for (; fromMs + EXECUTION_WINDOW_MS < (untilMs ?? nowMs); fromMs += EXECUTION_WINDOW_MS + 1) {
    const window = { startTime: fromMs, endTime: fromMs + EXECUTION_WINDOW_MS };
    found.push(...(await executionWindow(client, query.symbol, window)));
  }
  if (untilMs !== undefined && untilMs < fromMs) return eachOnce(found);
  const last = { startTime: fromMs, ...(untilMs !== undefined && { endTime: untilMs }) };
  found.push(...(await executionWindow(client, query.symbol, last)));
  return eachOnce(found);
}

/** What happens between two pages moves the rest: an execution may be on both. */
function eachOnce(found: readonly Execution[]): readonly Execution[] {
  return [...new Map(found.map((execution) => [execution.executionId, execution])).values()];
}

async function executionWindow(
  client: BybitClient,
  symbol: string,
  window: { readonly startTime: number; readonly endTime?: number },
): Promise<readonly Execution[]> {
  const found: Execution[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < PAGES_MAX.execution; pages += 1) {
    const answer: unknown = await client.privateGetV5ExecutionList({
      ...request(symbol),
      ...window,
      limit: PAGE_LIMIT.execution,
      ...(cursor && { cursor }),
    });
    const { list, nextPageCursor } = ExecutionPage.parse(answer).result;
    found.push(...list.map(executionView));
    // Bybit answers newest first.
    if (!nextPageCursor || list.length < PAGE_LIMIT.execution) return found.toReversed();
    cursor = nextPageCursor;
  }
  throw exchangeFault("Refused", {
    code: "TooManyExecutions",
    message: `more than ${PAGES_MAX.execution * PAGE_LIMIT.execution} executions of ${symbol} in a week`,
  });
}

function executionView(row: BybitExecution | UnshapedExecution): Execution {
  if (!("side" in row)) return unshapedView(row);
  return {
    executionId: row.execId,
    clientOrderId: row.orderLinkId || undefined,
    side: row.side === "Buy" ? "buy" : "sell",
    price: price(row.execPrice),
    quantity: quantity(row.execQty),
    fee: amount(row.execFee || "0"),
    feeCurrency: row.feeCurrency || QUOTE,
    ...executionCause(row),
    atMs: row.execTime,
  };
}

/**
 * Neither side, price nor quantity can be read: it is in no account, and named. @throws Error for what has to be readable: a type
 * that moves positions.
 */
function unshapedView(row: UnshapedExecution): Execution {
  if (isMoving(row)) throw new Error(`${row.symbol}: execution ${row.execId} cannot be read`);
  return {
    executionId: row.execId,
    clientOrderId: row.orderLinkId || undefined,
    side: "buy",
    price: price("0"),
    quantity: ZERO_QUANTITY,
    fee: ZERO_AMOUNT,
    feeCurrency: QUOTE,
    cause: "unknown",
    unexplained: unexplained(row, "in a form that is not known to the bot"),
    isUnreadable: true,
    atMs: row.execTime,
  };
}
