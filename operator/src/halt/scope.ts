import type { BotView } from "../bot/bot-view.ts";
import type { HaltView } from "./halt-view.ts";

export function isInForce(halt: HaltView, now: Date): boolean {
  const { lifted, expiresAt } = halt.spec;
  if (lifted || halt.isDeleting) return false;
  return expiresAt === undefined || Date.parse(expiresAt) > now.getTime();
}

/**
 * Does the halt concern this bot? Whether it is in force is another question.
 * @param openSymbols on which something is open: one that left the specification is still managed to its exit
 */
export function concerns(
  halt: HaltView,
  bot: Pick<BotView, "name" | "spec">,
  openSymbols: readonly string[] = [],
): boolean {
  const { type, value = "" } = halt.spec.scope;
  const matches = {
    all: () => true,
    user: () => bot.spec.userId === value,
    bot: () => bot.name === value,
    exchange: () => bot.spec.exchange === value,
    symbol: () => bot.spec.symbols.includes(value) || openSymbols.includes(value),
  };
  return matches[type]();
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
