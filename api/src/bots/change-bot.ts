import { LABELS, type TradingBot } from "@tradingbots/crds";
import { assertConfirmed } from "../auth/confirmed-address.ts";
import type { Caller } from "../auth/user.ts";
import { lockUser } from "../auth/user-store.ts";
import { asTenant, atMostOne } from "../database.ts";
import { ApiError, invalidField } from "../errors.ts";
import { mergePatch } from "../merge-patch.ts";
import { findOwned, loadOwned, markRetired } from "../owned-objects.ts";
import { ceilingCrossed } from "./ceilings.ts";
import {
  assertModeFits,
  type BotDeps,
  requireAccount,
  requireClass,
  requireUser,
} from "./create-bot.ts";
import { needsStepUp } from "./exposure.ts";
import { assertRunnable } from "./runnable.ts";
import { type BotPatch, BotSettings } from "./settings.ts";
import { etagOf, matchesEtag } from "./view.ts";

/** The operator's status writes move the resource version; more than a few in a row do not happen by themselves. */
const ATTEMPTS_MAX = 5;

/** @throws ApiError `not_found`, also when the bot is another user's */
export async function findBot(
  { pool, kube }: Pick<BotDeps, "pool" | "kube">,
  { userId }: Pick<Caller, "userId">,
  id: string,
): Promise<TradingBot> {
  const row = await asTenant(pool, { userId }, (database) =>
    findOwned(database, "bots", { userId, id }),
  );
  const source = { pool, table: "bots", objects: kube.bots } as const;
  const bot = row === undefined ? undefined : await loadOwned(source, userId, row);
  if (bot === undefined) throw new ApiError("not_found", `there is no bot ${id}`);
  return bot;
}

interface Change {
  readonly id: string;
  readonly patch: BotPatch;
  readonly ifMatch?: string | undefined;
}

/**
 * Applies a merge patch. It is judged on what the bot would become, and written only onto what was judged.
 * @throws ApiError `changed_meanwhile` when `ifMatch` names another generation; `account_not_found`, also when the account was given up while
 *   the bot joined it: then the bot is retired like the account's others
 */
export async function patchBot(
  deps: BotDeps,
  caller: Caller,
  { id, patch, ifMatch }: Change,
): Promise<TradingBot> {
  for (let attempt = 1; ; attempt++) {
    const bot = await findBot(deps, caller, id);
    if (ifMatch !== undefined && !matchesEtag(ifMatch, etagOf(bot))) {
      throw new ApiError(
        "changed_meanwhile",
        "the bot has changed since you read it: read it again",
      );
    }
    await assertAllowed(deps, caller, { bot, patch });
    try {
      const changed = await deps.kube.bots.patch(keyOf(bot), resourcePatch(bot, patch));
      const isLate = await noteAccount(deps, caller, changed);
      if (!isLate) return changed;
    } catch (error) {
      const isStale = error instanceof ApiError && error.code === "changed_meanwhile";
      if (!isStale || attempt === ATTEMPTS_MAX) throw error;
      continue;
    }
    // Whoever gave the account up did not see this bot among its bots, and cannot have retired it.
    await retireBot(deps, caller, id);
    throw new ApiError("account_not_found", "the account was given up, and the bot with it");
  }
}

