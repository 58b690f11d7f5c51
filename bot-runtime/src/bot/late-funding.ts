import type { TraderDeps } from "./trader-deps.ts";
import type { Work } from "./work.ts";

/** Funding is among an account's executions this long after its time at the latest. */
const FUNDING_LATE_MS = 60_000;
/**
 * Any full hour may be one: what the rules say of it may be an hour old, and Bybit shortens an interval by itself when a rate
 * is at its limit. https://www.bybit.com/en/help-center/article/Introduction-to-Funding-Rate
 */
const FUNDING_EVERY_MS = 3_600_000;
/**
 * What is opened or closed so shortly before or after is charged or not. https://www.bybit.com/en/help-center/article/Introduction-to-Funding-Rate
 */
const FUNDING_EDGE_MS = 5_000;
/** Pause between two looks for it. */
export const FUNDING_LOOK_AGAIN_MS = 5_000;

/**
 * Whether funding of a closed trade may still be missing from the executions: it was held at a funding time that is not long
 * ago. Its result is told when that is over; until then the journal has it as open, so that no crash loses what comes late.
 */
export function awaitsFunding(
  { exchange, monotonicMs }: Pick<TraderDeps, "exchange" | "monotonicMs">,
  { symbol, account, closedSeenMs }: Pick<Work, "symbol" | "account" | "closedSeenMs">,
): boolean {
  const market = exchange.market(symbol);
  const { openedMs, closedMs, fundings } = account;
  if (openedMs === undefined || closedMs === undefined) return false;
  const seenForMs = closedSeenMs === undefined ? 0 : monotonicMs() - closedSeenMs;
  // Before the trading rules are known any time may have been one of funding.
  if (market === undefined) return seenForMs < FUNDING_LATE_MS;
  if (!market.isFunded) return false;
  // The last one before the end, all by the exchange's clock.
  const dueMs = Math.floor((closedMs + FUNDING_EDGE_MS) / FUNDING_EVERY_MS) * FUNDING_EVERY_MS;
  if (dueMs < openedMs - FUNDING_EDGE_MS) return false;
  if (fundings.some(({ execution }) => execution.atMs >= dueMs - FUNDING_EDGE_MS)) return false;
  return closedMs - dueMs + seenForMs < FUNDING_LATE_MS;
}
