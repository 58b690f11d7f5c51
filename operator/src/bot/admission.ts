import { isStrategyName, STRATEGIES } from "@tradingbots/crds";
import { z } from "zod";
import { currentVerification } from "../account/account-view.ts";
import { ACCOUNT_CHANGED } from "../account/verification.ts";
import { conditionOf } from "../conditions.ts";
import type { BotFacts } from "./facts.ts";

/** Why a bot may not trade. */
export interface Denial {
  readonly reason: string;
  readonly message: string;
  /** No pod can or may exist at all, not even one that closes a position. */
  readonly forbidsPod: boolean;
  /** A pod that runs already is told to open nothing more. */
  readonly pausesPod: boolean;
}

export type AdmissionFacts = Pick<
  BotFacts,
  "bot" | "account" | "botClass" | "formerClass" | "symbolHolder" | "olderBotsOfUser"
>;

/** A denial, or undefined where the check finds nothing wrong. */
type Check = (facts: AdmissionFacts) => Denial | undefined;

/**
 * The first denial is told, and says whether there may be a pod; any may pause one. Stops, pauses and ends ask only whether it
 * `forbidsPod`: a ceiling never blocks a stop.
 */
export function admit(facts: AdmissionFacts): Denial | undefined {
  const denials = CHECKS.map((check) => check(facts)).filter((denial) => denial !== undefined);
  const [first] = denials;
  return first && { ...first, pausesPod: denials.some(({ pausesPod }) => pausesPod) };
}

const classExists: Check = ({ bot, botClass }) =>
  botClass === undefined
    ? impossible("ClassNotFound", `There is no BotClass ${bot.spec.className}.`)
    : undefined;

/** The cluster admits pods of the release's classes alone: only of those it is certain that somebody judges the image. */
const classIsOfRelease: Check = ({ bot, formerClass }) =>
  formerClass === undefined
    ? undefined
    : forbidden(
        "ClassNotInRelease",
        `The release has no class ${bot.spec.className} (the chart's values.classes): nothing is opened, open positions run to their exit. Give the bot another class, or the class back to the release.`,
      );

const modeWithinClass: Check = ({ bot, botClass }) => {
  const modes = botClass?.spec.ceilings.modes ?? [];
  return modes.includes(bot.spec.mode)
    ? undefined
    : aboveClass("ModeNotAllowed", bot, `mode ${bot.spec.mode} (allowed: ${modes.join(", ")})`);
};

const exchangeWithinClass: Check = ({ bot, botClass }) => {
  const exchanges = botClass?.spec.ceilings.exchanges ?? [];
  return exchanges.includes(bot.spec.exchange)
    ? undefined
    : aboveClass(
        "ExchangeNotAllowed",
        bot,
        `exchange ${bot.spec.exchange} (allowed: ${exchanges.join(", ")})`,
      );
};

const leverageWithinClass: Check = ({ bot, botClass }) =>
  exceeds(bot.spec.risk.leverage, botClass?.spec.ceilings.leverage)
    ? aboveClass(
        "LeverageAboveClass",
        bot,
        `leverage ${bot.spec.risk.leverage} (at most ${botClass?.spec.ceilings.leverage})`,
      )
    : undefined;

const positionWithinClass: Check = ({ bot, botClass }) =>
  exceeds(bot.spec.risk.positionPercent, botClass?.spec.ceilings.positionPercent)
    ? aboveClass(
        "PositionAboveClass",
        bot,
        `positionPercent ${bot.spec.risk.positionPercent} (at most ${botClass?.spec.ceilings.positionPercent})`,
      )
    : undefined;

const lossWithinClass: Check = ({ bot, botClass }) =>
  exceeds(bot.spec.risk.dailyLossPercent, botClass?.spec.ceilings.dailyLossPercent)
    ? aboveClass(
        "DailyLossAboveClass",
        bot,
        `dailyLossPercent ${bot.spec.risk.dailyLossPercent} (at most ${botClass?.spec.ceilings.dailyLossPercent})`,
      )
    : undefined;

const botsWithinClass: Check = ({ bot, botClass, olderBotsOfUser }) => {
  const limit = botClass?.spec.ceilings.botsPerUser ?? 0;
  return olderBotsOfUser < limit
    ? undefined
    : aboveClass(
        "TooManyBots",
        bot,
        `more than ${limit} bots of one user, those that are ending included`,
      );
};

const accountExists: Check = ({ bot, account }) =>
  bot.accountKey !== undefined && account === undefined
    ? impossible("AccountNotFound", `There is no ExchangeAccount ${bot.spec.accountName}.`)
    : undefined;

