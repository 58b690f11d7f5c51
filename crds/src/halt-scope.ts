import type { TradingHalt } from "./trading-halt.ts";

type HaltSpec = TradingHalt["spec"];

/** A bot as halts name it, with what it trades or holds. */
export interface Haltable {
  readonly name: string;
  readonly userId: string;
  readonly exchange: string;
  readonly symbols: readonly string[];
}

/** The halt was neither lifted nor has it expired; one that is being deleted is its owner's affair. */
export function isHaltInForce({ lifted, expiresAt }: HaltSpec, nowMs: number): boolean {
  if (lifted) return false;
  return expiresAt === undefined || Date.parse(expiresAt) > nowMs;
}

/** Does the halt concern this bot? Whether it is in force is another question. */
export function haltConcerns({ type, value = "" }: HaltSpec["scope"], bot: Haltable): boolean {
  const matches = {
    all: () => true,
    user: () => bot.userId === value,
    bot: () => bot.name === value,
    exchange: () => bot.exchange === value,
    symbol: () => bot.symbols.includes(value),
  };
  return matches[type]();
}
