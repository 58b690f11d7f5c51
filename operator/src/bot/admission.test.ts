import { expect, test } from "vitest";
import { admit, type AdmissionFacts } from "./admission.ts";
import {
  condition,
  exampleAccount,
  exampleBot,
  exampleClass,
  exampleFacts,
  VERIFICATION,
} from "./example-facts.ts";

function ceilings(changes: object) {
  const { spec } = exampleClass;
  return { ...exampleClass, spec: { ...spec, ceilings: { ...spec.ceilings, ...changes } } };
}

interface Case {
  readonly name: string;
  readonly facts: Partial<AdmissionFacts>;
  readonly reason?: string | undefined;
  readonly message?: RegExp;
  /** Not even a pod that closes positions. */
  readonly forbidsPod?: boolean;
  /** A running pod opens nothing more. */
  readonly pausesPod?: boolean;
}

const CASES: readonly Case[] = [
  { name: "in order", facts: {} },
  {
    name: "paper needs no account",
    facts: { bot: exampleBot({ mode: "paper", accountName: undefined }), account: undefined },
  },
  {
    name: "unknown class",
    facts: { botClass: undefined },
    reason: "ClassNotFound",
    message: /no BotClass free/,
    forbidsPod: true,
  },
  {
    name: "account that is not there",
    facts: { account: undefined },
    reason: "AccountNotFound",
    message: /acct-1/,
    forbidsPod: true,
  },
  {
    name: "another user's account",
    facts: { account: exampleAccount({ userId: "00000000-0000-4000-8000-000000000000" }) },
    reason: "UserMismatch",
    forbidsPod: true,
  },
  {
    name: "live bot, testnet account",
    facts: { account: exampleAccount({ testnet: true }) },
    reason: "AccountMismatch",
    message: /live on bybit, its account is testnet/,
    forbidsPod: true,
  },
  {
    name: "retired account",
    facts: { account: exampleAccount({ state: "Retired" }) },
    reason: "AccountRetired",
  },
  {
    name: "mode above class",
    facts: { botClass: ceilings({ modes: ["paper"] }) },
    reason: "ModeNotAllowed",
    message: /class free does not allow mode live \(allowed: paper\)/,
  },
  {
    name: "exchange above class",
    facts: { botClass: ceilings({ exchanges: ["kraken"] }) },
    reason: "ExchangeNotAllowed",
  },
  {
    name: "leverage above class",
    facts: { botClass: ceilings({ leverage: 5 }) },
    reason: "LeverageAboveClass",
    message: /leverage 10 \(at most 5\)/,
  },
  {
    name: "position above class",
    facts: { botClass: ceilings({ positionPercent: 2 }) },
    reason: "PositionAboveClass",
  },
  {
    name: "loss above class",
    facts: { botClass: ceilings({ dailyLossPercent: 1 }) },
    reason: "DailyLossAboveClass",
  },
  { name: "the last bot that the class admits", facts: { olderBotsOfUser: 2 } },
  { name: "one bot too many", facts: { olderBotsOfUser: 3 }, reason: "TooManyBots" },
  {
    name: "no key in Vault",
    facts: {
      account: exampleAccount(
        {},
        { conditions: [condition("CredentialsReady", "False", "CredentialsMissing")] },
      ),
    },
    reason: "CredentialsMissing",
    forbidsPod: true,
    pausesPod: false,
  },
  {
    name: "key not checked yet",
    facts: { account: exampleAccount({}, {}) },
    reason: "CredentialsUnverified",
    forbidsPod: true,
    pausesPod: false,
  },
  {
    name: "only an earlier version checked",
    facts: { account: exampleAccount({ credentialsVersion: 2 }) },
    reason: "CredentialsUnverified",
    forbidsPod: true,
    pausesPod: false,
  },
  {
    name: "key refused",
    facts: {
      account: exampleAccount(
        {},
        { verification: { ...VERIFICATION, state: "refused", message: "it may withdraw" } },
      ),
    },
    reason: "CredentialsRefused",
    message: /it may withdraw/,
    pausesPod: false,
  },
  {
    name: "key of another account of the exchange",
    facts: {
      account: exampleAccount(
        {},
        {
          verification: {
            ...VERIFICATION,
            state: "refused",
            reason: "AccountChanged",
            message: "the new key belongs to another account",
          },
        },
      ),
    },
    reason: "AccountChanged",
    message: /another account/,
    forbidsPod: true,
    pausesPod: false,
  },
  {
    name: "connected twice",
    facts: {
      account: exampleAccount(
        {},
        {
          verification: VERIFICATION,
          conditions: [condition("Ready", "False", "AccountAlreadyConnected")],
        },
      ),
    },
    reason: "AccountAlreadyConnected",
  },
  {
    name: "a class that has left the release",
    facts: { formerClass: { standIn: exampleClass } },
    reason: "ClassNotInRelease",
    message: /no class free .*nothing is opened, open positions run to their exit/,
  },
  {
    name: "the same before the key is checked",
    facts: { formerClass: { standIn: exampleClass }, account: exampleAccount({}, {}) },
    reason: "CredentialsUnverified",
    forbidsPod: true,
    pausesPod: true,
  },
  {
    name: "above its class, and the key is not checked: not even a pod that closes may take it",
    facts: { botClass: ceilings({ leverage: 5 }), account: exampleAccount({}, {}) },
    reason: "CredentialsUnverified",
    forbidsPod: true,
    pausesPod: true,
  },
  {
    name: "above its class, and the exchange refuses the key: it is paused all the same",
    facts: {
      botClass: ceilings({ leverage: 5 }),
      account: exampleAccount({}, { verification: { ...VERIFICATION, state: "refused" } }),
    },
    reason: "CredentialsRefused",
    pausesPod: true,
  },
  {
    name: "symbol of another bot",
    facts: { symbolHolder: { name: "bot-0", symbol: "BTC/USDT:USDT" } },
    reason: "SymbolTaken",
    message: /BTC\/USDT:USDT is traded on this account by the bot bot-0/,
  },
  {
    name: "unknown strategy",
    facts: { bot: exampleBot({ strategy: { name: "toString" } }) },
    reason: "StrategyInvalid",
    message: /no strategy toString; there are: rsi/,
  },
  {
    name: "parameters that the strategy refuses",
    facts: { bot: exampleBot({ strategy: { name: "rsi", params: { buyBelow: 80 } } }) },
    reason: "StrategyInvalid",
    message: /buyBelow must be below sellAbove/,
  },
];

const ALLOWED = { reason: undefined, message: "", forbidsPod: undefined, pausesPod: undefined };

test.each(CASES)("$name: $reason", ({ facts, reason, message = /^/, ...effects }) => {
  const { forbidsPod = reason && false, pausesPod = reason && true } = effects;
  const denial = admit({ ...exampleFacts(), ...facts }) ?? ALLOWED;
  expect(denial).toMatchObject({ reason, forbidsPod, pausesPod });
  expect(denial.message).toMatch(message);
});
