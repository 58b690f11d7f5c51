import * as z from "zod";
import { BotState, DecimalString, MarketSymbol, Timestamp } from "./fields.ts";

/**
 * The protocol between bots, journal and operator: HTTP with JSON bodies. A bot authenticates with its projected
 * token for the audience `journal`; who it is follows from the token alone.
 */

export const Side = z.enum(["buy", "sell"]);
export type Side = z.infer<typeof Side>;

/** UUID-shaped client order id, derived from bot, candle, leg and attempt. */
export const ClientOrderId = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);

/** What an entry takes of its account, in the quote currency: the account's bots commit together what each may see alone. */
const Commitment = z.object({
  margin: DecimalString.describe("Of this entry."),
  committed: DecimalString.describe("Of the account, when its balance was asked for."),
  balanceAgeMs: z.int().min(0).max(60_000).describe("How long ago that was."),
  limit: DecimalString.describe("Of both together: balancePercent of the equity."),
});

/** An opening order that is about to be sent. Appending it is the write-ahead log and the fencing check in one. */
export const Intent = z.object({
  clientOrderId: ClientOrderId,
  attempt: z.int().min(0).max(1000),
  symbol: MarketSymbol,
  side: Side,
  quantity: DecimalString,
  leverage: z.int().min(1),
  stopLoss: DecimalString,
  takeProfit: DecimalString,
  candleOpenTime: Timestamp,
  confidence: z.number().min(0).max(100),
  at: Timestamp,
  commitment: Commitment.optional().describe("Absent for paper bots, whose account is their own."),
});
export type Intent = z.infer<typeof Intent>;

export const IntentRequest = z.object({ epoch: z.int().min(1), intent: Intent });
export const IntentAnswer = z.object({ accepted: z.literal(true) });

/** A position from its first fill to its last; `id` is the client order id of the entry. */
export const Trade = z.object({
  id: ClientOrderId,
  symbol: MarketSymbol,
  side: z.enum(["long", "short"]),
  quantity: DecimalString,
  entryPrice: DecimalString,
  exitPrice: DecimalString.nullable(),
  pnl: DecimalString.nullable().describe(
    "Realised result in the quote currency: gross result − fees + funding.",
  ),
  fees: DecimalString,
  funding: DecimalString.default("0").describe("Sum of funding; positive when received."),
  openedAt: Timestamp,
  closedAt: Timestamp.nullable(),
  reason: z.string().max(64).nullable().describe("stop, target, signal, stopped, retired…"),
});
export type Trade = z.infer<typeof Trade>;

export const Position = z.object({
  symbol: MarketSymbol,
  side: z.enum(["long", "short"]),
  quantity: DecimalString,
  entryPrice: DecimalString,
  unrealisedPnl: DecimalString,
  stopLoss: DecimalString.nullable(),
  takeProfit: DecimalString.nullable(),
});
export type Position = z.infer<typeof Position>;

/** What a bot knows about itself. The latest one per bot is streamed to the operator and read by the API. */
export const Report = z.object({
  generation: z.int().min(1).describe("Generation of the configuration in force."),
  state: BotState,
  flat: z
    .boolean()
    .describe("No position and no order of the bot's own, as just seen at the exchange."),
  protected: z.boolean().describe("Every open position has its stop at the exchange."),
  trading: z.boolean().describe("Entries are possible at this moment."),
  blocked: z
    .array(z.object({ reason: z.string().max(64), message: z.string().max(512) }))
    .max(16)
    .describe("Why entries are not possible; empty when trading."),
  openSymbols: z
    .array(MarketSymbol)
    .max(64)
    .optional()
    .describe("Symbols that are not flat or not known to be; absent: go by `flat`."),
  openEntries: z
    .array(MarketSymbol)
    .max(64)
    .optional()
    .describe("Of them, those where an entry order may still fill; absent: go by `flat`."),
  positions: z.array(Position).max(8),
  balance: z
    .object({ equity: DecimalString, available: DecimalString, currency: z.string().max(16) })
    .nullable(),
  dayResult: DecimalString.nullable(),
  lastTradeAt: Timestamp.nullable(),
  halts: z.array(z.string().max(64)).max(64).describe("Uids of the halts that are obeyed."),
  leased: z
    .boolean()
    .default(false)
    .describe("The bot holds its lease: without one it opens nothing."),
  consecutiveErrors: z.int().min(0).default(0),
  asOf: Timestamp,
});
export type Report = z.infer<typeof Report>;

const OrderRecord = z.object({
  type: z.literal("order"),
  clientOrderId: ClientOrderId,
  exchangeOrderId: z.string().max(64).nullable(),
  symbol: MarketSymbol,
  purpose: z.enum(["entry", "exit"]),
  side: Side,
  quantity: DecimalString,
  status: z.enum(["accepted", "refused", "unknown", "filled", "cancelled"]),
  code: z.string().max(64).nullable(),
  message: z.string().max(512).nullable(),
  at: Timestamp,
});

