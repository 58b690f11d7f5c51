import { recordAudit } from "../audit/record.ts";
import { asTenant, type Database } from "../database.ts";
import { giveNotice } from "../notices/notice-store.ts";

/** Of one turn; the others come in the next. */
const USERS_MAX = 500;

/** Sets users back whose subscription has ended; their bots follow by `settleBots`. For the role worker. */
export async function expireSubscriptions(workerPool: Database): Promise<void> {
  const { rows } = await workerPool.query<{ id: string }>(
    `select id from users
      where subscription_expires_at <= now() and tier <> 'free'
      order by subscription_expires_at limit ${USERS_MAX}`,
  );
  for (const { id } of rows) await expire(workerPool, id);
}

async function expire(workerPool: Database, userId: string): Promise<void> {
  await asTenant(workerPool, { userId }, async (database) => {
    const { rowCount } = await database.query(
      `update users set tier = 'free'
        where id = $1 and subscription_expires_at <= now() and tier <> 'free'`,
      [userId],
    );
    if (rowCount !== 1) return; // extended a moment ago
    const message = "Your subscription has ended: you have the free tier now.";
    await giveNotice(database, { userId, kind: "subscription_ended", message });
    await recordAudit(database, {
      actorKind: "system",
      userId,
      action: "subscription.end",
      outcome: "done",
    });
  });
}
