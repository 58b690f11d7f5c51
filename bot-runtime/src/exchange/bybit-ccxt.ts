import { amount, Decimal } from "../money.ts";
import { type AddressBan, createAddressBan } from "./address-ban.ts";
import { KeyAnswer, PositionPage, WalletAnswer } from "./bybit-answers.ts";
import { type BybitClient, createClient, QUOTE } from "./bybit-client.ts";
import { createServerClock, type ServerClock } from "./bybit-clock.ts";
import { lookUps } from "./bybit-look-ups.ts";
import { candlesIn, tradingRulesWithFunding } from "./bybit-market-data.ts";
import { createMarkets } from "./bybit-markets.ts";
import { bybitInterval, CATEGORY, request } from "./bybit-names.ts";
import { cancel, protect, setLeverage, submitEntry, submitExit } from "./bybit-orders.ts";
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
const ADDRESS_BANNED = "403";
/** Longest pauses between two requests of a banned address: of exits and stops, of look-ups, and of all else. */
const BAN_PAUSE_MAX_MS = { urgent: 5_000, looks: 5_000, other: 60_000 };

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
  readonly bans: readonly AddressBan[];
}

/** What a request needs besides its client: the ban is that of its urgency. */
type Lane = Pick<Clients, "clock" | "scrub" | "bans"> & { readonly ban: AddressBan };

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
  const ban = createAddressBan(monotonicMs, BAN_PAUSE_MAX_MS.other);
  const looksBan = createAddressBan(monotonicMs, BAN_PAUSE_MAX_MS.looks);
  const urgentBan = createAddressBan(monotonicMs, BAN_PAUSE_MAX_MS.urgent);
  const { scrub } = options.key;
  const clients: Clients = { data, trading, kill, clock, scrub, bans: [ban, looksBan, urgentBan] };
  const lane: Lane = { ...clients, ban };
  const urgent: Lane = { ...clients, ban: urgentBan };
  const markets = createMarkets(data, { monotonicMs, rulesOf: tradingRulesWithFunding });
  return {
    prepare: (symbols) =>
      asking(lane, async () => {
        // Both are waited for: what is signed next needs the time, whatever became of the rules.
        const asked = await Promise.allSettled([clock.keep(), markets.prepare(symbols)]);
        for (const each of asked) if (each.status === "rejected") throw each.reason;
      }),
    market: markets.market,
    delisted: markets.delisted,
    candles: (query) => reading(lane, () => candles(data, query)),
    balance: () => reading(lane, () => balance(trading)),
    ...guarded({ ...clients, ban: looksBan }, lookUps(trading)),
    urgent: guarded(urgent, lookUps(kill)),
    setLeverage: (symbol, leverage, asked) =>
      changing(lane, () => setLeverage(trading, { ...asked, symbol, leverage })),
    submitEntry: (order) => changing(lane, () => submitEntry(trading, order)),
    submitExit: (order) => changing(urgent, () => submitExit(kill, order)),
    cancel: (reference) => changing(urgent, () => cancel(kill, reference)),
    cancelPlaced: (reference) => changing(urgent, () => cancel(kill, reference)),
    protect: (symbol, levels) => changing(urgent, () => protect(kill, symbol, levels)),
    describeKey: () => reading(lane, () => describeKey(clients)),
    clock: clock.reading,
  };
}

async function exchangeTime(client: BybitClient): Promise<number> {
  const timeMs = await client.fetchTime();
  if (timeMs === undefined) throw new Error("the exchange did not say its time");
  return timeMs;
}

/** The same look-ups, whose errors are faults. */
function guarded(lane: Lane, { position, openOrders, findOrder, executions }: LookUps) {
  return {
    position: (symbol) => reading(lane, () => position(symbol)),
    openOrders: (symbol) => reading(lane, () => openOrders(symbol)),
    findOrder: (reference) => reading(lane, () => findOrder(reference)),
    executions: (query) => reading(lane, () => executions(query)),
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
async function reading<Answer>(lane: Lane, ask: () => Promise<Answer>): Promise<Answer> {
  const answer = await asking(lane, ask);
  liftBan(lane);
  return answer;
}

/** A read that may need no answer: it says nothing of a ban's end. */
async function asking<Answer>(lane: Lane, ask: () => Promise<Answer>): Promise<Answer> {
  const refusal = lane.ban.refusal();
  if (refusal !== undefined) throw refusal;
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Error && error.name === "ExchangeFault") throw error;
    const fault = faultOfError(seen(lane, error));
    throw fault.fault === "AddressBanned" ? (lane.ban.refusal() ?? fault) : fault;
  }
}

/** Changes have an outcome, whatever happens. */
async function changing(lane: Lane, ask: () => Promise<Outcome>): Promise<Outcome> {
  const refusal = lane.ban.refusal();
  // Never sent: the same id may be.
  if (refusal !== undefined)
    return { kind: "refused", code: refusal.code, message: refusal.message, final: false };
  try {
    const outcome = await ask();
    liftBan(lane);
    return outcome;
  } catch (error) {
    return outcomeOfError(seen(lane, error));
  }
}

function liftBan({ bans }: Lane): void {
  for (const ban of bans) ban.lift();
}

/** The error without the key's values; one about time makes the clock doubted, a ban is told to all who ask. */
function seen({ clock, scrub, bans }: Lane, error: unknown): unknown {
  if (error instanceof Error) error.message = scrub(error.message);
  const { code } = readError(error);
  if (code === OUTSIDE_RECEIVE_WINDOW) clock.doubt();
  if (code === ADDRESS_BANNED) for (const ban of bans) ban.note();
  return error;
}
