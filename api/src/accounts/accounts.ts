import {
  API_VERSION,
  credentialsPath,
  type Credentials,
  type Exchange,
  type ExchangeAccount,
  LABELS,
} from "@tradingbots/crds";
import type { Caller } from "../auth/user.ts";
import { findUser, lockUser } from "../auth/user-store.ts";
import { asTenant, type Database, type Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";
import type { Kube } from "../kube.ts";
import {
  type Attempt,
  countLive,
  createOwned,
  earlierAttempt,
  findOwned,
  loadOwned,
  markAccountMade,
  markRetired,
  type OwnedRow,
} from "../owned-objects.ts";
import { toApiError } from "../problem.ts";
import type { CredentialStore } from "./credential-store.ts";

/** Far above what one person has; it bounds what a script can make the operator verify. */
const ACCOUNTS_PER_USER_MAX = 20;

export interface AccountDeps {
  readonly pool: Database;
  readonly kube: Pick<Kube, "accounts" | "bots">;
  readonly credentials: CredentialStore;
}

export interface NewAccount {
  /** New, or of an earlier attempt of the same request: then what that one made is taken up. */
  readonly id: string;
  readonly exchange: Exchange;
  readonly name: string;
  readonly testnet: boolean;
  readonly credentials: Credentials;
}

/**
 * Connects an exchange account: row, then key in Vault, then custom resource, so that whatever exists can be found
 * from the row, and the operator never sees an account without a key.
 */
export async function createAccount(
  deps: AccountDeps,
  { userId }: Caller,
  account: NewAccount,
): Promise<ExchangeAccount> {
  const { id } = account;
  // Before there is a row: once Vault was asked to keep a key, the row counts until it is certain what lies there.
  const obstacle = await deps.credentials.ping().then(() => undefined, toApiError);
  const { namespace, isRepeated } = await asTenant(deps.pool, { userId }, (database) =>
    reserve(database, { userId, id, obstacle }),
  );
  const source = { pool: deps.pool, table: "accounts", objects: deps.kube.accounts } as const;
  return createOwned(source, { userId, id, namespace }, async () => {
    if (isRepeated) {
      // Before Vault: the account may have had a newer key since, and keeps it.
      const existing = await deps.kube.accounts.get({ namespace, name: id });
      if (existing?.spec.userId === userId) return existing;
    }
    const path = credentialsPath(namespace, id);
    const replaced = isRepeated
      ? await deps.credentials.replace(path, account.credentials)
      : undefined;
    const credentialsVersion =
      replaced ?? (await deps.credentials.create(path, account.credentials));
    const { exchange, name, testnet } = account;
    return deps.kube.accounts.create({
      apiVersion: API_VERSION,
      kind: "ExchangeAccount",
      metadata: { name: id, namespace, labels: { [LABELS.user]: userId, [LABELS.account]: id } },
      spec: { userId, exchange, name, testnet, credentialsVersion, state: "Active" },
    });
  });
}

interface Reservation {
  readonly userId: string;
  readonly id: string;
  /** Why no key can be kept now. What an earlier attempt has made may need none. */
  readonly obstacle: ApiError | undefined;
}

/** Counts and adds in one step per user. */
async function reserve(
  database: Queryable,
  { userId, id, obstacle }: Reservation,
): Promise<{ readonly namespace: string; readonly isRepeated: boolean }> {
  await lockUser(database, userId);
  const user = await findUser(database, userId);
  if (user === undefined) throw new ApiError("unauthenticated", "the user is gone");
  const earlier = await requireAccountPlace(database, { userId, id });
  if (earlier !== "counted" && obstacle !== undefined) throw obstacle;
  await database.query(
    `insert into accounts (user_id, id, namespace) values ($1, $2, $3)
     on conflict (user_id, id) do update set created_at = now(), gone_at = null`,
    [userId, id, user.namespace],
  );
  return { namespace: user.namespace, isRepeated: earlier !== "none" };
}

/**
 * Whether the user may have this account beside the others, of which `planned` have no row yet. Answers what an earlier attempt left.
 * @throws ApiError `too_many_accounts`, or `not_found` when the user has given it up
 */
export async function requireAccountPlace(
  database: Queryable,
  { userId, id }: { readonly userId: string; readonly id: string },
  planned = 0,
): Promise<Attempt> {
  const earlier = await earlierAttempt(database, "accounts", { userId, id });
  const max = ACCOUNTS_PER_USER_MAX;
  if (earlier !== "counted" && (await countLive(database, "accounts", userId)) + planned >= max) {
    throw new ApiError("too_many_accounts", `at most ${max}: delete one first`);
  }
  return earlier;
}

/** The account and its row. @throws ApiError `not_found`, also when it is another user's */
export async function findAccount(
  deps: Pick<AccountDeps, "pool"> & { readonly kube: Pick<Kube, "accounts"> },
  { userId }: Pick<Caller, "userId">,
  id: string,
): Promise<{ readonly row: OwnedRow; readonly account: ExchangeAccount }> {
  const row = await asTenant(deps.pool, { userId }, (database) =>
    findOwned(database, "accounts", { userId, id }),
  );
  const source = { pool: deps.pool, table: "accounts", objects: deps.kube.accounts } as const;
  const account = row === undefined ? undefined : await loadOwned(source, userId, row);
  if (row === undefined || account === undefined) {
    throw new ApiError("not_found", `there is no account ${id}`);
  }
  return { row, account };
}

/** Stores a new key. The account then names its version; running bots take it up from there. */
export async function replaceCredentials(
  deps: AccountDeps,
  caller: Caller,
  { id, credentials }: { readonly id: string; readonly credentials: Credentials },
): Promise<ExchangeAccount> {
  const { namespace } = await requireUnretired(deps, caller, id);
  const credentialsVersion =
    (await deps.credentials.replace(credentialsPath(namespace, id), credentials)) ??
    (await storeLostKey(deps, caller, { id, credentials }));
  const key = { namespace, name: id };
  try {
    return await deps.kube.accounts.patch(key, { spec: { credentialsVersion } });
  } catch (error) {
    // Another replacement overtook this one: versions only grow, and the newest key counts.
    const current = await deps.kube.accounts.get(key);
    if (current !== undefined && current.spec.credentialsVersion > credentialsVersion)
      return current;
    throw error;
  }
}

/**
 * Stores a key where there is none. The key goes when its account has ended, so the account is judged once more: one that still stands has
 * lost its key (Vault is another one, or was restored from a backup).
 */
async function storeLostKey(
  deps: AccountDeps,
  caller: Caller,
  { id, credentials }: { readonly id: string; readonly credentials: Credentials },
): Promise<number> {
  const { namespace } = await requireUnretired(deps, caller, id);
  return deps.credentials.create(credentialsPath(namespace, id), credentials);
}

async function requireUnretired(deps: AccountDeps, caller: Caller, id: string): Promise<OwnedRow> {
  const { row, account } = await findAccount(deps, caller, id);
  if (row.retired_at !== null || account.spec.state === "Retired") {
    throw new ApiError("not_found", `account ${id} is retired`);
  }
  return row;
}

/** Retires the bots of the account, then the account. From the first moment no further bot can join it. */
export async function retireAccount(deps: AccountDeps, caller: Caller, id: string): Promise<void> {
  const { userId } = caller;
  const { row } = await findAccount(deps, caller, id);
  const bots = await asTenant(deps.pool, { userId }, async (database) => {
    await lockUser(database, userId);
    await markAccountMade(database, { userId, id }); // findAccount has seen it
    await markRetired(database, "accounts", { userId, id });
    const { rows } = await database.query<{ id: string; namespace: string }>(
      `select id, namespace from bots
        where user_id = $1 and account_id = $2 and gone_at is null order by id`,
      [userId, id],
    );
    return rows;
  });
  for (const bot of bots) await retireBot(deps, userId, bot);
  await deps.kube.accounts.patch(
    { namespace: row.namespace, name: id },
    { spec: { state: "Retired" } },
  );
}

async function retireBot(
  deps: Pick<AccountDeps, "pool" | "kube">,
  userId: string,
  { id, namespace }: { readonly id: string; readonly namespace: string },
): Promise<void> {
  const key = { namespace, name: id };
  if ((await deps.kube.bots.get(key)) !== undefined) {
    await deps.kube.bots.patch(key, { spec: { state: "Retired" } });
  }
  await asTenant(deps.pool, { userId }, (database) =>
    markRetired(database, "bots", { userId, id }),
  );
}
