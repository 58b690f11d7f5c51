import { type Clock, systemClock } from "../clock.ts";
import {
  BotConfig,
  type Intent,
  type RecordBody,
  type Report,
  type SessionAnswer,
  type Trade,
} from "@tradingbots/crds";
import type {
  Candle,
  Exchange,
  Execution,
  HeldPosition,
  KeyDescription,
  LookUps,
  Market,
  OrderSide,
  OrderView,
} from "../exchange/exchange.ts";
import type { JournalStanding } from "../journal/journal-client.ts";
import { amount, price, quantity } from "../money.ts";
import { Bot, type BotDeps } from "./bot.ts";
import { Metrics } from "./metrics.ts";
import { exampleConfig } from "./example-config.ts";

/** A bot for unit tests: an exchange whose answers are set one by one, and a journal in memory. */

export const SYMBOL = "BTC/USDT:USDT";
export const OTHER_SYMBOL = "ETH/USDT:USDT";
const MINUTE = 60_000;
/** The newest candle of the exchange; it closes when a test lets it. */
export const NEWEST = 20;

export const exampleSession: SessionAnswer = {
  epoch: 1,
  lastSequence: 0,
  openTrades: [],
  openIntents: [],
  dayBaseline: null,
  realised: "0",
  errors: null,
  requests: [],
};

export function exampleIntent(symbol: string): Intent {
  return {
    clientOrderId: "11111111-1111-8111-8111-111111111111",
    attempt: 0,
    symbol,
    side: "buy",
    quantity: "1",
    leverage: 10,
    stopLoss: "99",
    takeProfit: "102",
    candleOpenTime: "2025-06-18T00:00:00Z",
    confidence: 80,
    at: "2025-06-18T00:01:00Z",
  };
}

export function exampleTrade(symbol: string): Trade {
  return {
    id: "22222222-2222-8222-8222-222222222222",
    symbol,
    side: "long",
    quantity: "1",
    entryPrice: "100",
    exitPrice: null,
    pnl: null,
    fees: "0",
    funding: "0",
    openedAt: "2025-06-18T00:01:00Z",
    closedAt: null,
    reason: null,
  };
}

export function exampleExecution(side: OrderSide, change: Partial<Execution> = {}): Execution {
  return {
    executionId: `${side}-1`,
    clientOrderId: undefined,
    side,
    price: price("100"),
    quantity: quantity("1"),
    fee: amount("0"),
    feeCurrency: "USDT",
    cause: "order",
    atMs: 0,
    ...change,
  };
}

/** One unit that somebody bought, without stop and target. */
export const exampleLong: HeldPosition = {
  symbol: SYMBOL,
  side: "long",
  quantity: quantity("1"),
  entryPrice: price("100"),
  unrealisedPnl: amount("0"),
  stopLoss: undefined,
  takeProfit: undefined,
  liquidationPrice: undefined,
};

/** What the exchange shows, to be changed by a test as it goes on. */
interface ShownByExchange {
  held: HeldPosition | undefined;
  orders: readonly OrderView[];
  executions: readonly Execution[];
}

/** Prices fall with every candle: the strategy buys at each of them. */
function fallingCandle(minute: number): Candle {
  const at = price(String(1_000 - minute));
  return { openTimeMs: minute * MINUTE, open: at, high: at, low: at, close: at };
}

export async function exampleCandles(): Promise<readonly Candle[]> {
  return Array.from({ length: NEWEST + 1 }, (_, minute) => fallingCandle(minute));
}

const accepted = async () => ({ kind: "accepted", exchangeOrderId: "x1" }) as const;
const silent = () => undefined;

export const exampleKey: KeyDescription = {
  readOnly: false,
  permissions: ["ContractTrade:Order", "ContractTrade:Position"],
  canWithdraw: false,
  canTransfer: false,
  canTrade: true,
  addresses: ["192.0.2.1"],
  accountId: "24600000",
  expiresAt: undefined,
  hedgeMode: false,
};

