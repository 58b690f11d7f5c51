import { createHash, randomBytes, randomInt, randomUUID } from "node:crypto";
import { bucketNamespace, type Exchange, Risk } from "@tradingbots/crds";
import {
  type AccountDeps,
  createAccount,
  findAccount,
  requireAccountPlace,
} from "../accounts/accounts.ts";
import { recordAudit } from "../audit/record.ts";
import type { Passwords } from "../auth/passwords.ts";
import { insertUser } from "../auth/user-store.ts";
import type { Caller, Tier } from "../auth/user.ts";
import { findBot } from "../bots/change-bot.ts";
import { type BotDeps, createBot, requireBotPlace, requireRoom } from "../bots/create-bot.ts";
import { assertRunnable } from "../bots/runnable.ts";
import { asTenant, atMostOne, type Database, inTransaction } from "../database.ts";
import { ApiError } from "../errors.ts";
import { patchOf, type RobotConfig } from "../robot/config.ts";
import type { OldKey, OldUser } from "./input.ts";

export interface MigrationDeps extends BotDeps, Pick<AccountDeps, "credentials"> {
  readonly authPool: Database;
  readonly passwords: Pick<Passwords, "hash">;
  readonly buckets: number;
  readonly profiles: ReadonlyMap<string, RobotConfig>;
  /** False: everything is looked at and nothing is changed. */
  readonly isApplied: boolean;
}

/** One line of the report. */
export interface Outcome {
  readonly what: string;
  readonly outcome: "created" | "would be created" | "is there" | "refused";
  readonly reason?: string;
}

/** Brings one user of the old robot over. What is there already stays as it is, so that it can be run again and again. */
export async function migrateUser(deps: MigrationDeps, user: OldUser): Promise<readonly Outcome[]> {
  const { outcome, known } = await takeUser(deps, user.email);
  const outcomes: Outcome[] = [{ what: `user ${user.email}`, ...outcome }];
  if (known === undefined) return outcomes;
  const owner = { ...known, planned: { accounts: 0, bots: 0 } };
  for (const key of user.keys) {
    outcomes.push(...(await migrateKey(deps, { user, key, owner })));
  }
  return outcomes;
}

interface KnownUser {
  readonly id: string;
  readonly tier: Tier;
}

interface Owner extends KnownUser {
  /** What a dry run has found good takes its place before the rest is judged. */
  readonly planned: { accounts: number; bots: number };
}

interface TakenUser {
  readonly outcome: Omit<Outcome, "what">;
  /** In a dry run it may have an id that nobody has; undefined: nothing is done for them. */
  readonly known?: KnownUser;
}

async function takeUser(deps: MigrationDeps, email: string): Promise<TakenUser> {
  const known = await findKnown(deps.authPool, email);
  if (known === undefined) return newUser(deps, email);
  // Whoever registered with somebody's address would get their keys.
  const isTheirs = known.is_verified || (await wasMigrated(deps.pool, known.id));
  if (isTheirs) return { outcome: { outcome: "is there" }, known };
  const reason = "somebody registered with this address and has not confirmed it";
  return { outcome: { outcome: "refused", reason } };
}

async function newUser(deps: MigrationDeps, email: string): Promise<TakenUser> {
  const id = randomUUID();
  if (!deps.isApplied) {
    return { outcome: { outcome: "would be created" }, known: { id, tier: "free" } };
  }
  // Nobody knows it: the owner of the address sets one with "forgot password".
  const passwordHash = await deps.passwords.hash(randomBytes(32).toString("base64url"));
  const namespace = bucketNamespace(randomInt(deps.buckets));
  return inTransaction(deps.authPool, async (database) => {
    const user = await insertUser(database, { id, email, passwordHash, namespace });
    if (user === undefined) return { outcome: { outcome: "refused", reason: "just registered" } };
    await recordAudit(database, { ...MIGRATED, userId: id, outcome: "done" });
    return { outcome: { outcome: "created" }, known: user };
  });
}

const MIGRATED = { actorKind: "system", action: "user.migrate" } as const;

async function findKnown(authPool: Database, email: string) {
  const { rows } = await authPool.query<KnownUser & { readonly is_verified: boolean }>(
    "select id, tier, email_verified_at is not null as is_verified from users where email = $1",
    [email],
  );
  return atMostOne(rows);
}

async function wasMigrated(pool: Database, userId: string): Promise<boolean> {
  const { rows } = await asTenant(pool, { userId }, (database) =>
    database.query("select 1 from audit where user_id = $1 and action = $2 limit 1", [
      userId,
      MIGRATED.action,
    ]),
  );
  return rows.length > 0;
}

interface UsersKey {
  readonly user: OldUser;
  readonly key: OldKey;
  readonly owner: Owner;
}

