import * as z from "zod";
import { RequestAction, RequestId, RequestStatus } from "./bot-request.ts";
import { DecimalString, Exchange, MarketSymbol, Timestamp } from "./fields.ts";

/**
 * The protocol between bots, journal and operator: HTTP with JSON bodies. A bot authenticates with its projected
 * token for the audience `journal`; who it is follows from the token alone.
 */

export const Side = z.enum(["buy", "sell"]);
export type Side = z.infer<typeof Side>;

/** UUID-shaped client order id, derived from bot, candle or request, leg and attempt. */
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

export const IntentRequest = z.object({
  epoch: z.int().min(1),
  exchange: Exchange.optional().describe(
    "A halt of any exchange concerns a bot that does not say.",
  ),
  intent: Intent,
});
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

/** What became of a request: first that it has begun, if it has, and then its end. A later word than the end changes nothing. */
export const RequestResult = z.object({
  id: RequestId,
  action: RequestAction,
  symbol: MarketSymbol,
  side: z.enum(["long", "short"]).nullable(),
  status: RequestStatus,
  reason: z.string().max(64).nullable().describe("Why it was refused: NotRunning, Halted…"),
  message: z.string().max(512),
  orderId: ClientOrderId.nullable().describe(
    "Client order id of the entry that it opened, closed or cancelled; null when there was none.",
  ),
  at: Timestamp.describe(
    "When the bot began with it; of one that never began: when it was answered.",
  ),
});
export type RequestResult = z.infer<typeof RequestResult>;

/** Results of requests that a new process is told of: whoever writes a request takes answered ones out, so older ones stand nowhere. */
export const REQUESTS_REMEMBERED = 64;

/** Records of one append. */
export const JOURNAL_BATCH_MAX = 500;
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
  requests: z
    .array(RequestResult)
    .max(REQUESTS_REMEMBERED)
    .default([])
    .describe(
      "What has begun, and the newest results, oldest first: what is among them is not done again.",
    ),
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
