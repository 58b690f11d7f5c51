import type { VerificationResult } from "@tradingbots/crds";
import { type Balance, type Exchange, isExchangeFault, isPassing } from "../exchange/exchange.ts";
import { text } from "../money.ts";
import { keyRefusal } from "../risk/key-checks.ts";

const MESSAGE_MAX = 512;
const PERMISSIONS_MAX = 64;
const ID_MAX = 64;

interface Verdict {
  readonly state: VerificationResult["state"];
  readonly reason: string;
  readonly message: string;
}

export interface VerifyDeps {
  readonly exchange: Pick<Exchange, "describeKey" | "balance">;
  /** Orders with this key would move real money. */
  readonly realMoney: boolean;
  readonly now: () => Date;
}

/** Asks the exchange itself about a key. Every outcome is a result; nothing secret is in it. */
export async function verifyKey({
  exchange,
  realMoney,
  now,
}: VerifyDeps): Promise<VerificationResult> {
  try {
    const key = await exchange.describeKey();
    const balance = await exchange.balance();
    const { equity, currency } = balance;
    const refusal = keyRefusal(key, { realMoney, nowMs: now().getTime() });
    return {
      ...(refusal === undefined ? verified(balance) : { state: "refused", ...refusal }),
      permissions: [...new Set(key.permissions)].slice(0, PERMISSIONS_MAX),
      balance: text(equity),
      currency,
      ...(key.accountId === undefined ? {} : { exchangeAccountId: key.accountId.slice(0, ID_MAX) }),
      ...(key.expiresAt === undefined ? {} : { expiresAt: key.expiresAt }),
      asOf: now().toISOString(),
    };
  } catch (error) {
    return failedVerification(verdictOnFault(error), now());
  }
}

/** A result without facts about the key. */
export function failedVerification(verdict: Verdict, at: Date): VerificationResult {
  return {
    ...verdict,
    message: verdict.message.slice(0, MESSAGE_MAX),
    permissions: [],
    asOf: at.toISOString(),
  };
}

/**
 * The balance does not make a key unfit: it changes by the minute, and a refusal would stay until another key comes. The bot
 * itself opens nothing that the balance does not suffice for, and says so before there is a signal.
 */
function verified({ equity, currency }: Balance): Verdict {
  const funds = equity.gt(0) ? "" : `; the account holds no ${currency} yet`;
  return {
    state: "verified",
    reason: "Verified",
    message: `the key may trade, and neither withdraw nor transfer${funds}`,
  };
}

function verdictOnFault(error: unknown): Verdict {
  if (!isExchangeFault(error)) {
    const message = error instanceof Error ? error.message : String(error);
    return { state: "unavailable", reason: "UnexpectedAnswer", message };
  }
  if (isPassing(error)) {
    const reason = error.fault === "Unavailable" ? "ExchangeUnavailable" : error.fault;
    return { state: "unavailable", reason, message: error.message };
  }
  return { state: "refused", reason: error.fault, message: error.message };
}
