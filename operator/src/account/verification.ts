import { VerificationResult } from "@tradingbots/crds";
import { isDeepStrictEqual } from "node:util";
import type { PodView } from "../pod-view.ts";
import { type AccountView, connectedId, currentVerification } from "./account-view.ts";
import { nextLookMs } from "./expiry.ts";

/** Reason of a refusal: the key belongs to another account of the exchange than the one that was connected. */
export const ACCOUNT_CHANGED = "AccountChanged";

/**
 * What a verify pod that has ended found out; undefined while it runs. A pod that ended without a word (evicted, deadline,
 * no key from Vault) is an exchange that could not be asked, with the pod's own times, so that the answer stays the same.
 */
export function resultOf(pod: PodView): VerificationResult | undefined {
  if (pod.end === undefined) return undefined;
  return parseResult(pod.end.message) ?? withoutWord(pod);
}

/**
 * The result as it counts for this account. A key of another account of the exchange is refused, whatever it may do: the bots'
 * positions are where they were opened, and a bot that looked for them elsewhere would find nothing open. A key that was
 * accepted stays so while the exchange cannot be asked again.
 */
export function judged(result: VerificationResult, account: AccountView): VerificationResult {
  const known = currentVerification(account);
  if (result.state === "unavailable" && known?.state === "verified") {
    const { credentialsVersion: _, ...accepted } = known;
    return { ...accepted, asOf: result.asOf };
  }
  const connected = connectedId(account);
  const { state, exchangeAccountId, asOf } = result;
  const tells = state === "verified" || exchangeAccountId !== undefined;
  if (connected === undefined || !tells || exchangeAccountId === connected) return result;
  return {
    state: "refused",
    reason: ACCOUNT_CHANGED,
    message:
      "The new key belongs to another account of the exchange than the one that is connected here: " +
      "store a key of the former account again, and connect the other account as an account of its own.",
    permissions: [],
    asOf,
  };
}

function parseResult(message: string | undefined): VerificationResult | undefined {
  try {
    return VerificationResult.parse(JSON.parse(message ?? ""));
  } catch {
    return undefined;
  }
}

function withoutWord({ end, trouble, createdAt }: PodView): VerificationResult {
  const why = trouble?.message ?? `it ended without a result (${end?.podReason ?? "no message"}).`;
  return {
    state: "unavailable",
    reason: trouble?.reason ?? "NoResult",
    message: `The key could not be checked: ${why}`.slice(0, 512),
    permissions: [],
    asOf: end?.finishedAt ?? createdAt,
  };
}

/** The result is in the account's status, so its pod may go. */
export function isStored(result: VerificationResult, account: AccountView): boolean {
  const stored = currentVerification(account);
  if (stored === undefined) return false;
  const { credentialsVersion: _, ...rest } = stored;
  return isDeepStrictEqual(rest, result);
}

/** The exchange has given its answer about the present version of the key; only another version changes it, and its expiry. */
export function isSettled(account: AccountView, now: Date): boolean {
  const state = currentVerification(account)?.state;
  return state === "refused" || (state === "verified" && now.getTime() < nextLookMs(account));
}
