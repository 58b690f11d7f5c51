import { amount, Decimal } from "../money.ts";
import { KeyAnswer, PositionPage, WalletAnswer } from "./bybit-answers.ts";
import { type BybitClient, CATEGORY, createClient, QUOTE, request } from "./bybit-client.ts";
import { createServerClock, type ServerClock } from "./bybit-clock.ts";
import { lookUps } from "./bybit-look-ups.ts";
import { candlesIn } from "./bybit-market-data.ts";
import { createMarkets } from "./bybit-markets.ts";
import { bybitInterval } from "./bybit-names.ts";
import { cancel, protect, submitEntry, submitExit } from "./bybit-orders.ts";
import { faultOfError, outcomeOfError, readError } from "./bybit-outcomes.ts";
import type {
  Balance,
  Candle,
  CandleQuery,
  Exchange,
  ExchangeOptions,
  KeyDescription,
  LookUps,
  Outcome,
} from "./exchange.ts";

const OUTSIDE_RECEIVE_WINDOW = "10002";

interface Clients {
  /** Candles and trading rules. */
  readonly data: BybitClient;
  /** Entries, look-ups, the account. */
  readonly trading: BybitClient;
  /** Exits with their look-ups, cancellations and stops: its own connections and rate budget. */
  readonly kill: BybitClient;
  /** Of those that sign. */
  readonly clock: ServerClock;
  readonly scrub: (text: string) => string;
}

/** Never steps, ms. */
const monotonicMs = () => performance.now();

/**
 * Bybit v5 linear perpetuals through ccxt, on three connections, so that nothing waits for what matters less. Of ccxt it uses
 * transport, signature, errors and the implicit calls: their texts are exact, they take the exchange's own filters, hide no
 * further call, and need no table of all 650 contracts in memory.
 */
export function createExchange(options: ExchangeOptions): Exchange {
  const data = createClient(options);
  const trading = createClient(options);
  const kill = createClient(options);
  const clock = createServerClock({
    ask: () => exchangeTime(trading),
    use: (differenceMs) => {
      for (const client of [trading, kill]) client.options["timeDifference"] = differenceMs;
    },
    clock: { nowMs: () => trading.milliseconds(), monotonicMs },
  });
  const clients: Clients = { data, trading, kill, clock, scrub: options.key.scrub };
  const markets = createMarkets(data, monotonicMs);
  return {
    prepare: (symbols) =>
      reading(clients, async () => {
        await clock.keep();
        await markets.prepare(symbols);
      }),
    market: markets.market,
    delisted: markets.delisted,
    candles: (query) => reading(clients, () => candles(data, query)),
    balance: () => reading(clients, () => balance(trading)),
    ...guarded(clients, lookUps(trading)),
    urgent: guarded(clients, lookUps(kill)),
    setLeverage: (symbol, leverage) =>
      changing(clients, async () => {
        await trading.privatePostV5PositionSetLeverage({
          ...request(symbol),
          buyLeverage: `${leverage}`,
          sellLeverage: `${leverage}`,
        });
        return { kind: "accepted", exchangeOrderId: undefined };
      }),
    submitEntry: (order) => changing(clients, () => submitEntry(trading, order)),
    submitExit: (order) => changing(clients, () => submitExit(kill, order)),
    cancel: (reference) => changing(clients, () => cancel(kill, reference)),
    cancelPlaced: (reference) => changing(clients, () => cancel(kill, reference)),
    protect: (symbol, levels) => changing(clients, () => protect(kill, symbol, levels)),
    describeKey: () => reading(clients, () => describeKey(clients)),
    clock: clock.reading,
  };
}

async function exchangeTime(client: BybitClient): Promise<number> {
  const timeMs = await client.fetchTime();
  if (timeMs === undefined) throw new Error("the exchange did not say its time");
  return timeMs;
}

/** The same look-ups, whose errors are faults. */
function guarded(clients: Clients, { position, openOrders, findOrder, executions }: LookUps) {
  return {
    position: (symbol) => reading(clients, () => position(symbol)),
    openOrders: (symbol) => reading(clients, () => openOrders(symbol)),
    findOrder: (reference) => reading(clients, () => findOrder(reference)),
    executions: (query) => reading(clients, () => executions(query)),
  } satisfies LookUps;
}

/** By the implicit call: ccxt's unified one passes prices through doubles. */
async function candles(client: BybitClient, query: CandleQuery): Promise<readonly Candle[]> {
  const { symbol, timeframe, sinceMs, limit } = query;
  const answer: unknown = await client.publicGetV5MarketKline({
    ...request(symbol),
    interval: bybitInterval(timeframe),
    limit,
    ...(sinceMs === undefined ? {} : { start: sinceMs }),
  });
  return candlesIn(answer);
}

async function balance(client: BybitClient): Promise<Balance> {
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

// Names of rights: https://bybit-exchange.github.io/docs/v5/user/apikey-info
const WITHDRAWAL_RIGHT = "Withdraw";
/** To other accounts of the same owner, from where another key may withdraw. */
const TRANSFER_RIGHTS: readonly string[] = ["Wallet:AccountTransfer", "Wallet:SubMemberTransfer"];
/** Groups of rights to pay or sell to other people. */
const PAYMENT_GROUPS: readonly string[] = ["FiatP2P", "FiatBybitPay", "FiatConvertBroker"];
/** Rights that orders and positions of linear perpetuals need: one of these sets. */
const TRADING_RIGHTS: readonly (readonly string[])[] = [
  ["ContractTrade:Order", "ContractTrade:Position"],
  ["Derivatives:DerivativesTrade"],
];

async function describeKey({ trading: client, clock }: Clients): Promise<KeyDescription> {
  // Also without `prepare`: a key is checked before any symbol is chosen.
  await clock.keep();
  const answer: unknown = await client.privateGetV5UserQueryApi();
  const { readOnly, permissions, ips, userID, expiredAt } = KeyAnswer.parse(answer).result;
  const rights = Object.entries(permissions).flatMap(([group, names]) =>
    (names ?? []).map((name) => `${group}:${name}`),
  );
  return {
    readOnly: readOnly !== 0,
    permissions: rights,
    canWithdraw: rights.some((right) => right.endsWith(`:${WITHDRAWAL_RIGHT}`)),
    canTransfer:
      TRANSFER_RIGHTS.some((right) => rights.includes(right)) ||
      rights.some((right) => PAYMENT_GROUPS.some((group) => right.startsWith(`${group}:`))),
    // Bybit writes "*" for a key without a list.
    addresses: (ips ?? []).filter((address) => address !== "*"),
    canTrade: TRADING_RIGHTS.some((set) => set.every((right) => rights.includes(right))),
    accountId: userID === undefined ? undefined : String(userID),
    expiresAt: expiredAt || undefined,
    hedgeMode: await isHedgeMode(client),
  };
}

async function isHedgeMode(client: BybitClient): Promise<boolean> {
  const answer: unknown = await client.privateGetV5PositionList({
    category: CATEGORY,
    settleCoin: QUOTE,
  });
  return PositionPage.parse(answer).result.list.some((row) => row.positionIdx !== 0);
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
