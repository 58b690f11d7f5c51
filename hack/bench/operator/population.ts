import { API_VERSION, bucketNamespace, FINALIZERS } from "@tradingbots/crds";
import { CLASS } from "./bench-cluster.ts";

/**
 * Who lives in the benchmark's cluster, as functions of a number. All names of a kind have one length, so that one object can be
 * made into another by replacing names (`stamp.ts`).
 */

/** A user has one account at an exchange and some robots on it. */
const BOTS_PER_ACCOUNT = 4;
const SYMBOLS = ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT", "XRP/USDT:USDT"] as const;

/** Nobody has the number, name or user of somebody in other buckets. */
const BUCKET_SPAN = 1_000_000;

export interface Member {
  readonly namespace: string;
  readonly userId: string;
  readonly accountName: string;
  readonly botName: string;
  readonly symbol: string;
  readonly uids: Readonly<Record<"bot" | "pod" | "account" | "serviceAccount", string>>;
  /** The exchange's own id of the account. */
  readonly exchangeAccountId: string;
  /** True for one member of each account. */
  readonly bringsAccount: boolean;
}

/** Namespaces from `first` on, that members are dealt out to. */
export interface Buckets {
  readonly first: number;
  readonly count: number;
}

export function namespacesOf({ first, count }: Buckets): readonly string[] {
  return Array.from({ length: count }, (_, index) => bucketNamespace(first + index));
}

export function member(index: number, { first, count }: Buckets): Member {
  const number = first * BUCKET_SPAN + index;
  const account = Math.floor(number / BOTS_PER_ACCOUNT);
  const slot = number % BOTS_PER_ACCOUNT;
  return {
    namespace: bucketNamespace(first + (account % count)),
    userId: uid(0, account),
    accountName: `acct-${digits(account, 20)}`,
    botName: `bot-${digits(number, 20)}`,
    symbol: SYMBOLS[slot] ?? SYMBOLS[0],
    uids: {
      bot: uid(1, number),
      pod: uid(2, number),
      account: uid(3, account),
      serviceAccount: uid(4, account),
    },
    exchangeAccountId: digits(account, 20),
    bringsAccount: slot === 0,
  };
}

/** What the API writes when a user makes a bot: finalizer included. */
export function botBody({ namespace, userId, accountName, botName, symbol }: Member) {
  return {
    apiVersion: API_VERSION,
    kind: "TradingBot",
    metadata: { namespace, name: botName, finalizers: [FINALIZERS.bot] },
    spec: {
      userId,
      exchange: "bybit",
      accountName,
      displayName: botName,
      className: CLASS,
      mode: "live",
      symbols: [symbol],
      timeframe: "5m",
      strategy: { name: "rsi" },
      autoTrade: true,
      state: "Running",
    },
  };
}

export function accountBody({ namespace, userId, accountName }: Member) {
  return {
    apiVersion: API_VERSION,
    kind: "ExchangeAccount",
    metadata: { namespace, name: accountName, finalizers: [FINALIZERS.account] },
    spec: { userId, exchange: "bybit", name: accountName },
  };
}

/** What a verify pod has learned of the account's key. */
export function verification(asOf: string, { exchangeAccountId }: Member) {
  return {
    credentialsVersion: 1,
    state: "verified",
    reason: "Verified",
    message: "The exchange accepts the key.",
    permissions: ["trade"],
    balance: "1000",
    currency: "USDT",
    exchangeAccountId,
    asOf,
  };
}

function uid(kind: number, index: number): string {
  return `${kind}0000000-0000-4000-8000-${digits(index, 12)}`;
}

function digits(value: number, length: number): string {
  return String(value).padStart(length, "0");
}
