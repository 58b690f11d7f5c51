import type { SessionAnswer, Timeframe, Trade } from "@tradingbots/crds";
import {
  amount,
  type Amount,
  Decimal,
  type Price,
  price,
  quantity,
  type Quantity,
  value,
  ZERO_AMOUNT,
} from "../money.ts";
import type { PublicMarketData } from "./bybit-public.ts";
import type {
  Balance,
  Candle,
  EntryOrder,
  Exchange,
  Execution,
  ExitOrder,
  HeldPosition,
  Levels,
  LookUps,
  OrderReference,
  OrderSide,
  OrderView,
  Outcome,
  PositionSide,
  PositionView,
} from "./exchange.ts";
import type { StreamedCandle } from "./kline-stream.ts";

/** What a new paper bot has, in USDT. */
const FIRST_BALANCE = amount("10000");
/** Bybit's taker fee without a VIP tier. */
const FEE_RATE = new Decimal("0.00055");
/** Executions of a symbol that are remembered: more than one trade has. */
const EXECUTIONS_MAX = 200;
/** Candles of a symbol that are known to have been shown: as many as the bot fetches at most. */
const SHOWN_MAX = 1_000;
const CURRENCY = "USDT";

interface PaperOrder {
  readonly order: ExitOrder;
  readonly levels: Levels | undefined;
  readonly createdMs: number;
  status: OrderView["status"];
}

interface PaperPosition {
  readonly entryId: string;
  readonly side: PositionSide;
  readonly quantity: Quantity;
  readonly entryPrice: Price;
  readonly levels: Levels | undefined;
  /** Open time of the candle that it was entered in, unless it was entered at that candle's open. */
  readonly enteredInside: number | undefined;
  /** No candle that opened before this has a price at which it was held, ms. */
  readonly sinceMs: number;
  /** When it was entered, ms. */
  readonly enteredMs: number;
}

interface Book {
  orders: PaperOrder[];
  executions: Execution[];
  position: PaperPosition | undefined;
  leverage: number;
  last: Candle | undefined;
  /** Of the candles that were fetched last. */
  timeframe: Timeframe | undefined;
  /** Open times of candles that the stream has shown to their end, or that were tested since. */
  shown: Set<number>;
  /** Fetched candles that it has not, oldest first, until there are levels to test in them. */
  missed: readonly Candle[];
}

/**
 * An exchange of play money over the public candle stream, exact to the last decimal:
 *
 * - a market order trades at the next price that the stream shows: the open of a new candle, else the last price;
 * - stop and target are tested in every candle from the entry on, touch inclusive, the stop first when both are touched; a candle
 *   that opens beyond a level fills at its open, otherwise the level itself;
 * - of a candle that was entered in its middle only later prices count, because its high and low may have come before;
 * - candles that the stream did not show to their end count when the bot fetches them, after a restart by the levels of now;
 * - the taker fee is paid on every fill; there is no spread, no funding and no liquidation.
 *
 * It lives in the process; what a restarted pod needs is taken from the journal's session.
 */
export class PaperExchange implements Exchange {
  readonly #data: PublicMarketData;
  readonly #nowMs: () => number;
  readonly #books = new Map<string, Book>();
  readonly #leverage: number;
  #wallet = FIRST_BALANCE;
  /** The journal has told what was open before. */
  #isRestored = false;

  /** `leverage` is in force until another is set: also on positions that the journal remembers, whose margin it decides. */
  constructor(data: PublicMarketData, nowMs: () => number, leverage: number) {
    this.#data = data;
    this.#nowMs = nowMs;
    this.#leverage = leverage;
  }

