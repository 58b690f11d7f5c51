import type { Database } from "./database.ts";

/** Locks of work that one process does at a time. As everywhere: any numbers that nothing else locks. */
const LOCKS = {
  subscriptions: 7_201_966,
  halfMade: 7_201_967,
  personalData: 7_201_968,
  idempotencyKeys: 7_201_970,
} as const;

/**
 * Does some work unless another process is at it. The lock is a connection's: should the process die, it is free again. The
 * work must bear being done twice: a connection can be lost in the middle of it.
 */
export async function alone(
  pool: Pick<Database, "connect">,
  what: keyof typeof LOCKS,
  work: () => Promise<void>,
): Promise<void> {
  const client = await pool.connect();
  let lost: Error | undefined;
  const noteLost = (error: Error) => void (lost = error);
  client.on("error", noteLost); // unheard, it would end us
  try {
    const { rows } = await client.query<{ is_ours: boolean }>(
      "select pg_try_advisory_lock($1) as is_ours",
      [LOCKS[what]],
    );
    if (rows[0]?.is_ours !== true) return;
    try {
      await work();
    } finally {
      await client.query("select pg_advisory_unlock($1)", [LOCKS[what]]).catch(noteLost);
    }
  } finally {
    client.release(lost); // with its connection the lock goes too
    client.off("error", noteLost);
  }
}
