import { randomUUID } from "node:crypto";
import { recordAudit } from "../audit/record.ts";
import { hasRole, lockRoles } from "../admin/administrator.ts";
import { endSessions } from "../auth/session-store.ts";
import { lockUser } from "../auth/user-store.ts";
import { asTenant, type Database, type Queryable } from "../database.ts";
import type { Kube } from "../kube.ts";
import type { Job, Progress } from "./job-store.ts";

/**
 * Between the end of all log-ins and the end of the rows that tell of it: access tokens live for 15 minutes, and every process
 * hears of ended sessions from their rows.
 */
const TOKENS_LIVE_FOR = "20 minutes";
/** Tables that do not go with the user's row: most are the journal's, which refer to nothing. */
export const FORGOTTEN = [
  "equity",
  "events",
  "intents",
  "day_baselines",
  "reports",
  "commitments",
  "live_events",
  "live_heads",
  "personal_data_parts",
  "request_results",
];
/** What law wants kept, and what tells the rows of a bot in it apart. */
export const KEPT = [
  { table: "trades", key: "id" },
  { table: "orders", key: "epoch, sequence" },
  { table: "fills", key: "execution_id" },
  { table: "funding", key: "execution_id" },
] as const;
/** Of them grow by the minute: a bot of a year has half a million rows. */
const BY_THE_MINUTE = ["equity", "events"];
/** A statement's work of about a second; it is given up after ten. */
const ROWS_AT_ONCE = 50_000;

export interface EraseDeps {
  readonly workerPool: Database;
  readonly kube: Pick<Kube, "bots" | "accounts">;
}

/**
 * One turn of an erasure; each can be repeated, and what it answers says where to go on. Bots first, because they close their
 * positions with the key; then accounts, whose end makes the operator remove the key; then the rows.
 */
export async function erasureTurn(deps: EraseDeps, job: Job): Promise<Progress> {
  // Nothing of an administrator is touched: the last one must not vanish by what they wished before they were one.
  if (await hasRole(deps.workerPool, job.user_id)) return waitsForRole(job.step);
  if (job.step === "begin" || job.step === "retire") return retire(deps, job.user_id);
  if (job.step === "erase") return erase(deps.workerPool, job.user_id);
  return forget(deps.workerPool, job);
}

const AGAIN = {
  status: "running",
  step: "retire",
  detail: "it begins anew: something was made meanwhile",
} as const;

/** An administrator has enabled the user: whoever has logged in since is shut out again, and their token gets its time to run out. */
const LET_IN = { status: "running", step: "erase", detail: "" } as const;

function waitsForRole(step: string): Progress {
  return { status: "running", step, detail: "it waits until your role has been taken away" };
}

async function retire(deps: EraseDeps, userId: string): Promise<Progress> {
  const step = { status: "running", step: "retire" } as const;
  const bots = await retireAll(deps, userId, "bots");
  if (bots > 0) return { ...step, detail: `${bots} bots are closing their positions` };
  const accounts = await retireAll(deps, userId, "accounts");
  if (accounts > 0) return { ...step, detail: `${accounts} exchange accounts are being removed` };
  return { status: "running", step: "erase", detail: "" };
}

/** Answers how many are still there. */
async function retireAll(
  { workerPool, kube }: EraseDeps,
  userId: string,
  table: "bots" | "accounts",
): Promise<number> {
  const living = await asTenant(workerPool, { userId }, (database) =>
    livingRows(database, userId, table),
  );
  for (const { id, namespace, is_seen: isSeen } of living) {
    const key = { namespace, name: id };
    const object = await kube[table].get(key);
    if (object === undefined) {
      // One that was never seen may be about to be made, or has left a key: half-made.ts sees to it.
      if (isSeen) await markEnded(workerPool, { userId, id, table, isGone: true });
      continue;
    }
    if (object.spec.state !== "Retired") {
      await note(workerPool, userId, `${table === "bots" ? "bot" : "account"}/${id}`);
      await kube[table].patch(key, { spec: { state: "Retired" } });
    }
    await markEnded(workerPool, { userId, id, table, isGone: false });
  }
  const left = await asTenant(workerPool, { userId }, (database) =>
    livingRows(database, userId, table),
  );
  return left.length;
}