  /** Takes up the balance and the open positions that the journal remembers of the pod before. */
  restore({ realised, openTrades }: SessionAnswer): void {
    this.#wallet = amount(FIRST_BALANCE.plus(realised));
    for (const trade of openTrades) this.#restoreTrade(trade);
    this.#isRestored = true;
    for (const symbol of this.#books.keys()) this.#testMissed(symbol);
  }

  /** A candle of the stream: fills what it fills. */
  observe({ symbol, candle, closed }: StreamedCandle): void {
    const book = this.#book(symbol);
    const isNew = book.last === undefined || candle.openTimeMs > book.last.openTimeMs;
    const at = isNew ? candle.open : candle.close;
    book.last = candle;
    if (isNew) this.#testLevels(symbol, { low: candle.open, high: candle.open });
    for (const order of book.orders.filter(({ status }) => status === "open")) {
      this.#fillOrder(symbol, order, { at, enteredInside: isNew ? undefined : candle.openTimeMs });
    }
    const inside = book.position?.enteredInside === candle.openTimeMs;
    const whole = { low: candle.low, high: candle.high };
    this.#testLevels(symbol, inside ? { low: candle.close, high: candle.close } : whole);
    if (!closed) return;
    book.orders = book.orders.slice(-EXECUTIONS_MAX);
    noteShown(book, candle);
  }

  readonly prepare: Exchange["prepare"] = (symbols) => this.#data.prepare(symbols);
  readonly market: Exchange["market"] = (symbol) => this.#data.market(symbol);
  readonly delisted: Exchange["delisted"] = (symbol) => this.#data.delisted(symbol);
  readonly candles: Exchange["candles"] = async (query) => {
    const candles = await this.#data.candles(query);
    const book = this.#book(query.symbol);
    const newestMs = Math.max(book.last?.openTimeMs ?? 0, candles.at(-1)?.openTimeMs ?? 0);
    // Shorter candles than the one that it was entered in may be over before it was.
    if (book.timeframe !== undefined && book.timeframe !== query.timeframe && book.position)
      book.position = { ...book.position, sinceMs: book.position.enteredMs };
    book.timeframe = query.timeframe;
    const known = [...book.missed, ...candles].map(
      (candle) => [candle.openTimeMs, candle] as const,
    );
    // The newest one may be in progress: the stream will show its end.
    book.missed = [...new Map(known).values()]
      .filter(({ openTimeMs }) => openTimeMs < newestMs && !book.shown.has(openTimeMs))
      .toSorted((left, right) => left.openTimeMs - right.openTimeMs);
    this.#testMissed(query.symbol);
    return candles;
  };

  readonly balance = async (): Promise<Balance> => {
    let equity: Amount = this.#wallet;
    let margin = ZERO_AMOUNT;
    for (const book of this.#books.values()) {
      const { position, leverage } = book;
      if (position === undefined) continue;
      equity = amount(equity.plus(unrealised(book, position)));
      margin = amount(margin.plus(value(position.entryPrice, position.quantity).div(leverage)));
    }
    const available = amount(Decimal.max(equity.minus(margin), 0));
    return { equity, available, currency: CURRENCY };
  };

  readonly position = async (symbol: string): Promise<PositionView> => {
    const book = this.#book(symbol);
    const { position, leverage } = book;
    return { leverage, held: position && heldPosition(symbol, book, position) };
  };

  readonly openOrders = async (symbol: string): Promise<readonly OrderView[]> =>
    this.#book(symbol)
      .orders.filter(({ status }) => status === "open")
      .map(orderView);

  readonly findOrder = async (reference: OrderReference): Promise<OrderView | undefined> => {
    const found = this.#find(reference);
    return found && orderView(found);
  };

  readonly executions: Exchange["executions"] = async ({ symbol, sinceMs, untilMs = Infinity }) =>
    this.#book(symbol).executions.filter(({ atMs }) => atMs >= sinceMs && atMs <= untilMs);

  /** Nothing queues here. */
  readonly urgent: LookUps = this;

  readonly setLeverage = async (symbol: string, leverage: number): Promise<Outcome> => {
    this.#book(symbol).leverage = leverage;
    return accepted(undefined);
  };

  readonly submitEntry = async (order: EntryOrder): Promise<Outcome> => {
    const { available } = await this.balance();
    const { last, leverage } = this.#book(order.symbol);
    if (last === undefined) return refused("NoPrice", "no price has been seen yet");
    if (value(last.close, order.quantity).div(leverage).gt(available)) {
      return refused("InsufficientFunds", "the paper balance does not suffice");
    }
    return this.#place(order, { stopLoss: order.stopLoss, takeProfit: order.takeProfit });
  };

  readonly submitExit = async (order: ExitOrder): Promise<Outcome> => {
    const { position, last } = this.#book(order.symbol);
    if (position === undefined) return refused("NoPosition", "nothing to reduce");
    const outcome = this.#place(order, undefined);
    const placed = this.#find(order);
    // No price comes any more: the last one settles what is open, as an exchange does it.
    if (placed?.status === "open" && this.delisted(order.symbol)) {
      const at = last?.close ?? position.entryPrice;
      this.#fillOrder(order.symbol, placed, { at, enteredInside: undefined });
    }
    return outcome;
  };

  readonly cancel = async (reference: OrderReference): Promise<Outcome> => {
    const found = this.#find(reference);
    if (found?.status !== "open") return refused("NotOpen", "no such order is open");
    found.status = "cancelled";
    return accepted(reference.clientOrderId);
  };

  /** Stops are the position's own here: they go with it. */
  readonly cancelPlaced = async (): Promise<Outcome> => refused("NotOpen", "no such order is open");

  readonly protect = async (symbol: string, levels: Levels): Promise<Outcome> => {
    const book = this.#book(symbol);
    const { position, last } = book;
    if (position === undefined) return refused("NoPosition", "nothing to protect");
    const direction = position.side === "long" ? 1 : -1;
    const passed = last?.close.minus(levels.stopLoss).times(direction).lte(0);
    if (passed === true) return refused("StopPassed", "the price has passed the stop already");
    book.position = { ...position, levels };
    this.#testMissed(symbol);
    return accepted(undefined);
  };

  /** It fills orders by this machine's own clock. */
  readonly clock: Exchange["clock"] = () => ({ skewMs: 0, uncertaintyMs: 0 });

  readonly describeKey = (): never => {
    throw new Error("a paper bot has no key");
  };

  #book(symbol: string): Book {
    const known = this.#books.get(symbol);
    if (known !== undefined) return known;
    const book: Book = {
      orders: [],
      executions: [],
      position: undefined,
      leverage: this.#leverage,
      last: undefined,
      timeframe: undefined,
      shown: new Set(),
      missed: [],
    };
    this.#books.set(symbol, book);
    return book;
  }