export function exampleMarket(symbol: string): Market {
  return {
    symbol,
    quoteCurrency: "USDT",
    tick: price("0.1"),
    quantityStep: quantity("0.001"),
    minimumQuantity: quantity("0.001"),
    maximumQuantity: quantity("100"),
    minimumValue: amount("5"),
    maximumLeverage: 100,
  };
}

function exampleExchange(shown: ShownByExchange): Exchange {
  const lookUps: LookUps = {
    position: async () => ({ leverage: undefined, held: shown.held }),
    openOrders: async () => shown.orders,
    findOrder: async () => undefined,
    executions: async () => shown.executions,
  };
  return {
    ...lookUps,
    urgent: lookUps,
    prepare: async () => undefined,
    market: exampleMarket,
    delisted: () => false,
    candles: exampleCandles,
    balance: async () => ({
      equity: amount("10000"),
      available: amount("10000"),
      currency: "USDT",
    }),
    setLeverage: accepted,
    submitEntry: accepted,
    submitExit: accepted,
    cancel: accepted,
    cancelPlaced: accepted,
    protect: accepted,
    describeKey: async () => exampleKey,
    clock: () => ({ skewMs: 0, uncertaintyMs: 0 }),
  };
}

export interface ExampleOptions {
  readonly exchange?: Partial<Exchange>;
  readonly config?: Partial<BotConfig>;
  readonly clock?: Partial<Clock>;
  /** Age of the newest candle of the stream. */
  readonly candleAgeMs?: () => number;
  /** Called with each intent; what it gives is the journal's answer. */
  readonly appendIntent?: BotDeps["journal"]["appendIntent"];
}

type ExampleJournal = BotDeps["journal"] & {
  standing: JournalStanding;
  epoch: number;
  leaseMs: number;
};

/** Starts the bot. Time is the test's: it moves with `vi.advanceTimersByTimeAsync`. */
export function startExampleBot(options: ExampleOptions = {}) {
  const shown: ShownByExchange = { held: undefined, orders: [], executions: [] };
  const records: RecordBody[] = [];
  let followed: readonly string[] = [];
  const journal: ExampleJournal = {
    standing: "unavailable",
    epoch: 0,
    leaseMs: 15_000,
    leaseRemainingMs: () => journal.leaseMs,
    keepLeaseFor: silent,
    appendIntent: options.appendIntent ?? (async () => "appended" as const),
    record: (body: RecordBody) => void records.push(body),
    flush: async () => true,
  };
  const config = { ...exampleConfig, ...options.config };
  const clock = { ...systemClock, ...options.clock };
  const metrics = new Metrics();
  const exchange = { ...exampleExchange(shown), ...options.exchange };
  const bot = new Bot({
    config,
    exchange: { ...exchange, urgent: options.exchange?.urgent ?? exchange },
    journal,
    stream: {
      follow: (topics) => (followed = topics.map(({ symbol }) => symbol)),
      start: silent,
      close: silent,
      ageMs: options.candleAgeMs ?? (() => 0),
    },
    metrics,
    log: { info: silent, warn: silent, error: silent },
    clock,
  });
  const exchangeNow = () => clock.nowMs() - (exchange.clock()?.skewMs ?? 0);
  bot.start();
  return {
    bot,
    config,
    shown,
    records,
    journal,
    metrics,
    grantSession: (session = exampleSession) => {
      journal.standing = "ready";
      journal.epoch = session.epoch;
      bot.sessionGranted(session);
    },
    /** The candle that was in progress closes: the strategy wants to buy. It was `lateMs` on its way. */
    closeCandle: (minute = NEWEST, lateMs = 0) => {
      const candle = fallingCandle(minute);
      const sentAtMs = exchangeNow() - lateMs;
      bot.candleArrived({ symbol: SYMBOL, candle, closed: true, sentAtMs });
    },
    /** Symbols whose candles the bot asks for. */
    followed: () => followed,
    lastReport: (): Report | undefined =>
      records.findLast((body) => body.type === "report")?.report,
    ordersRecorded: () => records.filter((body) => body.type === "order"),
  };
}
