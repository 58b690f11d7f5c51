import type { JournalRecord, RecordBody } from "@tradingbots/crds";
import type { Queryable } from "../database.ts";
import { saveReport } from "./reports.ts";
import { lockBot, requireSession } from "./sessions.ts";
import type { Speaker } from "./speaker.ts";

export interface Batch {
  readonly epoch: number;
  readonly records: readonly JournalRecord[];
}

export interface Appended {
  /** Highest sequence of the epoch that is stored. */
  readonly lastSequence: number;
  readonly hasNewReport: boolean;
}

/**
 * Stores a batch, all of it or nothing. A record that is known changes nothing, whether it is known by its epoch and
 * sequence or by what the exchange calls it. One statement per kind: rows travel as one JSON parameter, in which
 * amounts stay text until they are numeric. Rows go in by the order of their keys: batches of two epochs may hold the same
 * executions in different orders, and would wait for each other.
 */
export async function appendRecords(
  database: Queryable,
  speaker: Speaker,
  { epoch, records }: Batch,
): Promise<Appended> {
  const over = intentsOver(records);
  // An intent whose answer the bot gave up waiting for is written before it is closed here, or refused after.
  if (over.length > 0) await lockBot(database, speaker);
  await requireSession(database, speaker, epoch);
  const key = { speaker, epoch };
  await insert(database, INSERT_ORDERS, { ...key, rows: rowsOf(records, "order") });
  await closeIntents(database, speaker, over);
  await settleCommitments(database, speaker, entriesEnded(records));
  await insert(database, INSERT_FILLS, { ...key, rows: rowsOf(records, "fill") });
  await insert(database, INSERT_FUNDING, { ...key, rows: rowsOf(records, "funding") });
  await insert(database, UPSERT_TRADES, { ...key, rows: lastOfEachTrade(records) });
  await insert(database, INSERT_EQUITY, { ...key, rows: rowsOf(records, "equity") });
  await insert(database, INSERT_EVENTS, { ...key, rows: rowsOf(records, "event") });
  await insert(database, INSERT_DAY_BASELINES, { ...key, rows: rowsOf(records, "day-baseline") });
  const last = rowsOf(records, "report").at(-1);
  const hasNewReport = last !== undefined && (await saveReport(database, key, last));
  const highest = Math.max(...records.map(({ sequence }) => sequence));
  return { lastSequence: await advance(database, key, highest), hasNewReport };
}

type Numbered<Type extends RecordBody["type"]> = Extract<RecordBody, { type: Type }> & {
  readonly sequence: number;
};

function rowsOf<Type extends RecordBody["type"]>(
  records: readonly JournalRecord[],
  type: Type,
): readonly Numbered<Type>[] {
  return records
    .filter((record): record is JournalRecord & { body: Extract<RecordBody, { type: Type }> } => {
      return record.body.type === type;
    })
    .map(({ sequence, body }) => ({ ...body, sequence }))
    .toSorted((a, b) => a.sequence - b.sequence);
}

/** A statement may change a row once only, so of several words about one trade the last goes in. */
function lastOfEachTrade(records: readonly JournalRecord[]): readonly object[] {
  const trades = rowsOf(records, "trade").map(({ sequence, trade }) => ({ ...trade, sequence }));
  return [...new Map(trades.map((trade) => [trade.id, trade])).values()];
}

interface Insertion {
  readonly speaker: Speaker;
  readonly epoch: number;
  readonly rows: readonly object[];
}

async function insert(database: Queryable, sql: string, insertion: Insertion): Promise<void> {
  const { speaker, epoch, rows } = insertion;
  if (rows.length === 0) return;
  await database.query(sql, [speaker.userId, speaker.botId, epoch, JSON.stringify(rows)]);
}

const INSERT_ORDERS = `
  insert into orders (user_id, bot_id, epoch, sequence, client_order_id, exchange_order_id, symbol,
                      purpose, side, quantity, status, code, message, at)
  select $1, $2, $3, sequence, "clientOrderId", "exchangeOrderId", symbol,
         purpose, side, quantity, status, code, message, at
    from json_to_recordset($4) as r(
         sequence bigint, "clientOrderId" uuid, "exchangeOrderId" text, symbol text, purpose text,
         side text, quantity numeric, status text, code text, message text, at timestamptz)
  on conflict (user_id, bot_id, epoch, sequence) do nothing`;

const INSERT_FILLS = `
  insert into fills (user_id, bot_id, epoch, sequence, execution_id, client_order_id, trade_id,
                     symbol, purpose, side, price, quantity, fee, fee_currency, at)
  select $1, $2, $3, sequence, "executionId", "clientOrderId", "tradeId",
         symbol, purpose, side, price, quantity, fee, "feeCurrency", at
    from json_to_recordset($4) as r(
         sequence bigint, "executionId" text, "clientOrderId" uuid, "tradeId" uuid, symbol text,
         purpose text, side text, price numeric, quantity numeric, fee numeric,
         "feeCurrency" text, at timestamptz)
   order by "executionId", sequence
  on conflict (user_id, bot_id, execution_id) do nothing`;