  #find({ symbol, clientOrderId }: OrderReference): PaperOrder | undefined {
    return this.#book(symbol).orders.find(({ order }) => order.clientOrderId === clientOrderId);
  }

  #place(order: ExitOrder, levels: Levels | undefined): Outcome {
    if (this.#find(order) !== undefined)
      return { kind: "unknown", code: "Duplicate", message: "the id was used" };
    const { symbol, clientOrderId, side, quantity: units } = order;
    this.#book(symbol).orders.push({
      order: { symbol, clientOrderId, side, quantity: units },
      levels,
      createdMs: this.#nowMs(),
      status: "open",
    });
    return accepted(clientOrderId);
  }

  #fillOrder(
    symbol: string,
    placed: PaperOrder,
    fill: { readonly at: Price; readonly enteredInside: number | undefined },
  ): void {
    const book = this.#book(symbol);
    const { side, clientOrderId } = placed.order;
    if (placed.levels === undefined) {
      placed.status = book.position === undefined ? "cancelled" : "filled";
      if (book.position !== undefined)
        this.#close(symbol, book.position, { at: fill.at, clientOrderId, cause: "order" });
      return;
    }
    placed.status = "filled";
    book.position = {
      entryId: clientOrderId,
      side: side === "buy" ? "long" : "short",
      quantity: placed.order.quantity,
      entryPrice: fill.at,
      levels: placed.levels,
      enteredInside: fill.enteredInside,
      sinceMs: book.last?.openTimeMs ?? 0,
      enteredMs: this.#nowMs(),
    };
    const executed = { side, at: fill.at, quantity: placed.order.quantity, clientOrderId };
    const entryId = clientOrderId;
    this.#execute(symbol, { ...executed, entryId, cause: "order" });
  }

  /** A restored position has its levels only when the bot has looked at it; before that the journal may still tell of one. */
  #testMissed(symbol: string): void {
    const book = this.#book(symbol);
    const { position, missed } = book;
    const isToCome = position === undefined ? !this.#isRestored : position.levels === undefined;
    if (isToCome) return;
    book.missed = [];
    for (const candle of missed) {
      const { openTimeMs, open, low, high, close } = candle;
      // Once: levels that are set later are not those of then.
      noteShown(book, candle);
      if (position === undefined || openTimeMs < position.sinceMs) continue;
      const isInside = openTimeMs === position.enteredInside;
      this.#testLevels(symbol, isInside ? { low: close, high: close } : { low: open, high: open });
      if (!isInside) this.#testLevels(symbol, { low, high });
    }
  }

  /** Fills the stop, else the target, if the range touches it. */
  #testLevels(symbol: string, range: { readonly low: Price; readonly high: Price }): void {
    const { position } = this.#book(symbol);
    if (position?.levels === undefined) return;
    const { stopLoss, takeProfit } = position.levels;
    const long = position.side === "long";
    const stopped = long ? range.low.lte(stopLoss) : range.high.gte(stopLoss);
    // A range that lies beyond the level altogether has its nearer end as the first price there is.
    if (stopped) {
      const at = long ? Decimal.min(stopLoss, range.high) : Decimal.max(stopLoss, range.low);
      this.#close(symbol, position, { at: price(at), clientOrderId: undefined, cause: "stop" });
      return;
    }
    if (takeProfit === undefined) return;
    const reached = long ? range.high.gte(takeProfit) : range.low.lte(takeProfit);
    if (!reached) return;
    const at = long ? Decimal.max(takeProfit, range.low) : Decimal.min(takeProfit, range.high);
    this.#close(symbol, position, { at: price(at), clientOrderId: undefined, cause: "target" });
  }

  #close(
    symbol: string,
    position: PaperPosition,
    exit: {
      readonly at: Price;
      readonly clientOrderId: string | undefined;
      readonly cause: Execution["cause"];
    },
  ): void {
    const side: OrderSide = position.side === "long" ? "sell" : "buy";
    this.#book(symbol).position = undefined;
    this.#wallet = amount(this.#wallet.plus(grossResult(position, exit.at)));
    const { entryId, quantity: units } = position;
    this.#execute(symbol, { side, quantity: units, entryId, ...exit });
  }

  #execute(
    symbol: string,
    fill: {
      readonly side: OrderSide;
      readonly at: Price;
      readonly quantity: Quantity;
      readonly clientOrderId: string | undefined;
      readonly entryId: string;
      readonly cause: Execution["cause"];
    },
  ): void {
    const fee = amount(value(fill.at, fill.quantity).times(FEE_RATE));
    this.#wallet = amount(this.#wallet.minus(fee));
    const book = this.#book(symbol);
    book.executions.push({
      executionId: executionId(fill.entryId, fill.cause === "order" ? fill.side : fill.cause),
      clientOrderId: fill.clientOrderId,
      side: fill.side,
      price: fill.at,
      quantity: fill.quantity,
      fee,
      feeCurrency: CURRENCY,
      cause: fill.cause,
      atMs: this.#nowMs(),
    });
    book.executions = book.executions.slice(-EXECUTIONS_MAX);
  }

  #restoreTrade(trade: Trade): void {
    const book = this.#book(trade.symbol);
    const units = quantity(trade.quantity);
    const entryPrice = price(trade.entryPrice);
    const side: OrderSide = trade.side === "long" ? "buy" : "sell";
    const order = { symbol: trade.symbol, clientOrderId: trade.id, side, quantity: units };
    const createdMs = Date.parse(trade.openedAt);
    book.orders.push({ order, levels: undefined, createdMs, status: "filled" });
    // Its stop and target are given to it again with the bot's first look.
    book.position = {
      entryId: trade.id,
      side: trade.side,
      quantity: units,
      entryPrice,
      levels: undefined,
      enteredInside: undefined,
      sinceMs: createdMs,
      enteredMs: createdMs,
    };
    this.#wallet = amount(this.#wallet.minus(trade.fees));
    book.executions.push({
      executionId: executionId(trade.id, side),
      clientOrderId: trade.id,
      side,
      price: entryPrice,
      quantity: units,
      fee: amount(trade.fees),
      feeCurrency: CURRENCY,
      cause: "order",
      atMs: createdMs,
    });
  }
}

