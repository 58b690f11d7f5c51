import type { VerificationResult } from "@tradingbots/crds";
import { type Exchange, isExchangeFault, type KeyDescription } from "../exchange/exchange.ts";
import { text } from "../money.ts";

const MESSAGE_MAX = 512;
const PERMISSIONS_MAX = 64;
const ID_MAX = 64;

interface Verdict {
  readonly state: VerificationResult["state"];
  readonly reason: string;
  readonly message: string;
}

interface Check {
  readonly reason: string;
  readonly refuses: (key: KeyDescription, now: Date) => string | undefined;
}

/** What a key must be and must not be, whatever the mode: a key that can take money out is refused on a testnet too. */
const keyChecks: readonly Check[] = [
  {
    reason: "KeyExpired",
    refuses: ({ expiresAt }, now) =>
      expiresAt !== undefined && Date.parse(expiresAt) <= now.getTime()
        ? `the key expired at ${expiresAt}: create a new one at the exchange`
        : undefined,
  },
  {
    reason: "WithdrawalAllowed",
    refuses: ({ canWithdraw }) =>
      canWithdraw
        ? "the key may withdraw money: create one without the right to withdraw"
        : undefined,
  },
  {
    reason: "ReadOnly",
    refuses: ({ readOnly }) =>
      readOnly ? "the key is read-only: create one that may trade" : undefined,
  },
  {
    reason: "TradingNotAllowed",
    refuses: ({ canTrade }) =>
      canTrade
        ? undefined
        : "the key may not trade perpetuals: give it orders and positions of unified trading",
  },
  {
    reason: "HedgeMode",
    refuses: ({ hedgeMode }) =>
      hedgeMode
        ? "the account holds positions in hedge mode: switch it to one-way mode"
        : undefined,
  },
];

/** Asks the exchange itself about a key. Every outcome is a result; nothing secret is in it. */
export async function verifyKey(
  exchange: Pick<Exchange, "describeKey" | "balance">,
  now: () => Date,
): Promise<VerificationResult> {
  try {
    const key = await exchange.describeKey();
    const { equity, currency } = await exchange.balance();
    return {
      ...verdictOn(key, now()),
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

function verdictOn(key: KeyDescription, now: Date): Verdict {
  for (const { reason, refuses } of keyChecks) {
    const message = refuses(key, now);
    if (message !== undefined) return { state: "refused", reason, message };
  }
  return {
    state: "verified",
    reason: "Verified",
    message: "the key may trade and cannot withdraw",
  };
}

function verdictOnFault(error: unknown): Verdict {
  if (!isExchangeFault(error)) {
    const message = error instanceof Error ? error.message : String(error);
    return { state: "unavailable", reason: "UnexpectedAnswer", message };
  }
  if (error.fault === "Unavailable") {
    return { state: "unavailable", reason: "ExchangeUnavailable", message: error.message };
  }
  return { state: "refused", reason: error.fault, message: error.message };
}