const FillRecord = z.object({
  type: z.literal("fill"),
  executionId: z.string().max(64).describe("The exchange's own id: unique on the account."),
  clientOrderId: ClientOrderId.nullable().describe(
    "Null when a stop or target of the exchange filled.",
  ),
  tradeId: ClientOrderId,
  symbol: MarketSymbol,
  purpose: z.enum(["entry", "stop", "target", "exit"]),
  side: Side,
  price: DecimalString,
  quantity: DecimalString,
  fee: DecimalString,
  feeCurrency: z.string().max(16),
  at: Timestamp,
});

/** Funding of a position: paid or received while it was held, never an order. */
const FundingRecord = z.object({
  type: z.literal("funding"),
  executionId: z.string().max(64).describe("The exchange's own id: unique on the account."),
  tradeId: ClientOrderId,
  symbol: MarketSymbol,
  amount: DecimalString.describe("Positive when received."),
  currency: z.string().max(16),
  at: Timestamp,
});

const TradeRecord = z.object({ type: z.literal("trade"), trade: Trade });

const EquityRecord = z.object({
  type: z.literal("equity"),
  equity: DecimalString,
  available: DecimalString,
  currency: z.string().max(16),
  at: Timestamp,
});

const EventRecord = z.object({
  type: z.literal("event"),
  kind: z.string().max(64).describe("signal, entry-refused, started, ended, adopted…"),
  message: z.string().max(512),
  at: Timestamp,
});

/** Equity at 00:00 UTC of the trading day; without it there are no entries. */
const DayBaselineRecord = z.object({
  type: z.literal("day-baseline"),
  day: z.string().regex(/^\d{4}-\d{2}-\d{2}$/),
  equity: DecimalString,
  startsFrom: DecimalString.describe(
    "The bot's result of all time when the day began: pnl of all closed trades and what the open ones stood at. The day's result is the same sum later, less this.",
  ),
  at: Timestamp,
});

const ReportRecord = z.object({ type: z.literal("report"), report: Report });

const RecordBody = z.discriminatedUnion("type", [
  OrderRecord,
  FillRecord,
  FundingRecord,
  TradeRecord,
  EquityRecord,
  EventRecord,
  DayBaselineRecord,
  ReportRecord,
]);
export type RecordBody = z.infer<typeof RecordBody>;

export const JOURNAL_BATCH_MAX = 500;

/** One numbered fact. Sequences start at 1 in every epoch; a repeated (epoch, sequence) changes nothing. */
export const JournalRecord = z.object({ sequence: z.int().min(1), body: RecordBody });
export type JournalRecord = z.infer<typeof JournalRecord>;

export const RecordBatch = z.object({
  epoch: z.int().min(1),
  records: z.array(JournalRecord).min(1).max(JOURNAL_BATCH_MAX),
});
export const RecordAnswer = z.object({ lastSequence: z.int().min(0) });

/**
 * What a process of a bot is told when it starts: its epoch and everything of the bot that is not over. Every answer grants
 * a new epoch, so that a process shares sequences with no other, not even with the one before it in the same pod. Facts of
 * an older epoch are still taken from the pod it was granted to; intents are not. A pod that was replaced by another gets
 * no session any more (409 `stale_epoch`).
 */
export const SessionAnswer = z.object({
  epoch: z.int().min(1),
  lastSequence: z
    .int()
    .min(0)
    .describe("Highest sequence of this epoch: 0, because the epoch is new."),
  openTrades: z.array(Trade).max(64),
  openIntents: z.array(Intent).max(64).describe("Intents without a final order record."),
  dayBaseline: z
    .object({ day: z.string(), equity: DecimalString, startsFrom: DecimalString })
    .nullable()
    .describe("Of the latest day that has one."),
  realised: DecimalString.default("0").describe("Sum of pnl of all of the bot's closed trades."),
  errors: z
    .object({ generation: z.int().min(1), count: z.int().min(0) })
    .nullable()
    .default(null)
    .describe("Errors in a row that the last report told of, and under which configuration."),
});
export type SessionAnswer = z.infer<typeof SessionAnswer>;

/**
 * Grants or renews the lease of a bot: the right to open positions. It ends `ttlMs` after the journal took the request, so the
 * bot counts from when it sent it. Refused with `lease_held` while another pod's lease has not run out, and with `stale_epoch`
 * when a newer process has a session.
 */
export const LeaseRequest = z.object({ epoch: z.int().min(1) });
export const LeaseAnswer = z.object({ ttlMs: z.int().min(1) });
/** Of `POST /v1/lease/release`, which ends the pod's lease at once; nothing to end is no error. */
export const LeaseReleaseAnswer = z.object({ released: z.literal(true) });

/** Of `GET /v1/leases/<bot>`, which the operator asks before it gives up a pod on a dead machine. */
export const LeaseLeft = z.object({
  leftMs: z.int().min(0).describe("Until the bot's lease has run out; 0 when there is none."),
});

/** One line of `GET /v1/reports` (newline-delimited JSON). */
export const ReportLine = z.union([
  z.object({
    botName: z.string(),
    namespace: z.string(),
    podUid: z.string(),
    epoch: z.int().min(1),
    report: Report,
    receivedAt: Timestamp,
    ageMs: z
      .int()
      .min(0)
      .describe("Age of the report by the database's own clock when this line was sent."),
  }),
  z.object({ synced: z.literal(true) }),
  z.object({ heartbeat: z.literal(true) }),
]);
export type ReportLine = z.infer<typeof ReportLine>;