async function migrateKey(
  deps: MigrationDeps,
  { user, key, owner }: UsersKey,
): Promise<readonly Outcome[]> {
  const what = `account ${key.exchange} "${key.name}" of ${user.email}`;
  const caller = { userId: owner.id, email: user.email, tier: owner.tier, sessionId: "" };
  const accountId = idOf("acct", owner.id, key);
  const account = await attempt(
    deps,
    { caller, table: "accounts", id: accountId },
    {
      find: () => findAccount(deps, caller, accountId),
      judge: () => judgeAccount(deps, owner, { id: accountId, exchange: key.exchange }),
      create: () => createAccount(deps, caller, accountOf(accountId, key)),
    },
  );
  const outcomes: Outcome[] = [{ what, ...account }];
  const config = key.profile === undefined ? undefined : deps.profiles.get(key.profile);
  if (config === undefined || account.outcome === "refused") return outcomes;
  const bot = botOf({ user, key, owner }, config);
  const made = await attempt(
    deps,
    { caller, table: "bots", id: bot.id },
    {
      find: () => findBot(deps, caller, bot.id),
      judge: () => judgeBot(deps, owner, { exchange: key.exchange, wanted: bot }),
      create: () => createBot(deps, caller, bot),
    },
  );
  return [...outcomes, { what: `robot "${key.profile}" on ${what}`, ...made }];
}

/** @throws ApiError for what cannot be traded at, and above the limit */
async function judgeAccount(
  { pool, isApplied }: MigrationDeps,
  { id: userId, planned }: Owner,
  { id, exchange }: { readonly id: string; readonly exchange: Exchange },
): Promise<void> {
  assertRunnable(exchange);
  const earlier = await asTenant(pool, { userId }, (database) =>
    requireAccountPlace(database, { userId, id }, planned.accounts),
  );
  if (!isApplied && earlier !== "counted") planned.accounts++;
}

interface Robot {
  readonly exchange: Exchange;
  readonly wanted: ReturnType<typeof botOf>;
}

/** @throws ApiError for what the class of the tier does not allow */
async function judgeBot(
  { pool, kube, isApplied }: MigrationDeps,
  owner: Owner,
  { exchange, wanted }: Robot,
): Promise<void> {
  const { spec } = await requireRoom(kube, owner.tier, { ...wanted, exchange });
  const place = { user: owner, wanted, botsMax: spec.ceilings.botsPerUser };
  const { planned } = owner;
  const earlier = await asTenant(pool, { userId: owner.id }, (database) =>
    requireBotPlace(database, place, planned.bots),
  );
  if (!isApplied && earlier !== "counted") planned.bots++;
}

interface Thing {
  readonly caller: Caller;
  readonly table: "accounts" | "bots";
  readonly id: string;
}

interface Ways {
  /** @throws ApiError `not_found` */
  readonly find: () => Promise<unknown>;
  /** @throws ApiError for what would be refused */
  readonly judge: () => Promise<void>;
  /** Takes up what an earlier attempt left. */
  readonly create: () => Promise<unknown>;
}

/** Creates what is not there, or only half; what the platform refuses is told with its sentence. */
async function attempt(
  { pool, isApplied }: MigrationDeps,
  { caller: { userId }, table, id }: Thing,
  { find, judge, create }: Ways,
): Promise<Omit<Outcome, "what">> {
  if (await exists(find)) return { outcome: "is there" };
  const judgement = await judged(judge);
  if (!isApplied || judgement.outcome === "refused") return judgement;
  try {
    await asTenant(pool, { userId }, (database) =>
      recordAudit(database, {
        actorKind: "system",
        userId,
        action: `${table}.migrate`,
        object: id,
        outcome: "attempted",
      }),
    );
    await create();
    return { outcome: "created" };
  } catch (error) {
    return refusal(error);
  }
}

/** What a dry run says. */
async function judged(judge: () => Promise<void>): Promise<Omit<Outcome, "what">> {
  return judge().then(() => ({ outcome: "would be created" }), refusal);
}

/** @throws whatever is no refusal */
function refusal(error: unknown): Omit<Outcome, "what"> {
  if (!(error instanceof ApiError) || error.status >= 500) throw error;
  return { outcome: "refused", reason: error.message };
}

async function exists(find: () => Promise<unknown>): Promise<boolean> {
  try {
    await find();
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.code === "not_found") return false;
    throw error;
  }
}

/** The same key of the same user has the same id each time, and it tells nothing of either. */
function idOf(prefix: "acct" | "bot", userId: string, { exchange, name, testnet }: OldKey): string {
  const text = JSON.stringify([prefix, userId, exchange, name, testnet]);
  return `${prefix}-${createHash("sha256").update(text).digest("hex").slice(0, 20)}`;
}

function accountOf(id: string, { exchange, name, testnet, ...key }: OldKey) {
  const { api_key: apiKey, api_secret: apiSecret, passphrase } = key;
  const credentials = { apiKey, apiSecret, ...(passphrase === undefined ? {} : { passphrase }) };
  return { id, exchange, name, testnet, credentials };
}

/** Stopped: nobody's money moves because a file was read. */
function botOf({ user, key, owner }: UsersKey, config: RobotConfig) {
  const { risk, ...settings } = patchOf(config);
  return {
    ...settings,
    id: idOf("bot", owner.id, key),
    displayName: key.name,
    accountId: idOf("acct", owner.id, key),
    mode: key.testnet ? "testnet" : "live",
    timeframe: "1m",
    strategy: { name: "rsi", params: {} },
    risk: Risk.parse(risk),
    state: "Stopped",
    // The old interface serves one account.
    isDefault: user.keys.length === 1,
  } as const;
}
