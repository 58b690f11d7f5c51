import type { BotConfig } from "@tradingbots/crds";
import type { Market } from "../exchange/exchange.ts";
import { type Amount, amount, Decimal, text } from "../money.ts";
import type { Size } from "../orders/sizing.ts";

/** Why nothing may be opened: a stable reason and a sentence for the bot's owner. */
export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/** What is true of the bot and one symbol at this moment, whatever a strategy proposes. */
export interface Standing {
  readonly config: Pick<BotConfig, "state" | "autoTrade" | "halts" | "risk">;
  readonly symbol: string;
  /** False for a symbol that left the configuration and is only managed to its exit. */
  readonly symbolTraded: boolean;
  readonly journal: "ready" | "unavailable" | "stale";
  readonly reconciled: boolean;
  /** What holds the symbol that is not the bot's own. */
  readonly foreign: string | undefined;
  /** Something that the exchange refuses for good, as a sentence. */
  readonly unusable: Refusal | undefined;
  readonly consecutiveErrors: number;
  /** Age of the last message of the candle stream by arrival, in ms; undefined before the first. */
  readonly dataAgeMs: number | undefined;
  /** Equity at the start of the trading day; undefined while it is not known. */
  readonly dayBaseline: Amount | undefined;
  /** Realised and unrealised result of the bot since then. */
  readonly dayResult: Amount;
}

/** A proposal to open, with what it would take. */
export interface EntryProposal {
  readonly standing: Standing;
  readonly confidence: number;
  readonly size: Size;
  readonly equity: Amount;
  /** Margin that all bots of the account have committed. */
  readonly committed: Amount;
  readonly market: Market;
}

interface Check<Facts> {
  readonly name: string;
  /** A sentence, whose reason is then the check's name, or a refusal that brings its own reason. */
  readonly refuses: (facts: Facts) => string | Refusal | undefined;
}

/** Candles arrive at least every minute while a market trades; three silent half-minutes are a dead stream. */
const STALE_AFTER_MS = 90_000;
/** Margin that must remain between stop and liquidation: leverage × stop percent stays below this (as in the CRD). */
const LIQUIDATION_PERCENT = 80;

/** Checks that stand whatever is proposed. The first refusal is what the user sees first; the list reads as documentation. */
const standingChecks: readonly Check<Standing>[] = [
  {
    name: "NotRunning",
    refuses: ({ config }) =>
      config.state === "Running" ? undefined : `the bot is ${config.state}: it opens nothing`,
  },
  {
    name: "Halted",
    refuses: ({ config }) => {
      const [halt] = config.halts;
      return halt && `halt ${halt.name} (${halt.action}) is in force`;
    },
  },
  { name: "ExchangeUnusable", refuses: ({ unusable }) => unusable },
  {
    name: "SymbolRemoved",
    refuses: ({ symbolTraded, symbol }) =>
      symbolTraded
        ? undefined
        : `${symbol} left the configuration: its position is managed to its exit`,
  },
  {
    name: "StaleEpoch",
    refuses: ({ journal }) =>
      journal === "stale"
        ? "another pod of this bot has taken over: this one opens nothing more"
        : undefined,
  },
  {
    name: "JournalUnavailable",
    refuses: ({ journal }) =>
      journal === "unavailable"
        ? "the journal does not answer: nothing is opened without it"
        : undefined,
  },
  {
    name: "NotReconciled",
    refuses: ({ reconciled, symbol }) =>
      reconciled ? undefined : `orders and position of ${symbol} are not yet known`,
  },
  { name: "ForeignPosition", refuses: ({ foreign }) => foreign },
  {
    name: "Disabled",
    refuses: ({ consecutiveErrors, config }) =>
      consecutiveErrors < config.risk.maxConsecutiveErrors
        ? undefined
        : `${consecutiveErrors} errors in a row (limit ${config.risk.maxConsecutiveErrors}): the bot disabled itself; change its configuration to enable it again`,
  },
  {
    name: "StaleData",
    refuses: ({ dataAgeMs }) =>
      dataAgeMs !== undefined && dataAgeMs <= STALE_AFTER_MS
        ? undefined
        : "no candles arrive from the exchange: nothing is opened on old data",
  },
  {
    name: "NoDayBaseline",
    refuses: ({ dayBaseline }) =>
      dayBaseline === undefined ? "the equity at the start of the day is not known yet" : undefined,
  },
  {
    name: "DailyLoss",
    refuses: ({ dayBaseline, dayResult, config }) => {
      if (dayBaseline === undefined) return undefined;
      const limit = dayBaseline.times(config.risk.dailyLossPercent).div(100);
      if (dayResult.negated().lt(limit)) return undefined;
      return `the day's loss ${text(dayResult)} has reached ${config.risk.dailyLossPercent} % of ${text(dayBaseline)}: nothing is opened until 00:00 UTC`;
    },
  },
  {
    name: "AutoTradeOff",
    refuses: ({ config }) =>
      config.autoTrade ? undefined : "autoTrade is off: signals are recorded, no order is sent",
  },
];