function noteShown({ shown }: Book, { openTimeMs }: Candle): void {
  shown.add(openTimeMs);
  const [oldest] = shown;
  if (shown.size > SHOWN_MAX && oldest !== undefined) shown.delete(oldest);
}

/** The same for the same fill, whichever process makes or restores it: every order fills at once and as a whole. */
function executionId(entryId: string, what: string): string {
  return `paper-${entryId}-${what}`;
}

function accepted(exchangeOrderId: string | undefined): Outcome {
  return { kind: "accepted", exchangeOrderId };
}

function refused(code: string, message: string): Outcome {
  return { kind: "refused", code, message, final: true };
}

function grossResult({ side, quantity: units, entryPrice }: PaperPosition, at: Price): Amount {
  const difference = side === "long" ? at.minus(entryPrice) : entryPrice.minus(at);
  return amount(difference.times(units));
}

function unrealised({ last }: Book, position: PaperPosition): Amount {
  return last === undefined ? ZERO_AMOUNT : grossResult(position, last.close);
}

function heldPosition(symbol: string, book: Book, position: PaperPosition): HeldPosition {
  return {
    symbol,
    side: position.side,
    quantity: position.quantity,
    entryPrice: position.entryPrice,
    unrealisedPnl: unrealised(book, position),
    stopLoss: position.levels?.stopLoss,
    takeProfit: position.levels?.takeProfit,
    liquidationPrice: undefined,
  };
}

function orderView({ order, status, createdMs }: PaperOrder): OrderView {
  return {
    clientOrderId: order.clientOrderId,
    exchangeOrderId: order.clientOrderId,
    side: order.side,
    quantity: order.quantity,
    filledQuantity: status === "filled" ? order.quantity : quantity("0"),
    status,
    isProtection: false,
    createdMs,
  };
}
