import { Client } from "pg";
import type { TestDatabase } from "../../../api/test/database.ts";

/** Every tenth trade is a whale's. */
const WHALES = 8;
const USERS = 10_000;
const BOTS_PER_USER = 3;
const SYMBOLS = 20;
/** One trade of so many is in a market that hardly anybody trades. */
const RARE_EVERY = 20_011;
const FILLING_CONNECTIONS = 2;
/** One word a minute for 13 months. */
const EQUITY_ROWS = 13 * 30 * 1_440;

export const RARE_SYMBOL = "RARE/USDT:USDT";
export const COMMON_SYMBOL = "S7/USDT:USDT";

/** Whales come first: they are users 0 to 7. */
export const whale = (index: number): string => userId(index % WHALES);
export const ordinary = (index: number): string => userId(WHALES + (index % USERS));
/** `user` as whale or ordinary gave it. */
export const botOf = (user: string, number: number): string =>
  `bot-${parseInt(user.slice(-12), 16)}-${number % BOTS_PER_USER}`;

function userId(index: number): string {
  return `00000000-0000-4000-8000-${index.toString(16).padStart(12, "0")}`;
}

const USER_ID = "('00000000-0000-4000-8000-' || lpad(to_hex(who), 12, '0'))::uuid";

/**
 * Writes so many trades of the last year, in the order of time as they come in: a user's lie scattered over the whole table. Indexes
 * are made afterwards, which takes a third of the time.
 */
export async function writeManyTrades(database: TestDatabase, count: number): Promise<void> {
  const { superuser } = database;
  await superuser.query(
    `insert into users (id, email, password_hash, namespace)
     select ${USER_ID}, 'user-' || who || '@example.com', 'x', 'tradingbots-00' from generate_series(0, $1) who`,
    [WHALES + USERS - 1],
  );
  await superuser.query(
    `insert into bots (user_id, id, namespace)
     select ${USER_ID}, 'bot-' || who || '-' || bot, 'tradingbots-00'
       from generate_series(0, $1) who, generate_series(0, $2) bot`,
    [WHALES + USERS - 1, BOTS_PER_USER - 1],
  );
  const remake = await dropIndexes(superuser);
  const part = Math.ceil(count / FILLING_CONNECTIONS);
  await Promise.all(
    Array.from({ length: FILLING_CONNECTIONS }, (_, index) =>
      withClient(database, (client) =>
        client.query(INSERT_TRADES, [index * part, Math.min((index + 1) * part, count) - 1, count]),
      ),
    ),
  );
  await superuser.query("set maintenance_work_mem = '1GB'");
  for (const statement of remake) await superuser.query(statement);
  await superuser.query(INSERT_EQUITY, [EQUITY_ROWS]);
  await superuser.query("vacuum analyze");
}

const INSERT_TRADES = `
  insert into trades (user_id, bot_id, id, epoch, sequence, symbol, side, quantity, entry_price,
                      exit_price, pnl, fees, funding, opened_at, closed_at, reason)
  select ${USER_ID}, 'bot-' || who || '-' || n / ${USERS} % ${BOTS_PER_USER}, gen_random_uuid(), 1, n,
         case when n % ${RARE_EVERY} = 0 then '${RARE_SYMBOL}' else 'S' || n * 7919 / 10 % ${SYMBOLS} || '/USDT:USDT' end,
         case when n % 2 = 0 then 'long' else 'short' end, 0.010, 60000.10, 60100.20,
         round((random() - 0.48)::numeric * 100, 8), 0.33, -0.0125, at, at + interval '20 minutes', 'target'
    from (select n, now() - ($3 - n) * (interval '364 days' / $3) as at,
                 case when n % 10 = 0 then n / 10 % ${WHALES} else ${WHALES} + n % ${USERS} end as who
            from generate_series($1::bigint, $2::bigint) n) trade`;

const INSERT_EQUITY = `
  insert into equity (user_id, bot_id, epoch, sequence, equity, available, currency, at)
  select ${USER_ID}, 'bot-' || who || '-0', 1, n, 1000.10 + n % 97, 900, 'USDT', now() - n * interval '1 minute'
    from generate_series(1, $1) n, generate_series(0, 1) who`;

/** Answers the statements that make them again. */
async function dropIndexes(superuser: Client): Promise<readonly string[]> {
  const { rows } = await superuser.query<{ drop: string; make: string }>(
    `select coalesce('alter table trades drop constraint ' || conname, 'drop index ' || indexrelid::regclass) as drop,
            coalesce('alter table trades add ' || pg_get_constraintdef(c.oid), pg_get_indexdef(indexrelid)) as make
       from pg_index left join pg_constraint c on conindid = indexrelid
      where indrelid = 'trades'::regclass`,
  );
  for (const { drop } of rows) await superuser.query(drop);
  return rows.map(({ make }) => make);
}

async function withClient(
  { superuserUrl }: TestDatabase,
  work: (client: Client) => Promise<unknown>,
): Promise<void> {
  const client = new Client(superuserUrl);
  await client.connect();
  await work(client).finally(() => client.end());
}
