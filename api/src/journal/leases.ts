import { asTenant, atMostOne, type Database, type Queryable } from "../database.ts";
import { lockBot, requireNewestSession } from "./sessions.ts";
import type { Speaker } from "./speaker.ts";

/** Three renewals fit in; a pod that takes over from a dead one waits no longer than this. */
export const LEASE_TTL_MS = 15_000;

/** The end of a lease that begins now, by the database's clock. */
const NEW_END = `clock_timestamp() + interval '${LEASE_TTL_MS} milliseconds'`;

/** Another pod's lease that has not run out. */
interface HeldByAnother {
  readonly epoch: number;
  readonly leftMs: number;
}

/**
 * Gives the bot's lease to the newest process, or says who holds it. One of the same pod has it at once: the process before
 * is dead. Another pod waits until the lease has run out or is released.
 * @throws ApiError `unknown_session`, `stale_epoch`
 */
export async function grantLease(
  database: Queryable,
  speaker: Speaker,
  epoch: number,
): Promise<HeldByAnother | undefined> {
  await lockBot(database, speaker); // intents under the lease before are written or refused
  await requireNewestSession(database, speaker, epoch);
  const { userId, botId, podUid } = speaker;
  const { rowCount } = await database.query(
    `insert into journal_leases (user_id, bot_id, epoch, pod_uid, expires_at)
     values ($1, $2, $3, $4, ${NEW_END})
     on conflict (user_id, bot_id) do update set
       epoch = excluded.epoch, pod_uid = excluded.pod_uid, is_superseded = false,
       expires_at = excluded.expires_at
     where journal_leases.pod_uid = excluded.pod_uid
        or journal_leases.expires_at <= clock_timestamp()`,
    [userId, botId, epoch, podUid],
  );
  return rowCount === 1 ? undefined : boundedHolder(database, speaker);
}

/** A lease that ends later than one that begins now was written before the database's clock stepped back. */
async function boundedHolder(
  database: Queryable,
  { userId, botId }: Speaker,
): Promise<HeldByAnother> {
  const { rows } = await database.query<HeldByAnother>(
    `update journal_leases set expires_at = least(expires_at, ${NEW_END})
      where user_id = $1 and bot_id = $2
      returning epoch,
        ceil(extract(epoch from expires_at - clock_timestamp()) * 1000)::int as "leftMs"`,
    [userId, botId],
  );
  const { epoch, leftMs } = atMostOne(rows) ?? { epoch: 0, leftMs: 0 }; // none: released meanwhile
  return { epoch, leftMs: Math.min(Math.max(leftMs, 1), LEASE_TTL_MS) };
}

/**
 * Ends the pod's lease. Nothing to end is no error, and a word that comes late does not end the lease of a newer process of
 * the same pod.
 */
export async function releaseLease(
  database: Queryable,
  { userId, botId, podUid }: Speaker,
  epoch: number,
): Promise<void> {
  await database.query(
    `delete from journal_leases
      where user_id = $1 and bot_id = $2 and pod_uid = $3 and epoch <= $4`,
    [userId, botId, podUid, epoch],
  );
}

/** Until the bot's lease has run out, whichever pod holds it; 0 when there is none. It may be renewed meanwhile. */
export async function leaseLeftMs(pool: Pick<Database, "connect">, botId: string): Promise<number> {
  return asTenant(pool, { botIds: [botId] }, async (database) => {
    const { rows } = await database.query<{ readonly leftMs: number }>(
      `select ceil(extract(epoch from expires_at - clock_timestamp()) * 1000)::int as "leftMs"
         from journal_leases where bot_id = $1 and expires_at > clock_timestamp()`,
      [botId],
    );
    return Math.max(atMostOne(rows)?.leftMs ?? 0, 0);
  });
}

/** A lease that its holder wants to keep; who holds it was checked when it was granted. */
export interface HeldLease {
  readonly botId: string;
  readonly podUid: string;
  readonly epoch: number;
}

/**
 * Renews the leases of many bots in one statement and gives back those that it renewed. One that has run out, was superseded
 * or is being changed at this moment is left as it is: no bot waits for another one's lock.
 */
export async function renewLeases(
  pool: Pick<Database, "connect">,
  leases: readonly HeldLease[],
): Promise<readonly HeldLease[]> {
  const botIds = leases.map(({ botId }) => botId);
  const epochs = leases.map(({ epoch }) => epoch);
  const podUids = leases.map(({ podUid }) => podUid);
  return asTenant(pool, { botIds }, async (database) => {
    const { rows } = await database.query<HeldLease>(RENEW, [botIds, epochs, podUids]);
    return rows;
  });
}

const RENEW = `
  with held as (
    select user_id, bot_id
      from journal_leases
      join unnest($1::text[], $2::int[], $3::text[]) as wish (bot_id, epoch, pod_uid)
     using (bot_id, epoch, pod_uid)
     where not is_superseded and expires_at > clock_timestamp()
       for update of journal_leases skip locked)
  update journal_leases as lease set expires_at = ${NEW_END}
    from held
   where lease.user_id = held.user_id and lease.bot_id = held.bot_id
  returning lease.bot_id as "botId", lease.epoch, lease.pod_uid as "podUid"`;
