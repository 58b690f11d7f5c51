// The file itself: ccxt exports only the whole of it (130 MB resident; this one exchange: 61 MB bundled). A relative path
// passes by the package's exports map in Node and in esbuild alike. npm hoists ccxt to the root: no other package has it.
import Bybit from "../../../node_modules/ccxt/js/src/bybit.js";
import { createHttpClient } from "../http-client.ts";
import { amount, Decimal, price, quantity } from "../money.ts";
import {
  type BybitExecution,
  type BybitOrder,
  ExecutionPage,
  Instrument,
  KeyAnswer,
  OhlcvList,
  OrderAccepted,
  OrderCancelled,
  OrderPage,
  type BybitPosition,
  PositionPage,
  WalletAnswer,
} from "./bybit-answers.ts";
import { createServerClock, type ServerClock } from "./bybit-clock.ts";
import { exchangeFault, faultOfError, outcomeOfError, readError } from "./bybit-outcomes.ts";
import type {
  Balance,
  Candle,
  CandleQuery,
  EntryOrder,
  Exchange,
  ExchangeOptions,
  Execution,
  ExecutionQuery,
  ExitOrder,
  KeyDescription,
  Levels,
  Market,
  OrderReference,
  OrderView,
  Outcome,
  PositionView,
} from "./exchange.ts";

/** One answer may take this long; an order without one is `unknown` from then on. */
const REQUEST_TIMEOUT_MS = 8_000;
/**
 * Bybit refuses a request whose time is older than this. An entry carries the time of its decision, so a frozen process cannot
 * open a position late; everything else carries the time of its sending.
 */
const RECEIVE_WINDOW_MS = 5_000;
const OUTSIDE_RECEIVE_WINDOW = "10002";
/**
 * Weight units of ccxt per 5 s: 20 look-ups or 40 orders a second, below Bybit's 50 and 20 per key, and 600 requests in 5 s
 * per address. ccxt's default queue makes each order wait 50 ms; a rolling window only says no when it is full.
 */
const RATE = { rateLimiterAlgorithm: "rollingWindow", rollingWindowSize: 5_000, rateLimit: 10 };
const PAGE_LIMIT = { order: 50, execution: 100 };
/** Pages of one question: 1,000 executions of one symbol since the entry. */
const PAGES_MAX = 10;
/** Bybit answers at most seven days of executions to one question. */
const EXECUTION_WINDOW_MS = 7 * 86_400_000 - 1_000;
/** Half a year: no position of a bot is older than that without an execution. */
const EXECUTION_WINDOWS_MAX = 26;

const CATEGORY = "linear";
const QUOTE = "USDT";
const DEFAULT_MINIMUM_VALUE = "5";

/** ccxt takes exact strings at run time wherever its types say number; nothing of an order passes through a double. */
type ExactOrder = (
  ...order: [
    symbol: string,
    type: "market",
    side: "buy" | "sell",
    quantity: string,
    price: undefined,
    params: Record<string, unknown>,
  ]
) => Promise<unknown>;

function isExactOrder(method: unknown): method is ExactOrder {
  return typeof method === "function";
}

/** Signs a request that says when it was decided (`madeMs`, this machine's time) with that time. */
class TimedBybit extends Bybit {
  #madeMs: number | undefined;

  override sign(...[path, api, method, params, headers, body]: Parameters<Bybit["sign"]>) {
    const { madeMs, ...rest } = { madeMs: undefined, ...params };
    this.#madeMs = typeof madeMs === "number" ? madeMs : undefined;
    const signed = super.sign(path, api, method, rest, headers, body);
    this.#madeMs = undefined;
    return signed;
  }

