import type { TradingBot } from "@tradingbots/crds";
import { recordAudit } from "../audit/record.ts";
import type { Tier } from "../auth/user.ts";
import { lockUser } from "../auth/user-store.ts";
import { requireClass } from "../bots/create-bot.ts";
import { mapLimited } from "../concurrency.ts";
import { asTenant, type Database } from "../database.ts";
import type { Kube } from "../kube.ts";
import { giveNotice } from "../notices/notice-store.ts";
import { rowsByPage } from "../rows-by-page.ts";
import { type Step, stepsFor } from "./bots-of-tier.ts";

/** Users that are in memory at a time. */
const PAGE_USERS = 1_000;
const READS_AT_ONCE = 8;

export interface SettleDeps {
  readonly workerPool: Database;
  readonly kube: Pick<Kube, "bots" | "findClass">;
  readonly onError: (error: unknown) => void;
}

interface ChangedUser {
  readonly id: string;
  readonly tier: Tier;
  readonly namespace: string;
  readonly tier_changed_at: Date;
}

/**
 * Brings the bots of those whose tier has changed into line with it. What cannot be done now is tried at the next turn. Each user is looked
 * at once in a turn, so that those who wait for their positions to end, or fail, hold up no others.
 */
export async function settleBots(deps: SettleDeps, ending?: AbortSignal): Promise<void> {
  for await (const user of changedUsers(deps.workerPool)) {
    if (ending?.aborted === true) return;
    await settleUser(deps, user).catch(deps.onError); // one user's trouble is not the others'
  }
}

/** Who has waited longest first. */
const changedUsers = (workerPool: Database) =>
  rowsByPage<ChangedUser>(PAGE_USERS, (last) =>
    workerPool.query(
      `select id, tier, namespace, tier_changed_at from users
        where tier_changed_at is not null and bots_settled_at is distinct from tier_changed_at
          and ($1::timestamptz is null or (tier_changed_at, id) > ($1, $2::uuid))
        order by tier_changed_at, id limit ${PAGE_USERS}`,
      [last?.tier_changed_at, last?.id],
    ),
  );

async function settleUser(deps: SettleDeps, user: ChangedUser): Promise<void> {
  const { ceilings } = (await requireClass(deps.kube, user.tier)).spec;
  const { bots, isComplete } = await botsOf(deps, user);
  const steps = stepsFor({ tier: user.tier, ceilings, bots });
  for (const step of steps) await take(deps, user, step);
  if (!isComplete || steps.some(({ kind }) => kind === "wait")) return;
  await asTenant(deps.workerPool, { userId: user.id }, (database) =>
    database.query("update users set bots_settled_at = $2 where id = $1 and tier_changed_at = $2", [
      user.id,
      user.tier_changed_at,
    ]),
  );
}

/** Incomplete: one is being created at this moment. */
async function botsOf({ workerPool, kube }: SettleDeps, user: ChangedUser) {
  const rows = await asTenant(workerPool, { userId: user.id }, async (database) => {
    await lockUser(database, user.id); // a creation that counts now has counted
    const { rows: own } = await database.query<{
      id: string;
      namespace: string;
      is_young: boolean;
    }>(
      `select id, namespace, created_at > now() - interval '10 minutes' as is_young from bots
        where user_id = $1 and retired_at is null and gone_at is null
        order by created_at, id`,
      [user.id],
    );
    return own;
  });
  const found = await mapLimited(rows, READS_AT_ONCE, ({ id, namespace }) =>
    kube.bots.get({ namespace, name: id }),
  );
  return {
    bots: found.filter((bot) => bot !== undefined).filter(({ spec }) => spec.state !== "Retired"),
    isComplete: found.every((bot, index) => bot !== undefined || rows[index]?.is_young !== true),
  };
}

type OwnStep = Step & { readonly bot: TradingBot };

async function take({ workerPool, kube }: SettleDeps, user: ChangedUser, step: OwnStep) {
  if (step.kind === "none" || step.kind === "wait") return;
  const { name, namespace, resourceVersion } = step.bot.metadata;
  const spec = step.kind === "pause" ? { state: "Paused" } : { className: user.tier };
  await asTenant(workerPool, { userId: user.id }, async (database) => {
    if (step.kind === "pause") {
      const { displayName } = step.bot.spec;
      const message = `Bot "${displayName}" is paused: ${step.reason}. Open positions are managed to their end.`;
      const once = `${name} ${user.tier_changed_at.toISOString()}`;
      await giveNotice(database, { userId: user.id, kind: "bot_paused", message, once });
    }
    await recordAudit(database, {
      actorKind: "system",
      userId: user.id,
      action: step.kind === "pause" ? "bot.pause" : "bot.move",
      object: `bot/${name}`,
      outcome: "attempted",
      details: { tier: user.tier },
    });
  });
  // What the user does meanwhile counts: then this is refused, and judged anew at the next turn.
  await kube.bots.patch(
    { namespace: namespace ?? user.namespace, name },
    { metadata: { resourceVersion }, spec },
  );
}