/** Checks of one proposal. */
const entryChecks: readonly Check<EntryProposal>[] = [
  {
    name: "LowConfidence",
    refuses: ({ confidence, standing }) => {
      const wanted = standing.config.risk.minConfidence;
      return confidence >= wanted
        ? undefined
        : `confidence ${confidence.toFixed(1)} is below minConfidence ${wanted}`;
    },
  },
  {
    name: "LeverageTooHigh",
    refuses: ({ market, standing }) => {
      const { leverage } = standing.config.risk;
      return leverage <= market.maximumLeverage
        ? undefined
        : `leverage ${leverage} is above ${market.maximumLeverage}, the most for ${market.symbol}`;
    },
  },
  {
    name: "StopBeyondLiquidation",
    refuses: ({ standing }) => {
      const { leverage, stopLossPercent } = standing.config.risk;
      return leverage * stopLossPercent < LIQUIDATION_PERCENT
        ? undefined
        : `a stop at ${stopLossPercent} % with leverage ${leverage} lies beyond liquidation`;
    },
  },
  {
    name: "NoEquity",
    refuses: ({ equity }) => (equity.gt(0) ? undefined : "the account has no equity"),
  },
  {
    name: "BelowMinimum",
    refuses: ({ size, market }) => {
      if (size.quantity.gte(market.minimumQuantity) && size.value.gte(market.minimumValue))
        return undefined;
      return `${text(size.quantity)} ${market.symbol} (${text(size.value)}) is below the exchange's minimum of ${text(market.minimumQuantity)} and ${text(market.minimumValue)}: raise positionPercent, leverage or the balance`;
    },
  },
  {
    name: "PositionTooLarge",
    refuses: ({ size, equity, standing }) => {
      const { positionPercent } = standing.config.risk;
      const limit = equity.times(positionPercent).div(100);
      return size.margin.lte(limit)
        ? undefined
        : `margin ${text(size.margin)} is above ${positionPercent} % of equity`;
    },
  },
  {
    name: "BalanceCommitted",
    refuses: ({ size, equity, committed, standing }) => {
      const { balancePercent } = standing.config.risk;
      const limit = equity.times(balancePercent).div(100);
      const total = committed.plus(size.margin);
      return total.lte(limit)
        ? undefined
        : `the account would commit ${text(amount(total.toDecimalPlaces(2)))}, above ${balancePercent} % of its equity ${text(equity)}`;
    },
  },
];

/** Why nothing can be opened now; empty when entries are possible. */
export function blocked(standing: Standing): readonly Refusal[] {
  return refusals(standingChecks, standing);
}

/** The first reason against this entry; undefined lets it pass. Reducing orders never come here. */
export function entryRefusal(proposal: EntryProposal): Refusal | undefined {
  return blocked(proposal.standing)[0] ?? refusals(entryChecks, proposal)[0];
}

function refusals<Facts>(checks: readonly Check<Facts>[], facts: Facts): readonly Refusal[] {
  return checks.flatMap(({ name, refuses }) => {
    const refusal = refuses(facts);
    if (refusal === undefined) return [];
    return [typeof refusal === "string" ? { reason: name, message: refusal } : refusal];
  });
}

/** Margin that is not free: what every position and order of the account has taken. */
export function committedMargin(balance: {
  readonly equity: Amount;
  readonly available: Amount;
}): Amount {
  return amount(Decimal.max(balance.equity.minus(balance.available), 0));
}