  override nonce(): number {
    return (this.#madeMs ?? this.milliseconds()) - Number(this.options["timeDifference"]);
  }
}

interface Clients {
  /** Market data, look-ups and entries. */
  readonly trading: Bybit;
  /** Exits, cancellations and stops: its own rate budget. */
  readonly kill: Bybit;
  /** Of both. */
  readonly clock: ServerClock;
  readonly scrub: (text: string) => string;
}

/**
 * Bybit v5 linear perpetuals through ccxt. Orders, cancellation, leverage and candles use ccxt's unified calls; look-ups use
 * its implicit ones, because their answers are exact strings, take the exchange's own filters, and hide no further call.
 */
export function createExchange(options: ExchangeOptions): Exchange {
  const trading = createClient(options);
  const kill = createClient(options);
  const clock = createServerClock([trading, kill], () => performance.now());
  const clients: Clients = { trading, kill, clock, scrub: options.key.scrub };
  const markets = new Map<string, Market>();
  return {
    prepare: (symbols) => reading(clients, () => prepare(clients, markets, symbols)),
    market: (symbol) => marketOf(markets, symbol),
    candles: (query) => reading(clients, () => candles(clients.trading, query)),
    balance: () => reading(clients, () => balance(clients.trading)),
    position: (symbol) => reading(clients, () => position(clients.trading, symbol)),
    openOrders: (symbol) => reading(clients, () => openOrders(clients.trading, symbol)),
    findOrder: (reference) => reading(clients, () => findOrder(clients.trading, reference)),
    executions: (query) => reading(clients, () => executions(clients.trading, query)),
    setLeverage: (symbol, leverage) =>
      changing(clients, async () => {
        await clients.trading.setLeverage(leverage, symbol);
        return { kind: "accepted", exchangeOrderId: undefined };
      }),
    submitEntry: (order) => changing(clients, () => submitEntry(clients.trading, order)),
    submitExit: (order) => changing(clients, () => submitExit(clients.kill, order)),
    cancel: (reference) => changing(clients, () => cancel(clients.kill, reference)),
    protect: (symbol, levels) => changing(clients, () => protect(clients.kill, symbol, levels)),
    describeKey: () => reading(clients, () => describeKey(clients)),
  };
}

function createClient(options: ExchangeOptions): Bybit {
  const { apiKey, apiSecret } = options.key.reveal();
  const client = new TimedBybit({
    apiKey,
    secret: apiSecret,
    timeout: REQUEST_TIMEOUT_MS,
    fetchImplementation: createHttpClient(),
    ...RATE,
    options: {
      defaultType: "swap",
      adjustForTimeDifference: true,
      recvWindow: RECEIVE_WINDOW_MS,
      fetchMarkets: { types: [CATEGORY] },
      // Known: without them ccxt asks two account endpoints before the first private call (250–300 ms).
      enableUnifiedMargin: false,
      enableUnifiedAccount: true,
      unifiedMarginStatus: 6,
    },
  });
  client.has["fetchCurrencies"] = false;
  if (options.testnet) client.setSandboxMode(true);
  // After setSandboxMode, which replaces the addresses. `hostname` could change neither scheme nor port.
  if (options.restUrl !== undefined)
    Object.assign(client.urls, { api: redirect(client.urls["api"], options.restUrl) });
  return client;
}

/** The same shape with every address replaced. */
function redirect(urls: unknown, restUrl: string): unknown {
  if (typeof urls === "string") return restUrl;
  if (typeof urls !== "object" || urls === null) return urls;
  return Object.fromEntries(
    Object.entries(urls).map(([name, url]) => [name, redirect(url, restUrl)]),
  );
}

async function prepare(
  clients: Clients,
  markets: Map<string, Market>,
  symbols: readonly string[],
): Promise<void> {
  await clients.clock.keep();
  const missing = symbols.filter((symbol) => !markets.has(symbol));
  if (missing.length === 0) return;
  const wanted = new Set([...markets.keys(), ...symbols]);
  const all = await clients.trading.fetchMarkets();
  // Only the wanted ones stay in memory: Bybit lists some 650 linear contracts, 25 MB.
  const chosen = all.filter((market) => wanted.has(market?.symbol ?? ""));
  for (const market of chosen) {
    const rules = marketRules(market);
    markets.set(rules.symbol, rules);
  }
  const unknown = missing.find((symbol) => !markets.has(symbol));
  if (unknown !== undefined) {
    throw exchangeFault("Refused", {
      code: "UnknownSymbol",
      message: `no linear contract ${unknown}`,
    });
  }
  for (const client of [clients.trading, clients.kill]) client.setMarkets(chosen);
}

function marketRules(market: unknown): Market {
  const { symbol, quote, info } = Instrument.parse(market);
  const lot = info.lotSizeFilter;
  return {
    symbol,
    quoteCurrency: quote,
    tick: price(info.priceFilter.tickSize),
    quantityStep: quantity(lot.qtyStep),
    minimumQuantity: quantity(lot.minOrderQty),
    maximumQuantity: quantity(lot.maxMktOrderQty ?? lot.maxOrderQty),
    minimumValue: amount(lot.minNotionalValue ?? DEFAULT_MINIMUM_VALUE),
    maximumLeverage: Math.floor(Number(info.leverageFilter.maxLeverage)),
  };
}

function marketOf(markets: ReadonlyMap<string, Market>, symbol: string): Market {
  const market = markets.get(symbol);
  if (market === undefined) throw new Error(`prepare() was not called for ${symbol}`);
  return market;
}

/** ccxt gives candles as doubles; the shortest text of a double with at most 15 digits is the exchange's own number. */
async function candles(client: Bybit, query: CandleQuery): Promise<readonly Candle[]> {
  const { symbol, timeframe, sinceMs, limit } = query;
  const rows = OhlcvList.parse(await client.fetchOHLCV(symbol, timeframe, sinceMs, limit));
  return rows.map(([openTimeMs, open, high, low, close]) => ({
    openTimeMs,
    open: price(String(open)),
    high: price(String(high)),
    low: price(String(low)),
    close: price(String(close)),
  }));
}

async function balance(client: Bybit): Promise<Balance> {
  const answer: unknown = await client.privateGetV5AccountWalletBalance({ accountType: "UNIFIED" });
  const [wallet] = WalletAnswer.parse(answer).result.list;
  const coin = wallet?.coin.find((candidate) => candidate.coin === QUOTE);
  const equity = new Decimal(coin?.equity || "0");
  const committed = new Decimal(coin?.totalPositionIM || "0").plus(coin?.totalOrderIM || "0");
  const own = Decimal.max(equity.minus(committed), 0);
  // The account's figure is in USD over all coins and "" under isolated margin: it only ever lowers the coin's own.
  const total = wallet?.totalAvailableBalance || own;
  return {
    equity: amount(equity),
    available: amount(Decimal.min(own, total)),
    currency: QUOTE,
  };
}

async function position(client: Bybit, symbol: string): Promise<PositionView> {
  const answer: unknown = await client.privateGetV5PositionList(request(client, symbol));
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

function heldPosition(symbol: string, row: BybitPosition): PositionView["held"] {
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
  };
}

function level(text: string) {
  return text === "" || new Decimal(text).isZero() ? undefined : price(text);
}

async function openOrders(client: Bybit, symbol: string): Promise<readonly OrderView[]> {
  const orders = await orderPages(client, "open", request(client, symbol));
  return orders.filter((order) => order.status === "open");
}

/**
 * ccxt's own look-ups by client id return the first order of an unfiltered answer: here the exchange's filter is used, and the
 * id of what comes back is checked.
 */
async function findOrder(client: Bybit, reference: OrderReference): Promise<OrderView | undefined> {
  const wanted = { ...request(client, reference.symbol), orderLinkId: reference.clientOrderId };
  for (const where of ["open", "history"] as const) {
    const orders = await orderPages(client, where, wanted);
    const found = orders.find((order) => order.clientOrderId === reference.clientOrderId);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function orderPages(
  client: Bybit,
  where: "open" | "history",
  filter: Record<string, unknown>,
): Promise<readonly OrderView[]> {
  const orders: OrderView[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const query = {
      ...filter,
      limit: PAGE_LIMIT.order,
      ...(cursor === undefined ? {} : { cursor }),
    };
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

// https://bybit-exchange.github.io/docs/v5/enum#stopordertype
const isStop = (type: string) => ["StopLoss", "PartialStopLoss", "TrailingStop"].includes(type);
const isTarget = (type: string) => ["TakeProfit", "PartialTakeProfit"].includes(type);

/** Every execution of the symbol since a time, oldest first, liquidations included, funding left out. */
async function executions(client: Bybit, query: ExecutionQuery): Promise<readonly Execution[]> {
  const found: Execution[] = [];
  let fromMs = query.sinceMs;
  for (let windows = 0; windows < EXECUTION_WINDOWS_MAX; windows += 1) {
    const untilMs = fromMs + EXECUTION_WINDOW_MS;
    const last = untilMs >= client.milliseconds();
    // The last window has no end: it reaches the present whatever the clocks say.
    const window = last ? { startTime: fromMs } : { startTime: fromMs, endTime: untilMs };
    found.push(...(await executionWindow(client, query.symbol, window)));
    if (last) return found;
    fromMs = untilMs + 1;
  }
  throw exchangeFault("Refused", { code: "TooOld", message: "executions older than half a year" });
}

async function executionWindow(
  client: Bybit,
  symbol: string,
  window: { readonly startTime: number; readonly endTime?: number },
): Promise<readonly Execution[]> {
  const found: Execution[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const answer: unknown = await client.privateGetV5ExecutionList({
      ...request(client, symbol),
      ...window,
      limit: PAGE_LIMIT.execution,
      ...(cursor === undefined ? {} : { cursor }),
    });
    const { list, nextPageCursor } = ExecutionPage.parse(answer).result;
    found.push(...list.filter((row) => row.execType !== "Funding").map(executionView));
    // Bybit answers newest first.
    if (!nextPageCursor || list.length < PAGE_LIMIT.execution) return found.toReversed();
    cursor = nextPageCursor;
  }
  throw exchangeFault("Refused", {
    code: "TooManyExecutions",
    message: `more than ${PAGES_MAX * PAGE_LIMIT.execution} executions of ${symbol} in a week`,
  });
}

function executionView(row: BybitExecution): Execution {
  return {
    executionId: row.execId,
    clientOrderId: row.orderLinkId || undefined,
    side: row.side === "Buy" ? "buy" : "sell",
    price: price(row.execPrice),
    quantity: quantity(row.execQty),
    fee: amount(row.execFee || "0"),
    feeCurrency: row.feeCurrency || QUOTE,
    cause: executionCause(row),
    atMs: row.execTime,
  };
}

function executionCause(row: BybitExecution): Execution["cause"] {
  if (row.execType !== "Trade") return "liquidation";
  if (isStop(row.stopOrderType)) return "stop";
  return isTarget(row.stopOrderType) ? "target" : "order";
}

async function submitEntry(client: Bybit, order: EntryOrder): Promise<Outcome> {
  return submit(client, order, {
    ...(order.madeMs === undefined ? {} : { madeMs: order.madeMs }),
    stopLoss: { triggerPrice: order.stopLoss.toFixed() },
    takeProfit: { triggerPrice: order.takeProfit.toFixed() },
    // The whole position carries them, and moving them later moves them for all of it.
    tpslMode: "Full",
  });
}

async function submitExit(client: Bybit, order: ExitOrder): Promise<Outcome> {
  return submit(client, order, { reduceOnly: true });
}

async function submit(
  client: Bybit,
  order: ExitOrder,
  params: Record<string, unknown>,
): Promise<Outcome> {
  const createOrder: unknown = client.createOrder.bind(client);
  if (!isExactOrder(createOrder)) throw new Error("ccxt has no createOrder");
  const answer = await createOrder(
    order.symbol,
    "market",
    order.side,
    order.quantity.toFixed(),
    undefined,
    { ...params, clientOrderId: order.clientOrderId, positionIdx: 0 },
  );
  // An empty 200 comes back from ccxt as success without an id.
  const accepted = OrderAccepted.safeParse(answer);
  if (!accepted.success || accepted.data.clientOrderId !== order.clientOrderId) {
    return { kind: "unknown", code: "IncompleteAnswer", message: "the answer names no such order" };
  }
  return { kind: "accepted", exchangeOrderId: accepted.data.id };
}

async function cancel(client: Bybit, reference: OrderReference): Promise<Outcome> {
  const answer: unknown = await client.privatePostV5OrderCancel({
    ...request(client, reference.symbol),
    orderLinkId: reference.clientOrderId,
  });
  const cancelled = OrderCancelled.safeParse(answer);
  if (!cancelled.success) {
    return { kind: "unknown", code: "IncompleteAnswer", message: "the answer names no order" };
  }
  return { kind: "accepted", exchangeOrderId: cancelled.data.result.orderId };
}

async function protect(client: Bybit, symbol: string, levels: Levels): Promise<Outcome> {
  await client.privatePostV5PositionTradingStop({
    ...request(client, symbol),
    positionIdx: 0,
    tpslMode: "Full",
    stopLoss: levels.stopLoss.toFixed(),
    ...(levels.takeProfit === undefined ? {} : { takeProfit: levels.takeProfit.toFixed() }),
  });
  return { kind: "accepted", exchangeOrderId: undefined };
}

/** Rights with which a key could take money out of the account. */
const WITHDRAWAL_RIGHTS: readonly string[] = ["Withdraw"];
/** Rights that orders and positions of linear perpetuals need: one of these sets. https://bybit-exchange.github.io/docs/v5/user/apikey-info */
const TRADING_RIGHTS: readonly (readonly string[])[] = [
  ["ContractTrade:Order", "ContractTrade:Position"],
  ["Derivatives:DerivativesTrade"],
];

async function describeKey({ trading: client, clock }: Clients): Promise<KeyDescription> {
  // Also without `prepare`: a key is checked before any symbol is chosen.
  await clock.keep();
  const answer: unknown = await client.privateGetV5UserQueryApi();
  const { readOnly, permissions, userID, expiredAt } = KeyAnswer.parse(answer).result;
  const rights = Object.entries(permissions).flatMap(([group, names]) =>
    (names ?? []).map((name) => `${group}:${name}`),
  );
  return {
    readOnly: readOnly !== 0,
    permissions: rights,
    canWithdraw: rights.some((right) =>
      WITHDRAWAL_RIGHTS.some((name) => right.endsWith(`:${name}`)),
    ),
    canTrade: TRADING_RIGHTS.some((set) => set.every((right) => rights.includes(right))),
    accountId: userID === undefined ? undefined : String(userID),
    expiresAt: expiredAt || undefined,
    hedgeMode: await isHedgeMode(client),
  };
}

async function isHedgeMode(client: Bybit): Promise<boolean> {
  const answer: unknown = await client.privateGetV5PositionList({
    category: CATEGORY,
    settleCoin: QUOTE,
  });
  return PositionPage.parse(answer).result.list.some((row) => row.positionIdx !== 0);
}

function request(client: Bybit, symbol: string): { category: string; symbol: string } {
  const { id } = client.market(symbol);
  if (id === undefined) throw new Error(`ccxt has no id for ${symbol}`);
  return { category: CATEGORY, symbol: id };
}

/** Reads throw an `ExchangeFault`. */
async function reading<Answer>(clients: Clients, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Error && error.name === "ExchangeFault") throw error;
    throw faultOfError(seen(clients, error));
  }
}

/** Changes have an outcome, whatever happens. */
async function changing(clients: Clients, ask: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await ask();
  } catch (error) {
    return outcomeOfError(seen(clients, error));
  }
}

/** The error without the key's values; one about time makes the clock doubted. */
function seen({ clock, scrub }: Clients, error: unknown): unknown {
  if (error instanceof Error) error.message = scrub(error.message);
  if (readError(error).code === OUTSIDE_RECEIVE_WINDOW) clock.doubt();
  return error;
}
