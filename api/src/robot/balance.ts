import type { ExchangeAccount, Report } from "@tradingbots/crds";
import { z } from "zod";
import type { Caller } from "../auth/user.ts";
import { findAccount } from "../accounts/accounts.ts";
import { findBot } from "../bots/change-bot.ts";
import type { BotDeps } from "../bots/create-bot.ts";
import { ApiError } from "../errors.ts";
import { findDefaultBotId, latestReport, onlyAccount } from "./default-bot.ts";

export const Balance = z
  .object({
    balance: z.string().describe("Equity of the account."),
    available: z
      .string()
      .nullable()
      .describe("Null when only the key's verification has reported: it does not see it."),
    currency: z.string(),
    as_of: z.string(),
  })
  .meta({
    examples: [
      {
        balance: "10250.75",
        available: "9750.15",
        currency: "USDT",
        as_of: "2026-01-01T12:00:05.000Z",
      },
    ],
  });
export type Balance = z.infer<typeof Balance>;

/** What the bot or the key's verification last reported, whichever is newer. @throws ApiError `balance_pending` */
export async function readBalance(deps: BotDeps, caller: Caller): Promise<Balance> {
  const botId = await findDefaultBotId(deps, caller);
  const account = await accountOf(deps, caller, botId);
  const report = botId === undefined ? undefined : await latestReport(deps, caller, botId);
  const known = [reported(report), verified(account)].filter((balance) => balance !== undefined);
  const [newest] = known.toSorted((a, b) => Date.parse(b.as_of) - Date.parse(a.as_of));
  if (newest === undefined) {
    throw new ApiError("balance_pending", "the exchange has not been asked yet: try again soon", {
      retryAfterSeconds: 5,
    });
  }
  return newest;
}

/** The default bot's account; before there is a bot, the only one. */
async function accountOf(deps: BotDeps, caller: Caller, botId: string | undefined) {
  const bot = botId === undefined ? undefined : await findBot(deps, caller, botId);
  const name = bot?.spec.accountName;
  return name === undefined
    ? onlyAccount(deps, caller)
    : (await findAccount(deps, caller, name)).account;
}

function reported(report: Report | undefined): Balance | undefined {
  if (report === undefined || report.balance === null) return undefined;
  const { equity, available, currency } = report.balance;
  return { balance: equity, available, currency, as_of: report.asOf };
}

function verified({ status }: ExchangeAccount): Balance | undefined {
  const seen = status?.verification;
  if (seen?.balance === undefined) return undefined;
  const { balance, currency = "USDT", asOf } = seen;
  return { balance, available: null, currency, as_of: asOf };
}
