import { timeSlices } from "@tradingbots/kube";
import { Gauge, type Registry } from "prom-client";
import type { BotView } from "./bot/bot-view.ts";
import { conditionOf } from "./conditions.ts";

/** Bots are counted at most this often, whoever reads metrics and how often: a hundred thousand take half a second. */
const COUNT_EVERY_MS = 60_000;

/** How bots are, by the words of their conditions and without their names. */
export function addBotGauges(registry: Registry, bots: () => Iterable<BotView>): void {
  const registers = [registry];
  const count = atMostEvery(COUNT_EVERY_MS, () => countBots(bots()));
  const byReason: Gauge = new Gauge({
    name: "tradingbots_operator_bots",
    help: "Bots by what they shall do and by the reason of their condition Ready.",
    labelNames: ["state", "reason"],
    registers,
    collect: async () => {
      const { readyReasons } = await count();
      byReason.reset();
      for (const [state, reasons] of readyReasons) {
        for (const [reason, number] of reasons) byReason.set({ state, reason }, number);
      }
    },
  });
  const unknown: Gauge = new Gauge({
    name: "tradingbots_operator_positions_unknown",
    help: "Bots whose condition PositionUnknown is True: nobody can look at what they hold.",
    registers,
    collect: async () => unknown.set((await count()).unknownPositions),
  });
}

/** The last answer while it is young enough. */
function atMostEvery<T>(ms: number, ask: () => Promise<T>): () => Promise<T> {
  let last: { readonly atMs: number; readonly answer: Promise<T> } | undefined;
  return () => {
    const now = performance.now();
    if (last === undefined || now - last.atMs >= ms) last = { atMs: now, answer: ask() };
    return last.answer;
  };
}

/** Counts, and lets others have the event loop meanwhile. */
async function countBots(bots: Iterable<BotView>) {
  const readyReasons = new Map<string, Map<string, number>>();
  let unknownPositions = 0;
  for (const { spec, status, isDeleting } of bots) {
    if (timeSlices.isOver()) await timeSlices.next();
    const { conditions } = status;
    const state = isDeleting ? "Retired" : spec.state;
    const reason = conditionOf(conditions, "Ready")?.reason ?? "NotSeen";
    const reasons = readyReasons.get(state) ?? new Map<string, number>();
    readyReasons.set(state, reasons.set(reason, (reasons.get(reason) ?? 0) + 1));
    if (conditionOf(conditions, "PositionUnknown")?.status === "True") unknownPositions++;
  }
  return { readyReasons, unknownPositions };
}
