import { haltConcerns, isHaltInForce } from "@tradingbots/crds";
import type { BotView } from "../bot/bot-view.ts";
import type { HaltView } from "./halt-view.ts";

export function isInForce(halt: HaltView, now: Date): boolean {
  return !halt.isDeleting && isHaltInForce(halt.spec, now.getTime());
}

/**
 * Does the halt concern this bot? Whether it is in force is another question.
 * @param openSymbols on which something is open: one that left the specification is still managed to its exit
 */
export function concerns(
  halt: HaltView,
  { name, spec: { userId, exchange, symbols } }: Pick<BotView, "name" | "spec">,
  openSymbols: readonly string[] = [],
): boolean {
  const bot = { name, userId, exchange, symbols: [...symbols, ...openSymbols] };
  return haltConcerns(halt.spec.scope, bot);
}

/** The symbols that the halt is about; null for all that a bot has. */
export function symbolsOf({ spec: { scope } }: HaltView): string[] | null {
  return scope.type === "symbol" && scope.value !== undefined ? [scope.value] : null;
}

/** Nothing may be opened on any of the bot's symbols. */
export function coversAll(halt: HaltView, bot: Pick<BotView, "spec">): boolean {
  const symbols = symbolsOf(halt);
  return symbols === null || bot.spec.symbols.every((symbol) => symbols.includes(symbol));
}

/** Milliseconds until the first of these halts ends by itself. */
export function untilFirstExpiry(halts: readonly HaltView[], now: Date): number | undefined {
  const times = halts.flatMap(({ spec: { expiresAt } }) =>
    expiresAt === undefined ? [] : [Date.parse(expiresAt) - now.getTime()],
  );
  return times.length === 0 ? undefined : Math.max(0, Math.min(...times));
}
