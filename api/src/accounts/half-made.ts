import { API_VERSION, LABELS } from "@tradingbots/crds";
import { recordAudit } from "../audit/record.ts";
import { lockUser } from "../auth/user-store.ts";
import { asTenant, type Database } from "../database.ts";
import type { Kube } from "../kube.ts";
import { rowsByPage } from "../rows-by-page.ts";

/** A creation is over after this time: no request lasts so long, and a repeated one begins to count anew. */
const HALF_MADE_FOR = "10 minutes";
/** Rows that are in memory at a time. */
const PAGE_ROWS = 500;

export interface HalfMadeDeps {
  readonly workerPool: Database;
  readonly kube: Pick<Kube, "accounts" | "bots">;
  readonly onError: (error: unknown) => void;
}

interface UnseenRow {
  readonly user_id: string;
  readonly id: string;
  readonly namespace: string;
  readonly created_at: Date;
  readonly retired_at: Date | null;
}

/**
 * Looks after creations that were begun and may never have been finished. A bot without its custom resource counts no more. An
 * account gets a custom resource that is Retired from the start: so the operator, who alone may, removes the key that may lie
 * in Vault. Each is tried once in a sweep, so that those that fail, however many, hold up no others.
 */
export async function sweepHalfMade(deps: HalfMadeDeps, ending?: AbortSignal): Promise<void> {
  for (const [table, sweepRow] of [
    ["accounts", sweepAccount],
    ["bots", sweepBot],
  ] as const) {
    for await (const row of unseen(deps.workerPool, table)) {
      if (ending?.aborted === true) return;
      await sweepRow(deps, row).catch(deps.onError);
    }
  }
}

/** The oldest first. */
const unseen = (workerPool: Database, table: "accounts" | "bots") =>
  rowsByPage<UnseenRow>(PAGE_ROWS, (last) =>
    workerPool.query(
      `select user_id, id, namespace, created_at, retired_at from ${table}
        where made_at is null and gone_at is null and created_at < now() - interval '${HALF_MADE_FOR}'
          and ($1::timestamptz is null or (created_at, id) > ($1, $2))
        order by created_at, id limit ${PAGE_ROWS}`,
      [last?.created_at, last?.id],
    ),
  );

async function sweepAccount({ workerPool, kube }: HalfMadeDeps, row: UnseenRow): Promise<void> {
  const key = { namespace: row.namespace, name: row.id };
  const exists = (await kube.accounts.get(key)) !== undefined;
  if (!exists) {
    const isOver = await giveUp(workerPool, row);
    if (!isOver) return; // the creation was begun anew a moment ago
    await kube.accounts.create(retiredAccount(row));
  }
  await markMade(workerPool, "accounts", row);
}

/** From here on a repeated request is told to use a new key. False when one has begun anew. */
async function giveUp(workerPool: Database, row: UnseenRow): Promise<boolean> {
  const { user_id: userId, id, retired_at: retiredAt } = row;
  return asTenant(workerPool, { userId }, async (database) => {
    await lockUser(database, userId);
    const { rowCount } = await database.query(
      `update accounts set retired_at = coalesce(retired_at, now())
        where user_id = $1 and id = $2 and created_at < now() - interval '${HALF_MADE_FOR}'`,
      [userId, id],
    );
    if (rowCount !== 1) return false;
    if (retiredAt !== null) return true; // an earlier sweep got as far as here, and told
    await recordAudit(database, {
      actorKind: "system",
      userId,
      action: "account.give-up",
      object: `account/${id}`,
      outcome: "attempted",
    });
    return true;
  });
}

function retiredAccount({ user_id: userId, id, namespace }: UnseenRow) {
  return {
    apiVersion: API_VERSION,
    kind: "ExchangeAccount",
    metadata: { name: id, namespace, labels: { [LABELS.user]: userId, [LABELS.account]: id } },
    // What the user had chosen is not known any more, and nobody asks: it is on its way out.
    spec: {
      userId,
      exchange: "bybit",
      name: "never finished",
      testnet: true,
      credentialsVersion: 1,
      state: "Retired",
    },
  };
}

async function sweepBot({ workerPool, kube }: HalfMadeDeps, row: UnseenRow): Promise<void> {
  const exists = (await kube.bots.get({ namespace: row.namespace, name: row.id })) !== undefined;
  if (exists) return markMade(workerPool, "bots", row);
  const { user_id: userId, id } = row;
  await asTenant(workerPool, { userId }, async (database) => {
    await lockUser(database, userId);
    const { rowCount } = await database.query(
      `update bots set gone_at = now()
        where user_id = $1 and id = $2 and created_at < now() - interval '${HALF_MADE_FOR}'`,
      [userId, id],
    );
    if (rowCount !== 1) return;
    await recordAudit(database, {
      actorKind: "system",
      userId,
      action: "bot.give-up",
      object: `bot/${id}`,
      outcome: "done",
    });
  });
}

async function markMade(
  workerPool: Database,
  table: "accounts" | "bots",
  { user_id: userId, id }: UnseenRow,
): Promise<void> {
  await asTenant(workerPool, { userId }, (database) =>
    database.query(`update ${table} set made_at = now() where user_id = $1 and id = $2`, [
      userId,
      id,
    ]),
  );
}
