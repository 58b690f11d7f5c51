import { type Fact, fact } from "../conditions.ts";
import { type AccountView, currentVerification } from "./account-view.ts";

const DAY_MS = 86_400_000;
/** Time to make a new key and store it. Bybit ends keys without an address list after 90 days. */
const SOON_MS = 7 * DAY_MS;

/**
 * When a verified key is to be looked at again, ms since 1970: daily in its last week, because its owner may have prolonged it at
 * the exchange, and when it expires. Infinity for a key that does not expire.
 */
export function nextLookMs(account: AccountView): number {
  const verification = currentVerification(account);
  const expiresMs = expiryMs(account);
  if (verification === undefined || expiresMs === undefined) return Infinity;
  const lookedMs = Date.parse(verification.asOf);
  const dailyMs = Math.max(expiresMs - SOON_MS, lookedMs + DAY_MS);
  return lookedMs < expiresMs ? Math.min(dailyMs, expiresMs) : dailyMs;
}

/** Whether the key ends soon; nothing for one that does not expire, or is not accepted anyway. */
export function expiringFact(account: AccountView, now: Date): Fact | undefined {
  const expiresMs = expiryMs(account);
  if (expiresMs === undefined) return undefined;
  const at = new Date(expiresMs).toISOString();
  if (now.getTime() < expiresMs - SOON_MS) {
    const message = `The key is valid until ${at}.`;
    return fact("KeyExpiring", "False", { reason: "ValidForLong", message });
  }
  const message = `The key is valid until ${at}: prolong it at the exchange, or create a new one there and store it here.`;
  return fact("KeyExpiring", "True", { reason: "ExpiresSoon", message });
}

function expiryMs(account: AccountView): number | undefined {
  const verification = currentVerification(account);
  if (verification?.state !== "verified" || verification.expiresAt === undefined) return undefined;
  return Date.parse(verification.expiresAt);
}
