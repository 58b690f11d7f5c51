import type { Proposals } from "./proposals.ts";
import { candleEntryIds } from "./reconcile.ts";
import { eventRecord } from "./records.ts";
import type { TraderDeps } from "./trader-deps.ts";
import type { Work } from "./work.ts";

/**
 * A signal is heard by one process, and its exit may have died with that. So a work that was taken up hears once what the strategy
 * says at the newest close, of a later candle than the entry's. An entry that no known candle led to hears nothing: nobody knows
 * whether it was asked for after that close. Older closes said what may not be wanted any more.
 */
export function hearNewestClose(
  deps: Pick<TraderDeps, "config" | "nowMs" | "record">,
  works: readonly Work[],
  { lastSaid, openTimes }: Pick<Proposals, "lastSaid" | "openTimes">,
): void {
  const unheard = works.filter(({ closeHeard }) => !closeHeard);
  if (lastSaid === undefined || unheard.length === 0) return;
  for (const work of unheard) {
    work.closeHeard = true;
    const { symbol, side, entryId, exitWanted } = work;
    if (lastSaid.exit !== side || exitWanted !== undefined) continue;
    if (!candleEntryIds(deps, symbol, openTimes.slice(0, -1)).has(entryId)) continue;
    work.exitWanted = "signal";
    const message = `${symbol}: closing the position, as the strategy says at the newest close (${lastSaid.note})`;
    deps.record(eventRecord("closing", message, deps.nowMs()));
  }
}
