import type { HeldPosition } from "../exchange/exchange.ts";
import { isNaked } from "./look-ups.ts";
import type { TraderDeps } from "./trader-deps.ts";
import type { Work } from "./work.ts";

export const UNPROTECTED_SECONDS = "bot_unprotected_seconds_total";

/**
 * Notes what the exchange shows of the work's position, and counts the time since the last look if the position was without
 * its stop at either end of it: when the stop went or came in between is not known, so all of it counts. The first look counts
 * from when the entry was sent or taken up.
 */
export function seePosition(
  deps: Pick<TraderDeps, "metrics" | "monotonicMs">,
  work: Work,
  held: HeldPosition | undefined,
): void {
  const wasNaked = isNaked(work);
  work.held = held;
  const now = deps.monotonicMs();
  const elapsedMs = Math.max(now - work.lookedMs, 0);
  work.lookedMs = now;
  // Beside an entry of which nothing speaks, what is there is somebody else's.
  if (work.lost) return;
  if (wasNaked || isNaked(work)) deps.metrics.count(UNPROTECTED_SECONDS, {}, elapsedMs / 1_000);
}