async function assertAllowed(
  deps: BotDeps,
  caller: Caller,
  { bot, patch }: { readonly bot: TradingBot; readonly patch: BotPatch },
): Promise<void> {
  const { accountId, ...settingsPatch } = patch;
  const { spec } = bot;
  const wanted = parseSettings(mergePatch(settingsOf(spec), settingsPatch));
  // What it has had so far stands: its owner can still stop it, or change all else.
  if (settingsPatch.symbols !== undefined) assertRunnable(spec.exchange, wanted.symbols);
  const accountName = accountId ?? spec.accountName;
  const isBound = accountName !== undefined && wanted.mode !== "paper";
  if (isBound && (accountId !== undefined || wanted.mode !== spec.mode)) {
    const account = await requireAccount(deps, caller, accountName);
    assertModeFits(account, wanted.mode);
    if (account.spec.exchange !== spec.exchange) {
      throw new ApiError("exchange_mismatch", `the bot is at ${spec.exchange}`);
    }
  }
  const { ceilings } = (await requireClass(deps.kube, spec.className)).spec;
  const crossed = ceilingCrossed({
    wanted: { ...wanted, exchange: spec.exchange },
    before: spec,
    className: spec.className,
    ceilings,
  });
  if (crossed !== undefined) throw crossed;
  if (needsStepUp({ wanted, before: spec })) await deps.requireStepUp(caller);
}

function settingsOf(spec: TradingBot["spec"]): Record<keyof BotSettings, unknown> {
  const { displayName, mode, symbols, timeframe, strategy, risk, autoTrade } = spec;
  return { displayName, mode, symbols, timeframe, strategy, risk, autoTrade };
}

function parseSettings(merged: unknown): BotSettings {
  const parsed = BotSettings.safeParse(merged);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalidField(issue?.path.join(".") ?? "body", issue?.message ?? "is invalid");
}

function resourcePatch({ metadata }: TradingBot, { accountId, ...settings }: BotPatch): object {
  const account = accountId === undefined ? undefined : { [LABELS.account]: accountId };
  return {
    metadata: {
      resourceVersion: metadata.resourceVersion,
      ...(account === undefined ? {} : { labels: account }),
    },
    spec: { ...settings, ...(accountId === undefined ? {} : { accountName: accountId }) },
  };
}

/**
 * The row follows the custom resource: it finds an account's bots and lets the journal check a pod's account. Answers whether the account was
 * given up before the row named it.
 */
async function noteAccount(
  { pool }: BotDeps,
  { userId }: Caller,
  bot: TradingBot,
): Promise<boolean> {
  const accountId = bot.spec.accountName;
  if (accountId === undefined) return false;
  return asTenant(pool, { userId }, async (database) => {
    await lockUser(database, userId);
    const { rows } = await database.query<{ is_late: boolean | null }>(
      `update bots set account_id = $3 where user_id = $1 and id = $2 and account_id is null
       returning (select retired_at is not null from accounts where user_id = $1 and id = $3) as is_late`,
      [userId, bot.metadata.name, accountId],
    );
    return atMostOne(rows)?.is_late === true;
  });
}

/** start, pause, stop: what the operator then brings about. Whoever starts a bot takes it into the class of their tier. */
export async function setState(
  deps: BotDeps,
  caller: Caller,
  { id, state }: { readonly id: string; readonly state: "Running" | "Paused" | "Stopped" },
): Promise<TradingBot> {
  const bot = await findBot(deps, caller, id);
  if (bot.spec.state === state) return bot;
  const className = state === "Running" ? await classToRunIn(deps, caller) : {};
  return deps.kube.bots.patch(keyOf(bot), { spec: { state, ...className } });
}

/** By the row: what the token says of the tier may be half a second old, and nothing would judge the class again. */
async function classToRunIn(deps: BotDeps, { userId }: Caller): Promise<{ className: string }> {
  const user = await requireUser(deps, userId);
  assertConfirmed(deps, user);
  return { className: user.tier };
}

/** Closes the bot's positions through the bot, then the object goes. It counts against no limit from now on. */
export async function retireBot(deps: BotDeps, caller: Caller, id: string): Promise<TradingBot> {
  const { userId } = caller;
  const bot = await findBot(deps, caller, id);
  const retired = await deps.kube.bots.patch(keyOf(bot), { spec: { state: "Retired" } });
  await asTenant(deps.pool, { userId }, (database) =>
    markRetired(database, "bots", { userId, id }),
  );
  return retired;
}

function keyOf({ metadata }: TradingBot) {
  return { namespace: metadata.namespace, name: metadata.name };
}