const INSERT_FUNDING = `
  insert into funding (user_id, bot_id, epoch, sequence, execution_id, trade_id, symbol, amount,
                       currency, at)
  select $1, $2, $3, sequence, "executionId", "tradeId", symbol, amount, currency, at
    from json_to_recordset($4) as r(
         sequence bigint, "executionId" text, "tradeId" uuid, symbol text, amount numeric,
         currency text, at timestamptz)
   order by "executionId", sequence
  on conflict (user_id, bot_id, execution_id) do nothing`;

const UPSERT_TRADES = `
  insert into trades (user_id, bot_id, epoch, sequence, id, symbol, side, quantity, entry_price,
                      exit_price, pnl, fees, funding, opened_at, closed_at, reason)
  select $1, $2, $3, sequence, id, symbol, side, quantity, "entryPrice",
         "exitPrice", pnl, fees, funding, "openedAt", "closedAt", reason
    from json_to_recordset($4) as r(
         sequence bigint, id uuid, symbol text, side text, quantity numeric, "entryPrice" numeric,
         "exitPrice" numeric, pnl numeric, fees numeric, funding numeric,
         "openedAt" timestamptz, "closedAt" timestamptz, reason text)
   order by id
  on conflict (user_id, bot_id, id) do update set
    epoch = excluded.epoch, sequence = excluded.sequence, quantity = excluded.quantity,
    entry_price = excluded.entry_price, exit_price = excluded.exit_price, pnl = excluded.pnl,
    fees = excluded.fees, funding = excluded.funding, closed_at = excluded.closed_at, reason = excluded.reason
  where (trades.epoch, trades.sequence) < (excluded.epoch, excluded.sequence)`;

const INSERT_EQUITY = `
  insert into equity (user_id, bot_id, epoch, sequence, equity, available, currency, at)
  select $1, $2, $3, sequence, equity, available, currency, at
    from json_to_recordset($4) as r(
         sequence bigint, equity numeric, available numeric, currency text, at timestamptz)
  on conflict (user_id, bot_id, epoch, sequence) do nothing`;

const INSERT_EVENTS = `
  insert into events (user_id, bot_id, epoch, sequence, kind, message, at)
  select $1, $2, $3, sequence, kind, message, at
    from json_to_recordset($4) as r(sequence bigint, kind text, message text, at timestamptz)
  on conflict (user_id, bot_id, epoch, sequence) do nothing`;

// $3 says the epoch as everywhere; a baseline belongs to the day and not to an epoch.
const INSERT_DAY_BASELINES = `
  insert into day_baselines (user_id, bot_id, day, equity, starts_from, at)
  select $1, $2, day, equity, "startsFrom", at
    from json_to_recordset($4) as r(sequence bigint, day date, equity numeric, "startsFrom" numeric, at timestamptz)
   where $3::int is not null
   order by day, sequence
  on conflict (user_id, bot_id, day) do nothing`;

/** As in `append_intent`. */
const FINAL: ReadonlySet<string> = new Set(["refused", "filled", "cancelled"]);

/** Client order ids that have come to their end: by a final word about the order, or by the end of their trade. */
function intentsOver(records: readonly JournalRecord[]): readonly string[] {
  const orders = rowsOf(records, "order").filter(({ status }) => FINAL.has(status));
  const trades = rowsOf(records, "trade").filter(({ trade }) => trade.closedAt !== null);
  return [...orders.map((order) => order.clientOrderId), ...trades.map(({ trade }) => trade.id)];
}

async function closeIntents(
  database: Queryable,
  { userId, botId }: Speaker,
  over: readonly string[],
): Promise<void> {
  if (over.length === 0) return;
  await database.query(
    `update intents set is_open = false
      where user_id = $1 and bot_id = $2 and client_order_id = any($3::uuid[]) and is_open`,
    [userId, botId, over],
  );
}

/**
 * Client order ids of entries that the exchange's balance shows, or never will. An accepted one is not among them: exchanges
 * answer before they match, and a balance asked for in between shows nothing.
 */
function entriesEnded(records: readonly JournalRecord[]): readonly string[] {
  const orders = rowsOf(records, "order").filter(
    ({ purpose, status }) => purpose === "entry" && FINAL.has(status),
  );
  return [
    ...orders.map((order) => order.clientOrderId),
    ...rowsOf(records, "trade").map(({ trade }) => trade.id),
  ];
}

async function settleCommitments(
  database: Queryable,
  { userId, botId }: Speaker,
  ended: readonly string[],
): Promise<void> {
  if (ended.length === 0) return;
  await database.query(
    `update commitments set settled_at = clock_timestamp()
      where user_id = $1 and client_order_id = any(array(
        select client_order_id from commitments
         where user_id = $1 and bot_id = $2 and client_order_id = any($3::uuid[]) and settled_at is null
         order by client_order_id for update))`,
    [userId, botId, ended],
  );
}

async function advance(
  database: Queryable,
  { speaker, epoch }: { readonly speaker: Speaker; readonly epoch: number },
  sequence: number,
): Promise<number> {
  const { rows } = await database.query<{ last_sequence: string }>(
    `update journal_sessions set last_sequence = greatest(last_sequence, $4)
      where user_id = $1 and bot_id = $2 and epoch = $3
      returning last_sequence`,
    [speaker.userId, speaker.botId, epoch, sequence],
  );
  return Number(rows[0]?.last_sequence ?? 0);
}