interface LivingRow {
  readonly id: string;
  readonly namespace: string;
  readonly is_seen: boolean;
}

async function livingRows(
  database: Queryable,
  userId: string,
  table: "bots" | "accounts",
): Promise<readonly LivingRow[]> {
  const { rows } = await database.query<LivingRow>(
    `select id, namespace, made_at is not null as is_seen
       from ${table} where user_id = $1 and gone_at is null order by id`,
    [userId],
  );
  return rows;
}

interface Ended {
  readonly userId: string;
  readonly id: string;
  readonly table: "bots" | "accounts";
  readonly isGone: boolean;
}

async function markEnded(workerPool: Database, { userId, id, table, isGone }: Ended) {
  await asTenant(workerPool, { userId }, (database) =>
    database.query(
      `update ${table}
          set retired_at = coalesce(retired_at, now()), made_at = coalesce(made_at, now()),
              gone_at = case when $3 then now() end
        where user_id = $1 and id = $2 and gone_at is null`,
      [userId, id, isGone],
    ),
  );
}

async function note(workerPool: Database, userId: string, object: string): Promise<void> {
  await recordAudit(workerPool, {
    actorKind: "system",
    userId,
    action: "erasure.retire",
    object,
    outcome: "attempted",
  });
}

/** No log-in works any more, whatever there is to do after it. Answers what keeps the erasure from it. */
async function shutOut(workerPool: Database, userId: string): Promise<Progress | undefined> {
  return asTenant(workerPool, { userId }, async (database) => {
    await lockRoles(database);
    if (await hasRole(database, userId)) return waitsForRole("erase");
    if (await hasLiving(database, userId)) return AGAIN;
    await database.query(
      "update users set disabled_at = now() where id = $1 and disabled_at is null",
      [userId],
    );
    await endSessions(database, userId, "erased");
    return undefined;
  });
}

/** Deletes what would take one transaction too long. Whatever it has done when it fails need not be done again. */
async function forgetMinutes(workerPool: Database, { userId, botId }: OfBot): Promise<void> {
  for (const table of BY_THE_MINUTE) {
    const some = `delete from ${table} where user_id = $1 and bot_id = $2 and at <= coalesce((
      select at from ${table} where user_id = $1 and bot_id = $2
       order by at offset ${ROWS_AT_ONCE} limit 1), 'infinity')`;
    let removed: number;
    do {
      removed = await asTenant(workerPool, { userId }, async (database) =>
        countOf(await database.query(some, [userId, botId])),
      );
    } while (removed > 0);
  }
}

interface OfBot {
  readonly userId: string;
  readonly botId: string;
}

/** Who owns what is kept, and what makes other ids of bots' ids: the audit names bots, and must not lead to what is kept. Neither is stored. */
interface Pseudonym {
  readonly userId: string;
  readonly salt: string;
}

function newPseudonym(): Pseudonym {
  return { userId: randomUUID(), salt: randomUUID() };
}

const UNDER_PSEUDONYM =
  "set user_id = $2, bot_id = 'bot-' || substr(encode(sha256(convert_to(bot_id || $3, 'UTF8')), 'hex'), 1, 20)";

/** All of a bot or nothing, so that what is kept of it stands under one pseudonym. Answers how many rows. */
async function pseudonymise(
  workerPool: Database,
  { userId, botId }: OfBot,
  { userId: pseudonym, salt }: Pseudonym,
): Promise<number> {
  return asTenant(workerPool, { userId }, async (database) => {
    await allowPseudonym(database, pseudonym);
    let kept = 0;
    for (const { table, key } of KEPT) {
      const rest = `update ${table} ${UNDER_PSEUDONYM} where user_id = $1 and bot_id = $4`;
      const some = `${rest} and (${key}) <= (
        select ${key} from ${table} where user_id = $1 and bot_id = $4 order by ${key} offset ${ROWS_AT_ONCE} limit 1)`;
      const values = [userId, pseudonym, salt, botId];
      let moved: number;
      do {
        moved = countOf(await database.query(some, values));
        kept += moved;
      } while (moved > 0);
      kept += countOf(await database.query(rest, values));
    }
    return kept;
  });
}

