import { API_VERSION, type TradingHalt } from "@tradingbots/crds";
import { recordAudit } from "../audit/record.ts";
import { asTenant, atMostOne, type Database, type Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";
import type { Kube } from "../kube.ts";
import { type Administrator, holdRole } from "./administrator.ts";

/** A second person looks at the same situation, not at yesterday's. */
const APPROVAL_MINUTES = 15;

export interface HaltDeps {
  readonly adminPool: Database;
  readonly kube: Pick<Kube, "halts">;
}

/** Who acts, and what the audit is told of them. */
export interface Actor extends Administrator {
  readonly address: string;
  readonly requestId: string;
}

export type WantedHalt = Pick<TradingHalt["spec"], "scope" | "action" | "reason" | "expiresAt"> & {
  readonly name: string;
};

/** Puts a halt in force. One person is enough: stopping is never the mistake. */
export async function createHalt(
  { adminPool, kube }: HaltDeps,
  actor: Actor,
  { name, ...spec }: WantedHalt,
): Promise<TradingHalt> {
  const { scope, action } = spec;
  const details = { scope: scope.type, value: scope.value ?? null, action };
  await note(adminPool, actor, { action: "halt.create", object: `halt/${name}`, details });
  return kube.halts.create({
    apiVersion: API_VERSION,
    kind: "TradingHalt",
    metadata: { name, labels: {} },
    spec: { ...spec, lifted: false },
  });
}

/** @throws ApiError `not_found` */
export async function requireHalt(
  { kube }: Pick<HaltDeps, "kube">,
  name: string,
): Promise<TradingHalt> {
  const halt = await kube.halts.get({ name });
  if (halt === undefined) throw new ApiError("not_found", `there is no halt ${name}`);
  return halt;
}

/** Scopes of halts that concern all users: of an exchange all who trade there, which may be everybody. */
const ofEverybody: ReadonlySet<TradingHalt["spec"]["scope"]["type"]> = new Set(["all", "exchange"]);

/** Undefined: the halt is lifted. Else until when somebody else can approve. */
export async function liftHalt(
  deps: HaltDeps,
  actor: Actor,
  name: string,
): Promise<{ readonly halt: TradingHalt; readonly approvableUntil?: Date }> {
  const halt = await requireHalt(deps, name);
  if (halt.spec.lifted) return { halt };
  if (!ofEverybody.has(halt.spec.scope.type)) {
    await note(deps.adminPool, actor, liftOf(halt));
    return { halt: await lift(deps, halt) };
  }
  const requestedAt = await asTenant(deps.adminPool, actor, async (database) => {
    await recordAudit(
      database,
      entryOf(actor, { action: "halt.lift.request", object: `halt/${name}` }),
    );
    return insertRequest(database, actor.userId, halt);
  });
  return { halt, approvableUntil: new Date(requestedAt.getTime() + APPROVAL_MINUTES * 60_000) };
}

/**
 * The second person's word: all bots may trade again.
 * @throws ApiError `approval_missing` when nobody else has asked for it in the last minutes
 */
export async function approveLift(
  deps: HaltDeps,
  actor: Actor,
  name: string,
): Promise<TradingHalt> {
  const halt = await requireHalt(deps, name);
  if (halt.spec.lifted) return halt;
  const isApproved = await asTenant(deps.adminPool, actor, async (database) => {
    await holdRole(database, actor);
    if (!(await approve(database, actor.userId, halt.metadata.uid))) return false;
    await note(database, actor, liftOf(halt));
    return true;
  });
  if (!isApproved) {
    throw new ApiError(
      "approval_missing",
      `somebody else must ask for it first, at most ${APPROVAL_MINUTES} minutes before; one approval is enough`,
    );
  }
  return lift(deps, halt);
}

function liftOf({ metadata }: TradingHalt): Told {
  return { action: "halt.lift", object: `halt/${metadata.name}` };
}

async function lift({ kube }: HaltDeps, { metadata }: TradingHalt): Promise<TradingHalt> {
  const { name, uid } = metadata;
  // With the uid another halt of the same name is not lifted.
  return kube.halts.patch({ name }, { metadata: { uid }, spec: { lifted: true } });
}

async function insertRequest(
  database: Queryable,
  userId: string,
  { metadata }: TradingHalt,
): Promise<Date> {
  const { rows } = await database.query<{ requested_at: Date }>(
    "insert into halt_lifts (user_id, halt, halt_uid) values ($1, $2, $3) returning requested_at",
    [userId, metadata.name, metadata.uid],
  );
  const requested = atMostOne(rows);
  if (requested === undefined) throw new Error("a wish was not written down");
  return requested.requested_at;
}

/**
 * Whether the word of the first one who approves counts: somebody else asked, who still may, and nobody has approved since. Whoever
 * repeats an approval finds their own.
 */
async function approve(database: Queryable, userId: string, haltUid: string): Promise<boolean> {
  const { rowCount } = await database.query(
    `update halt_lifts l set approved_by = $1, approved_at = coalesce(approved_at, clock_timestamp())
      where (l.user_id, l.id) = (
        select w.user_id, w.id from halt_lifts w join users u on u.id = w.user_id
         where w.halt_uid = $2 and w.user_id <> $1
           and w.requested_at > now() - make_interval(mins => $3)
           and u.role in ('operator', 'admin') and u.disabled_at is null
           and not exists (select from halt_lifts a
                            where a.halt_uid = $2 and a.approved_by <> $1 and a.approved_at >= w.requested_at)
         order by w.requested_at desc limit 1)`,
    [userId, haltUid, APPROVAL_MINUTES],
  );
  return rowCount === 1;
}

type Told = Pick<Parameters<typeof recordAudit>[1], "action" | "object" | "details">;

async function note(database: Queryable, actor: Actor, told: Told): Promise<void> {
  await recordAudit(database, { ...entryOf(actor, told), outcome: "attempted" });
}

function entryOf({ userId, address, requestId }: Actor, told: Told) {
  const who = { actorKind: "admin", actorId: userId, address, requestId } as const;
  return { ...told, ...who, outcome: "done" } as const;
}
