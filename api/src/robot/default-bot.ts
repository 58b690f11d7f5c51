import type { ExchangeAccount, Report } from "@tradingbots/crds";
import { Report as ReportSchema } from "@tradingbots/crds";
import { READS_AT_ONCE } from "../accounts/routes.ts";
import type { Caller } from "../auth/user.ts";
import { type BotDeps, findDefaultBot } from "../bots/create-bot.ts";
import { mapLimited } from "../concurrency.ts";
import { asTenant, atMostOne } from "../database.ts";
import { ApiError } from "../errors.ts";
import { loadOwned, pageOfOwned } from "../owned-objects.ts";

/** Id of the bot behind /api/robot; undefined before the first configuration. */
export async function findDefaultBotId(
  { pool }: Pick<BotDeps, "pool">,
  { userId }: Caller,
): Promise<string | undefined> {
  return asTenant(pool, { userId }, (database) => findDefaultBot(database, userId));
}

/** A user with more accounts than this has several in any case. */
const ACCOUNTS_READ_MAX = 20;

/** The user's only exchange account. @throws ApiError `account_required`, `account_ambiguous` */
export async function onlyAccount(
  { pool, kube }: BotDeps,
  { userId }: Caller,
): Promise<ExchangeAccount> {
  const rows = await asTenant(pool, { userId }, (database) =>
    pageOfOwned(database, "accounts", { userId, after: "", limit: ACCOUNTS_READ_MAX }),
  );
  const live = rows.filter(({ retired_at }) => retired_at === null);
  const source = { pool, table: "accounts", objects: kube.accounts } as const;
  const found = await mapLimited(live, READS_AT_ONCE, (row) => loadOwned(source, userId, row));
  const accounts = found.filter((account) => account !== undefined);
  const [account] = accounts;
  if (account === undefined) {
    throw new ApiError("account_required", "connect your exchange account with POST /api/accounts");
  }
  if (accounts.length > 1) {
    throw new ApiError("account_ambiguous", "the robot serves one account: use /api/bots instead");
  }
  return account;
}

/** What the bot last said about itself; undefined when it has said nothing yet. */
export async function latestReport(
  { pool }: Pick<BotDeps, "pool">,
  { userId }: Caller,
  botId: string,
): Promise<Report | undefined> {
  const { rows } = await asTenant(pool, { userId }, (database) =>
    database.query<{ report: unknown }>(
      "select report from reports where user_id = $1 and bot_id = $2",
      [userId, botId],
    ),
  );
  const row = atMostOne(rows);
  return row === undefined ? undefined : ReportSchema.parse(row.report);
}