const accountIsOwn: Check = ({ bot, account }) =>
  account !== undefined && account.spec.userId !== bot.spec.userId
    ? impossible("UserMismatch", "The exchange account belongs to another user.")
    : undefined;

const accountFits: Check = ({ bot, account }) => {
  if (account === undefined) return undefined;
  const { exchange, testnet } = account.spec;
  const accountMode = testnet ? "testnet" : "live";
  if (exchange === bot.spec.exchange && accountMode === bot.spec.mode) return undefined;
  return impossible(
    "AccountMismatch",
    `The bot trades ${bot.spec.mode} on ${bot.spec.exchange}, its account is ${accountMode} on ${exchange}.`,
  );
};

const accountIsActive: Check = ({ account }) =>
  account?.isRetired === true
    ? forbidden("AccountRetired", "The exchange account is retired; its bots end with it.")
    : undefined;

const credentialsExist: Check = ({ account }) => {
  if (account === undefined || currentVerification(account) !== undefined) return undefined;
  const credentials = conditionOf(account.status.conditions, "CredentialsReady");
  if (credentials?.status !== "False") return undefined;
  return withoutNewPod("CredentialsMissing", credentials.message);
};

const credentialsAccepted: Check = ({ account }) => {
  const verification = account && currentVerification(account);
  if (verification?.state !== "refused") return undefined;
  // A pod made now would look for the bot's positions on the other account.
  if (verification.reason === ACCOUNT_CHANGED) {
    return withoutNewPod(ACCOUNT_CHANGED, verification.message);
  }
  return notYet("CredentialsRefused", `The exchange key is refused: ${verification.message}`);
};

const accountConnectedOnce: Check = ({ account }) => {
  const ready = conditionOf(account?.status.conditions, "Ready");
  return ready?.status === "False" && ready.reason === "AccountAlreadyConnected"
    ? forbidden("AccountAlreadyConnected", ready.message)
    : undefined;
};

/** Until it is checked, nobody knows whose key it is: not even a pod that closes positions may take it. */
const credentialsVerified: Check = ({ account }) =>
  account === undefined || currentVerification(account)?.state === "verified"
    ? undefined
    : withoutNewPod(
        "CredentialsUnverified",
        "The exchange key is being checked; the bot starts then.",
      );

const symbolIsFree: Check = ({ symbolHolder }) =>
  symbolHolder === undefined
    ? undefined
    : forbidden(
        "SymbolTaken",
        `${symbolHolder.symbol} is traded on this account by the bot ${symbolHolder.name} already.`,
      );

const strategyIsValid: Check = ({ bot }) => {
  const { name, params } = bot.spec.strategy;
  if (!isStrategyName(name)) {
    const known = Object.keys(STRATEGIES).join(", ");
    return forbidden("StrategyInvalid", `There is no strategy ${name}; there are: ${known}.`);
  }
  const parsed = STRATEGIES[name].safeParse(params);
  if (parsed.success) return undefined;
  const faults = z.prettifyError(parsed.error).replaceAll(/\s*\n\s*/g, " ");
  return forbidden("StrategyInvalid", `Parameters of ${name}: ${faults}`);
};

/** What forbids any pod, and the key, come before what the class allows: a pod that closes takes no unchecked key either. */
const CHECKS: readonly Check[] = [
  classExists,
  accountExists,
  accountIsOwn,
  accountFits,
  accountIsActive,
  credentialsExist,
  credentialsAccepted,
  accountConnectedOnce,
  credentialsVerified,
  classIsOfRelease,
  modeWithinClass,
  exchangeWithinClass,
  leverageWithinClass,
  positionWithinClass,
  lossWithinClass,
  botsWithinClass,
  symbolIsFree,
  strategyIsValid,
];

function impossible(reason: string, message: string): Denial {
  return { reason, message, forbidsPod: true, pausesPod: true };
}

function forbidden(reason: string, message: string): Denial {
  return { reason, message, forbidsPod: false, pausesPod: true };
}

/** A bot that trades with an earlier, accepted key goes on: the exchange judges that key. */
function notYet(reason: string, message: string): Denial {
  return { reason, message, forbidsPod: false, pausesPod: false };
}

/** The same, but no pod may be made with the present key, not even one that closes a position. */
function withoutNewPod(reason: string, message: string): Denial {
  return { reason, message, forbidsPod: true, pausesPod: false };
}

function aboveClass(reason: string, bot: AdmissionFacts["bot"], what: string): Denial {
  return forbidden(reason, `The class ${bot.spec.className} does not allow ${what}.`);
}

function exceeds(value: number, limit: number | undefined): boolean {
  return limit !== undefined && value > limit;
}
