import type { BotFacts } from "../bot/facts.ts";
import { flatnessOf, isFinal } from "../bot/flatness.ts";
import { isForeign } from "../bot/foreign-pod.ts";
import { isDownOnPaper } from "../bot/play-money.ts";
import type { PodView } from "../pod-view.ts";
import type { BotReport } from "../reports.ts";
import type { HaltView } from "./halt-view.ts";
import { symbolsOf } from "./scope.ts";

/** How far one bot has come with a halt, as far as is known. */
export interface Progress {
  /** It has said that it obeys; without a pod it has nothing to say and opens nothing. */
  readonly acknowledged: boolean;
  /** What the action asks for is done; a BlockEntries halt asks for nothing more. */
  readonly finished: boolean;
}

type Known = Pick<BotFacts, "bot" | "pod" | "report" | "refusal" | "clockMs">;

/** @param facts of a bot in the halt's scope */
export function progressOf(halt: HaltView, facts: Known): Progress {
  // Nobody reaches that pod, and nobody knows what it does.
  if (isForeign(facts)) return NO_WORD;
  const { pod, report } = facts;
  const asksForNoMore = halt.spec.action === "BlockEntries";
  const isDown = isDownOnPaper(facts);
  if (pod === undefined || pod.end !== undefined || isDown) {
    // Of play money nothing is left to close: a process that comes up closes what the journal remembers.
    const isOver = isDown || isFinal(flatnessOf(facts));
    return { acknowledged: true, finished: asksForNoMore || isOver };
  }
  const latest = "latest" in report ? report.latest : undefined;
  if (latest === undefined || !obeys(halt, pod, latest)) return NO_WORD;
  const isSure = report.kind === "fresh" && latest.epoch >= 1;
  return { acknowledged: true, finished: asksForNoMore || (isSure && isDone(halt, latest)) };
}

const NO_WORD: Progress = { acknowledged: false, finished: false };

/** Of the same name may have been another halt, with another action. */
function obeys({ uid }: HaltView, pod: PodView, { podUid, report }: BotReport): boolean {
  return podUid === pod.uid && report.halts.includes(uid);
}

/** The report that names the halt was made after the bot had taken it over: what it calls closed is not opened again. */
function isDone(halt: HaltView, { report }: BotReport): boolean {
  const { action } = halt.spec;
  if (report.flat) return true;
  const symbols = symbolsOf(halt);
  if (action === "Flatten" && symbols === null) return false;
  const open = action === "Flatten" ? report.openSymbols : report.openEntries;
  if (open === undefined) return false;
  return symbols === null ? open.length === 0 : !symbols.some((symbol) => open.includes(symbol));
}

/**
 * Flatten halts that the bot has carried out and that have not paused it yet. Each pauses it once, the first time that it finds it
 * Running: also a bot that was Paused or did not exist when the halt was made. Whoever starts it after that is obeyed.
 */
export function pausingHalts(facts: Known & Pick<BotFacts, "halts">): readonly HaltView[] {
  return facts.halts.filter(
    (halt) =>
      halt.spec.action === "Flatten" &&
      !facts.bot.pausedByHalts.includes(halt.uid) &&
      progressOf(halt, facts).finished,
  );
}
