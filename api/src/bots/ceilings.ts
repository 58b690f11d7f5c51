import type { Ceilings, TradingBot } from "@tradingbots/crds";
import { ApiError, type ErrorCode } from "../errors.ts";

/** What a class limits about one bot. */
export type Limited = Pick<TradingBot["spec"], "exchange" | "mode"> & {
  readonly risk: Pick<
    TradingBot["spec"]["risk"],
    "leverage" | "positionPercent" | "dailyLossPercent"
  >;
};

interface Ceiling {
  readonly code: ErrorCode;
  readonly valueOf: (bot: Limited) => string | number;
  /** A sentence about the limit when the bot is above it. */
  readonly refusal: (bot: Limited, ceilings: Ceilings) => string | undefined;
}

function above(name: string, value: number, ceiling: number): string | undefined {
  return value > ceiling ? `${name} ${value} is above the limit ${ceiling}` : undefined;
}

function outside(name: string, value: string, allowed: readonly string[]): string | undefined {
  return allowed.includes(value)
    ? undefined
    : `${name} ${value} is not among ${allowed.join(", ") || "none"}`;
}

const CEILINGS: readonly Ceiling[] = [
  {
    code: "exchange_outside_class",
    valueOf: (bot) => bot.exchange,
    refusal: (bot, ceilings) => outside("exchange", bot.exchange, ceilings.exchanges),
  },
  {
    code: "mode_outside_class",
    valueOf: (bot) => bot.mode,
    refusal: (bot, ceilings) => outside("mode", bot.mode, ceilings.modes),
  },
  {
    code: "leverage_above_class",
    valueOf: (bot) => bot.risk.leverage,
    refusal: (bot, ceilings) => above("risk.leverage", bot.risk.leverage, ceilings.leverage),
  },
  {
    code: "position_percent_above_class",
    valueOf: (bot) => bot.risk.positionPercent,
    refusal: (bot, ceilings) =>
      above("risk.positionPercent", bot.risk.positionPercent, ceilings.positionPercent),
  },
  {
    code: "daily_loss_percent_above_class",
    valueOf: (bot) => bot.risk.dailyLossPercent,
    refusal: (bot, ceilings) =>
      above("risk.dailyLossPercent", bot.risk.dailyLossPercent, ceilings.dailyLossPercent),
  },
];

interface Judged {
  readonly wanted: Limited;
  /** What the bot has now: an unchanged value passes, so that a lowered ceiling blocks nothing else. */
  readonly before?: Limited;
  readonly className: string;
  readonly ceilings: Ceilings;
}

/** The first limit of the class that a bot would cross; undefined: none. */
export function ceilingCrossed({
  wanted,
  before,
  className,
  ceilings,
}: Judged): ApiError | undefined {
  for (const { code, valueOf, refusal } of CEILINGS) {
    if (before !== undefined && valueOf(before) === valueOf(wanted)) continue;
    const sentence = refusal(wanted, ceilings);
    if (sentence !== undefined) return new ApiError(code, `${sentence} of class ${className}`);
  }
  return undefined;
}
