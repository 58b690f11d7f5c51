import type { JournalRecord, RecordBody, RequestResult } from "@tradingbots/crds";
import { atMostOne, type Database } from "../database.ts";
import { unknownSession } from "./sessions.ts";
import { podOf, unknownBot, whoSpeaks } from "./speaker.ts";
import type { TokenHolder } from "./tokens.ts";

export interface Batch {
  readonly epoch: number;
  readonly records: readonly JournalRecord[];
}

export interface Appended {
  /** Highest sequence of the epoch that is stored. */
  readonly lastSequence: number;
  readonly hasNewReport: boolean;
  /** The user who has something new to hear. */
  readonly toldUser: string | undefined;
}

interface AppendedRow {
  readonly isKnown: boolean;
  readonly lastSequence: string;
  readonly hasNewReport: boolean;
  readonly toldUser: string | null;
}

/**
 * Stores a batch but for what became of requests, all of it or nothing, in one statement that is a transaction of its own. Amounts
 * stay text in it until they are numeric.
 * @throws ApiError `unknown_bot`; `unknown_session` when the epoch was granted to another pod, or to none
 */
export async function appendRecords(
  pool: Pick<Database, "query">,
  holder: TokenHolder,
  { epoch, records }: Batch,
): Promise<Appended> {
  const { uid } = podOf(holder);
  const { rows } = await pool.query<AppendedRow>(
    `select is_known as "isKnown", last_sequence as "lastSequence", has_new_report as "hasNewReport",
            told_user as "toldUser"
       from append_records($1, $2, $3, $4, $5, $6, $7)`,
    [...whoSpeaks(holder), uid, epoch, JSON.stringify(factsOf(records))],
  );
  const appended = atMostOne(rows);
  if (appended === undefined) throw unknownBot(holder);
  const { isKnown, lastSequence, hasNewReport, toldUser } = appended;
  if (!isKnown) throw unknownSession(epoch);
  return { lastSequence: Number(lastSequence), hasNewReport, toldUser: toldUser ?? undefined };
}

/**
 * Stores what a batch says became of requests, after the rest of it and in a transaction of its own: a batch that fails between the
 * two is sent again. Answers the user when there was something new in it.
 */
export async function appendRequestResults(
  pool: Pick<Database, "query">,
  holder: TokenHolder,
  { epoch, records }: Batch,
): Promise<string | undefined> {
  const results = lastOfEachRequest(records);
  if (results.length === 0) return undefined;
  const { rows } = await pool.query<{ toldUser: string | null }>(
    `select append_request_results($1, $2, $3, $4, $5, $6, $7) as "toldUser"`,
    [...whoSpeaks(holder), podOf(holder).uid, epoch, JSON.stringify(results)],
  );
  return atMostOne(rows)?.toldUser ?? undefined;
}

/** The later word of a process is the end, the one before that it has begun. */
function lastOfEachRequest(records: readonly JournalRecord[]): readonly RequestResult[] {
  const results = new Map<string, RequestResult>();
  for (const { body } of records)
    if (body.type === "request") results.set(body.result.id, body.result);
  return [...results.values()];
}

/** What `append_records` wants: rows by table; what is empty is left out. */
function factsOf(records: readonly JournalRecord[]): Readonly<Record<string, unknown>> {
  const { order, fill, funding, trade, equity, event, ...rest } = rowsByType(records);
  const lastReport = rest.report.at(-1);
  return {
    orders: unlessEmpty(order),
    fills: unlessEmpty(fill),
    funding: unlessEmpty(funding),
    trades: unlessEmpty(lastOfEachTrade(trade)),
    equity: unlessEmpty(equity),
    events: unlessEmpty(event),
    baselines: unlessEmpty(rest["day-baseline"]),
    report: lastReport?.report,
    reportSequence: lastReport?.sequence,
    over: unlessEmpty(ordersOver({ order, trade })),
    ended: unlessEmpty(entriesEnded({ order, trade })),
    highest: Math.max(...records.map(({ sequence }) => sequence)),
  };
}

type Rows = {
  readonly [Type in RecordBody["type"]]: (Extract<RecordBody, { type: Type }> & {
    readonly sequence: number;
  })[];
};

function rowsByType(records: readonly JournalRecord[]): Rows {
  const rows: Rows = {
    order: [],
    fill: [],
    funding: [],
    trade: [],
    equity: [],
    event: [],
    "day-baseline": [],
    request: [],
    report: [],
  };
  for (const { sequence, body } of records.toSorted((a, b) => a.sequence - b.sequence)) {
    const ofType: object[] = rows[body.type];
    ofType.push({ ...body, sequence });
  }
  return rows;
}

function unlessEmpty<Row>(rows: readonly Row[]): readonly Row[] | undefined {
  return rows.length === 0 ? undefined : rows;
}

/** A statement may change a row once only, so of several words about one trade the last goes in. */
function lastOfEachTrade(rows: Rows["trade"]): readonly object[] {
  const trades = rows.map(({ sequence, trade }) => ({ ...trade, sequence }));
  return [...new Map(trades.map((trade) => [trade.id, trade])).values()];
}

/** As in `append_intent`. */
const FINAL: ReadonlySet<string> = new Set(["refused", "filled", "cancelled"]);

/** Client order ids that have come to their end: by a final word about the order, or by the end of their trade. */
function ordersOver({ order, trade }: Pick<Rows, "order" | "trade">): readonly string[] {
  const orders = order.filter(({ status }) => FINAL.has(status));
  const trades = trade.filter((row) => row.trade.closedAt !== null);
  return [...orders.map((row) => row.clientOrderId), ...trades.map((row) => row.trade.id)];
}

/**
 * Client order ids of entries that the exchange's balance shows, or never will. An accepted one is not among them: exchanges
 * answer before they match, and a balance asked for in between shows nothing.
 */
function entriesEnded({ order, trade }: Pick<Rows, "order" | "trade">): readonly string[] {
  const orders = order.filter(({ purpose, status }) => purpose === "entry" && FINAL.has(status));
  return [...orders.map((row) => row.clientOrderId), ...trade.map((row) => row.trade.id)];
}
