import {
  API_VERSION,
  type BotClass,
  type Exchange,
  type ExchangeAccount,
  LABELS,
  type TradingBot,
} from "@tradingbots/crds";
import { findAccount } from "../accounts/accounts.ts";
import { assertConfirmed } from "../auth/confirmed-address.ts";
import type { RequireStepUp } from "../auth/step-up.ts";
import type { Caller, Tier } from "../auth/user.ts";
import { findUser, lockUser, type UserRow } from "../auth/user-store.ts";
import { asTenant, atMostOne, type Queryable, type Database } from "../database.ts";
import { ApiError, invalidField } from "../errors.ts";
import type { Kube } from "../kube.ts";
import type { Mailer } from "../mail/mailer.ts";
import {
  type Attempt,
  countLive,
  createOwned,
  earlierAttempt,
  findOwned,
} from "../owned-objects.ts";
import { ceilingCrossed, type Limited } from "./ceilings.ts";
import { needsStepUp } from "./exposure.ts";
import { assertRunnable } from "./runnable.ts";
import type { NewBot } from "./settings.ts";

export interface BotDeps {
  readonly pool: Database;
  readonly kube: Kube;
  readonly requireStepUp: RequireStepUp;
  /** Undefined when mails cannot be sent here. */
  readonly mailer: Mailer | undefined;
}

export interface WantedBot extends NewBot {
  /** New, or of an earlier attempt of the same request: then what that one made is taken up. */
  readonly id: string;
  /** The bot behind /api/robot. */
  readonly isDefault?: boolean;
}

/** Creates a bot within the limits of the caller's class: the row counts it, the custom resource is it. */
export async function createBot(
  deps: BotDeps,
  caller: Caller,
  wanted: WantedBot,
): Promise<TradingBot> {
  const { userId } = caller;
  const user = await requireUser(deps, userId);
  if (wanted.state === "Running") assertConfirmed(deps, user);
  const exchange = await exchangeOf(deps, caller, wanted);
  const botClass = await requireRoom(deps.kube, user.tier, { ...wanted, exchange });
  if (needsStepUp({ wanted })) await deps.requireStepUp(caller);

  await asTenant(deps.pool, { userId }, (database) =>
    reserve(database, { user, wanted, botsMax: botClass.spec.ceilings.botsPerUser }),
  );
  const source = { pool: deps.pool, table: "bots", objects: deps.kube.bots } as const;
  const owned = { userId, id: wanted.id, namespace: user.namespace };
  return createOwned(source, owned, () =>
    deps.kube.bots.create(botObject({ user, exchange, wanted })),
  );
}

/**
 * The class of a tier, after it has judged a bot.
 * @throws ApiError `exchange_unsupported`, `symbol_unsupported`, or what the class does not allow
 */
export async function requireRoom(
  kube: Pick<Kube, "findClass">,
  tier: Tier,
  wanted: Limited & Pick<NewBot, "symbols">,
): Promise<BotClass> {
  const botClass = await requireClass(kube, tier);
  assertRunnable(wanted.exchange, wanted.symbols);
  const { ceilings } = botClass.spec;
  const crossed = ceilingCrossed({ wanted, className: tier, ceilings });
  if (crossed !== undefined) throw crossed;
  return botClass;
}

/** The user's row as it is now. */
export async function requireUser(
  { pool }: Pick<BotDeps, "pool">,
  userId: string,
): Promise<UserRow> {
  const user = await asTenant(pool, { userId }, (database) => findUser(database, userId));
  if (user === undefined) throw new ApiError("unauthenticated", "the user is gone");
  return user;
}

/** @throws ApiError `class_unavailable` when nobody has set the class up */
export async function requireClass(kube: Pick<Kube, "findClass">, name: string): Promise<BotClass> {
  const found = await kube.findClass(name);
  if (found === undefined) {
    throw new ApiError("class_unavailable", `BotClass ${name} does not exist in this cluster`);
  }
  return found;
}

async function exchangeOf(deps: BotDeps, caller: Caller, wanted: NewBot): Promise<Exchange> {
  if (wanted.accountId === undefined) {
    if (wanted.mode !== "paper") {
      throw invalidField("accountId", `a ${wanted.mode} bot needs an exchange account`);
    }
    if (wanted.exchange === undefined) throw invalidField("exchange", "a paper bot needs one");
    return wanted.exchange;
  }
  const account = await requireAccount(deps, caller, wanted.accountId);
  assertModeFits(account, wanted.mode);
  const { exchange } = account.spec;
  if (wanted.exchange !== undefined && wanted.exchange !== exchange) {
    throw new ApiError("exchange_mismatch", `account ${wanted.accountId} is at ${exchange}`);
  }
  return exchange;
}