async function allowPseudonym(database: Queryable, pseudonym: string): Promise<void> {
  await database.query("select set_config('app.pseudonym', $1, true)", [pseudonym]);
}

function countOf({ rowCount }: { readonly rowCount: number | null }): number {
  return rowCount ?? 0;
}

/** First nobody gets in, then bot by bot, then the rest in one transaction. What is done when it fails need not be done again. */
async function erase(workerPool: Database, userId: string): Promise<Progress> {
  const obstacle = await shutOut(workerPool, userId);
  if (obstacle !== undefined) return obstacle;
  const pseudonym = newPseudonym(); // what is left after a crash gets another
  const { rows: bots } = await asTenant(workerPool, { userId }, (database) =>
    database.query<{ id: string }>("select id from bots where user_id = $1 order by id", [userId]),
  );
  let kept = 0;
  for (const { id: botId } of bots) {
    await forgetMinutes(workerPool, { userId, botId });
    kept += await pseudonymise(workerPool, { userId, botId }, pseudonym);
  }
  return asTenant(workerPool, { userId }, async (database) => {
    if (await hasLiving(database, userId)) return AGAIN;
    await clearRest(database, userId, pseudonym);
    await recordAudit(database, {
      actorKind: "system",
      userId,
      action: "erasure.erase",
      outcome: "done",
      details: { kept },
    });
    return { status: "running", step: "forget", detail: "the last rows go when no token lives" };
  });
}

/** What refers to nothing, the bots' last rows after their turn included. */
async function clearRest(database: Queryable, userId: string, pseudonym: Pseudonym): Promise<void> {
  await allowPseudonym(database, pseudonym.userId);
  for (const { table } of KEPT) {
    await database.query(`update ${table} ${UNDER_PSEUDONYM} where user_id = $1`, [
      userId,
      pseudonym.userId,
      pseudonym.salt,
    ]);
  }
  for (const table of FORGOTTEN) {
    await database.query(`delete from ${table} where user_id = $1`, [userId]);
  }
}

/** The user's row, and with it all that refers to it. */
async function forget(workerPool: Database, { user_id: userId, id }: Job): Promise<Progress> {
  return asTenant(workerPool, { userId }, async (database) => {
    if (await hasLiving(database, userId)) return AGAIN;
    if (await isEnabled(database, userId)) return LET_IN;
    const { rowCount } = await database.query(
      `delete from users where id = $1 and exists (
         select from personal_data_jobs
          where user_id = $1 and id = $2 and stepped_at < now() - interval '${TOKENS_LIVE_FOR}')`,
      [userId, id],
    );
    if (rowCount === 0 && (await exists(database, userId))) {
      return { status: "running", step: "forget", detail: "the last rows go when no token lives" };
    }
    // A pod on a node that was cut off could append until now, by its bot's row.
    await clearRest(database, userId, newPseudonym());
    await recordAudit(database, {
      actorKind: "system",
      userId,
      action: "erasure.forget",
      outcome: "done",
    });
    return { status: "done", step: "forget", detail: "" };
  });
}

async function hasLiving(database: Queryable, userId: string): Promise<boolean> {
  await lockUser(database, userId);
  const bots = await livingRows(database, userId, "bots");
  return bots.length > 0 || (await livingRows(database, userId, "accounts")).length > 0;
}

async function isEnabled(database: Queryable, userId: string): Promise<boolean> {
  const { rows } = await database.query("select from users where id = $1 and disabled_at is null", [
    userId,
  ]);
  return rows.length > 0;
}

async function exists(database: Queryable, userId: string): Promise<boolean> {
  const { rows } = await database.query("select 1 from users where id = $1", [userId]);
  return rows.length > 0;
}
