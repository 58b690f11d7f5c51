import type { Report } from "@tradingbots/crds";
import type { BotStatus } from "./bot-view.ts";
import type { BotFacts } from "./facts.ts";

type Summary = NonNullable<BotStatus["summary"]>;

const POSITION_MAX = 128;

/** What the bot last told of requests; undefined when it never had one. */
export function requestsOf({
  bot,
  report,
}: Pick<BotFacts, "bot" | "report">): BotStatus["requests"] {
  if (!("latest" in report)) return bot.status.requests;
  return report.latest.report.requests?.map(({ id, status, reason }) => ({
    id,
    status,
    ...(reason === null ? {} : { reason }),
  }));
}

/**
 * Position, day's result and last trade for `kubectl get`. It changes when a position or trade does, or the day begins anew:
 * the day's result moves with every tick, and a status that followed it would be a write a second for each bot.
 */
export function summaryOf({ bot, report }: Pick<BotFacts, "bot" | "report">): Summary | undefined {
  const previous = bot.status.summary;
  if (!("latest" in report)) return previous;
  const next = summarise(report.latest.report);
  return previous !== undefined && !isMaterial(previous, next) ? previous : next;
}

function summarise({ positions, dayResult, lastTradeAt }: Report): Summary {
  const open = positions.map(
    ({ symbol, side, quantity, entryPrice }) => `${side} ${quantity} ${symbol} @ ${entryPrice}`,
  );
  return {
    position: open.length === 0 ? "none" : open.join(", ").slice(0, POSITION_MAX),
    ...(dayResult === null ? {} : { dayResult }),
    ...(lastTradeAt === null ? {} : { lastTradeAt }),
  };
}

function isMaterial(previous: Summary, next: Summary): boolean {
  const isNewDay = isZero(next.dayResult) !== isZero(previous.dayResult);
  return (
    previous.position !== next.position || previous.lastTradeAt !== next.lastTradeAt || isNewDay
  );
}

function isZero(amount: string | undefined): boolean {
  return amount === undefined || /^-?0(\.0+)?$/.test(amount);
}