/** The caller's account, fit for use. @throws ApiError `account_not_found`, also when it is another user's */
export async function requireAccount(
  deps: BotDeps,
  caller: Caller,
  id: string,
): Promise<ExchangeAccount> {
  try {
    const { row, account } = await findAccount(deps, caller, id);
    if (row.retired_at === null && account.spec.state === "Active") return account;
  } catch (error) {
    if (!(error instanceof ApiError && error.code === "not_found")) throw error;
  }
  throw new ApiError("account_not_found", `there is no account ${id}`);
}

/** @throws ApiError `mode_mismatch` */
export function assertModeFits({ spec }: ExchangeAccount, mode: TradingBot["spec"]["mode"]): void {
  const fitting = spec.testnet ? "testnet" : "live";
  if (mode === fitting) return;
  throw new ApiError("mode_mismatch", `a bot on account "${spec.name}" has mode ${fitting}`);
}

interface Reservation {
  readonly user: UserRow;
  readonly wanted: WantedBot;
  readonly botsMax: number;
}

interface Place {
  readonly user: Pick<UserRow, "id" | "tier">;
  readonly wanted: Pick<WantedBot, "id" | "isDefault">;
  readonly botsMax: number;
}

/**
 * Whether the user may have this bot beside the others, of which `planned` have no row yet. Answers what an earlier attempt left.
 * @throws ApiError `bots_above_class`, `config_in_progress`, or `not_found` when the user has given it up
 */
export async function requireBotPlace(
  database: Queryable,
  { user, wanted: { id, isDefault = false }, botsMax }: Place,
  planned = 0,
): Promise<Attempt> {
  const earlier = await earlierAttempt(database, "bots", { userId: user.id, id });
  if (earlier !== "counted" && (await countLive(database, "bots", user.id)) + planned >= botsMax) {
    throw new ApiError("bots_above_class", `class ${user.tier} allows ${botsMax} bots`);
  }
  const known = isDefault ? await findDefaultBot(database, user.id) : undefined;
  if (known !== undefined && known !== id) {
    throw new ApiError("config_in_progress", "another request has just made it: repeat", {
      retryAfterSeconds: 1,
    });
  }
  return earlier;
}

/** Counts and adds in one step per user. */
async function reserve(database: Queryable, { user, wanted, botsMax }: Reservation) {
  const { id, accountId, isDefault = false } = wanted;
  await lockUser(database, user.id);
  await requireBotPlace(database, { user, wanted, botsMax });
  if (accountId !== undefined) {
    const account = await findOwned(database, "accounts", { userId: user.id, id: accountId });
    if (account === undefined || account.retired_at !== null) {
      throw new ApiError("account_not_found", `there is no account ${accountId}`);
    }
  }
  await database.query(
    `insert into bots (user_id, id, namespace, account_id, is_default) values ($1, $2, $3, $4, $5)
     on conflict (user_id, id) do update set created_at = now(), gone_at = null`,
    [user.id, id, user.namespace, accountId ?? null, isDefault],
  );
}

/** Id of the bot behind /api/robot. */
export async function findDefaultBot(
  database: Queryable,
  userId: string,
): Promise<string | undefined> {
  const { rows } = await database.query<{ id: string }>(
    `select id from bots
      where user_id = $1 and is_default and retired_at is null and gone_at is null`,
    [userId],
  );
  return atMostOne(rows)?.id;
}

interface BotObject {
  readonly user: UserRow;
  readonly exchange: Exchange;
  readonly wanted: WantedBot;
}

function botObject({ user, exchange, wanted }: BotObject) {
  const { id, accountId, isDefault: _, ...settings } = wanted;
  const account = accountId === undefined ? {} : { [LABELS.account]: accountId };
  return {
    apiVersion: API_VERSION,
    kind: "TradingBot",
    metadata: {
      name: id,
      namespace: user.namespace,
      labels: { [LABELS.user]: user.id, [LABELS.bot]: id, ...account },
    },
    spec: {
      ...settings,
      userId: user.id,
      exchange,
      ...(accountId === undefined ? {} : { accountName: accountId }),
      className: user.tier,
    },
  };
}
