import { type BotConfig, LEAST_MAINTENANCE_PERCENT, LIQUIDATION_SHARE } from "@tradingbots/crds";
import { type ClockReading, type Market, OPENING_LEASE_MS } from "../exchange/exchange.ts";
import { type Amount, amount, Decimal, type Price, text, ZERO_AMOUNT } from "../money.ts";
import { oncePer, oncePerPair } from "../once-per.ts";
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
  /** How long the journal's lease still lasts; 0 without one. */
  readonly leaseRemainingMs: number;
  /** What is wrong with the key, or that it is not known yet. */
  readonly key: Refusal | undefined;
  readonly reconciled: boolean;
  /** What holds the symbol that is not the bot's own. */
  readonly foreign: string | undefined;
  /** Something that the exchange refuses for good, as a sentence. */
  readonly unusable: Refusal | undefined;
  readonly consecutiveErrors: number;
  /** Age of the last message of the candle stream by arrival, in ms; undefined before the first. */
  readonly dataAgeMs: number | undefined;
  /** This machine's clock against the exchange's; undefined before it was measured. */
  readonly clock: ClockReading | undefined;
  /** How long the process stood still just now; undefined when it did not. */
  readonly stalledMs: number | undefined;
  /** Equity at the start of the trading day; undefined while it is not known. */
  readonly dayBaseline: Amount | undefined;
  /** Result of the bot since then: realised and unrealised, fees and funding included. */
  readonly dayResult: Amount;
}

/** An entry of a size, and what it is measured against. */
export interface SizedEntry {
  readonly size: Size;
  readonly equity: Amount;
  readonly market: Market;
}

/** A proposal to open, with what it would take. */
export interface EntryProposal extends SizedEntry {
  readonly risk: BotConfig["risk"];
  readonly confidence: number;
  /** Margin that all bots of the account have committed. */
  readonly committed: Amount;
  /** What stop and target are measured from, before it is known what the entry fills at. */
  readonly price: Price;
}

interface Check<Facts> {
  readonly name: string;
  /** A sentence, whose reason is then the check's name, or a refusal that brings its own reason. */
  readonly refuses: (facts: Facts) => string | Refusal | undefined;
}

/** Candles arrive at least every minute while a market trades; three silent half-minutes are a dead stream. */
const STALE_AFTER_MS = 90_000;
/** A request may be signed with a time that is wrong by this: Bybit takes none that is more than 1 s ahead of its own. */
const CLOCK_UNCERTAINTY_MAX_MS = 1_000;
/** Half of what look-ups allow two clocks to differ (`work.ts`): beyond it an order's executions could be searched too late. */
const CLOCK_SKEW_MAX_MS = 300_000;

/** Checks that stand whatever is proposed. The first refusal is what the user sees first; the list reads as documentation. */
const standingChecks: readonly Check<Standing>[] = [
  {
    name: "NotRunning",
    refuses: ({ config }) =>
      config.state === "Running" ? undefined : `the bot is ${config.state}: it opens nothing`,
  },
  {
    name: "Halted",
    refuses: ({ config, symbol }) => {
      const halt = config.halts.find(({ symbols }) => symbols?.includes(symbol) ?? true);
      return halt && `halt ${halt.name} (${halt.action}) is in force`;
    },
  },
  { name: "ExchangeUnusable", refuses: ({ unusable }) => unusable },
  { name: "KeyUnfit", refuses: ({ key }) => key },
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
    name: "NoLease",
    refuses: ({ leaseRemainingMs }) =>
      leaseRemainingMs >= OPENING_LEASE_MS
        ? undefined
        : `the bot's lease lasts ${seconds(leaseRemainingMs)}: it must outlast what the exchange takes an order for, ${seconds(OPENING_LEASE_MS)}`,
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
    name: "EventLoopStalled",
    refuses: ({ stalledMs }) =>
      stalledMs === undefined
        ? undefined
        : `the process stood still for ${seconds(stalledMs)}: nothing is opened before all is seen again`,
  },
  {
    name: "StaleData",
    refuses: ({ dataAgeMs }) =>
      dataAgeMs !== undefined && dataAgeMs <= STALE_AFTER_MS
        ? undefined
        : "no candles arrive from the exchange: nothing is opened on old data",
  },
  {
    name: "ClockSkew",
    refuses: ({ clock }) => {
      if (clock === undefined) return "the exchange's time is not known yet";
      const { skewMs, uncertaintyMs } = clock;
      if (uncertaintyMs > CLOCK_UNCERTAINTY_MAX_MS) {
        return `the exchange's time is known to ${seconds(uncertaintyMs)} only (limit ${seconds(CLOCK_UNCERTAINTY_MAX_MS)}): this machine's clock was set, or answers take too long`;
      }
      if (Math.abs(skewMs) <= CLOCK_SKEW_MAX_MS) return undefined;
      return `this machine's clock is ${seconds(skewMs)} ahead of the exchange's (limit ${seconds(CLOCK_SKEW_MAX_MS)} either way)`;
    },
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
      if (dayResult.gt(leastDayResult(config.risk, dayBaseline))) return undefined;
      return `the day's loss ${text(dayResult)} has reached ${config.risk.dailyLossPercent} % of ${text(dayBaseline)}: nothing is opened until 00:00 UTC`;
    },
  },
  {
    name: "AutoTradeOff",
    refuses: ({ config }) =>
      config.autoTrade ? undefined : "autoTrade is off: signals are recorded, no order is sent",
  },
];

/** Checks of a size against the account and the market's rules. */
const sizeChecks: readonly Check<SizedEntry>[] = [
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
];

/** Checks of one proposal. */
const entryChecks: readonly Check<EntryProposal>[] = [
  {
    name: "LowConfidence",
    refuses: ({ confidence, risk }) => {
      const wanted = risk.minConfidence;
      return confidence >= wanted
        ? undefined
        : `confidence ${confidence.toFixed(1)} is below minConfidence ${wanted}`;
    },
  },
  {
    name: "LeverageTooHigh",
    refuses: ({ market, risk: { leverage } }) => {
      return leverage <= market.maximumLeverage
        ? undefined
        : `leverage ${leverage} is above ${market.maximumLeverage}, the most for ${market.symbol}`;
    },
  },
  {
    name: "StopBeyondLiquidation",
    refuses: ({ risk, market }) => {
      if (isStopNearEnough(market, risk)) return undefined;
      const { leverage, stopLossPercent } = risk;
      const farthest = leveredStopLimit(leverage, market).div(leverage);
      const limit = farthest.toDecimalPlaces(2, Decimal.ROUND_DOWN);
      return `a stop at ${stopLossPercent} % with leverage ${leverage} lies beyond liquidation, or too near to it: it must be below ${text(limit)} %`;
    },
  },
  {
    name: "LevelsBelowTick",
    refuses: ({ price, risk: { stopLossPercent, takeProfitPercent }, market }) => {
      const nearest = Math.min(stopLossPercent, takeProfitPercent);
      if (price.times(nearest).gte(hundredTicks(market))) return undefined;
      return `${nearest} % of ${text(price)} is less than the price step ${text(market.tick)} of ${market.symbol}: its stop or target could be at the price itself; raise the percentage, or leave the symbol`;
    },
  },
  {
    name: "PositionTooLarge",
    refuses: ({ size, equity, risk: { positionPercent } }) => {
      return size.margin.times(100).lte(equity.times(positionPercent))
        ? undefined
        : `margin ${text(size.margin)} is above ${positionPercent} % of equity`;
    },
  },
  {
    name: "BalanceCommitted",
    refuses: ({ size, equity, committed, risk: { balancePercent } }) => {
      const total = committed.plus(size.margin);
      return total.times(100).lte(equity.times(balancePercent))
        ? undefined
        : `the account would commit ${text(amount(total.toDecimalPlaces(2)))}, above ${balancePercent} % of its equity ${text(equity)}`;
    },
  },
];

/**
 * Why nothing can be opened now; empty when entries are possible. `outlook` is what an entry would be like at the last price and
 * balance: one that would be too small is told before there is a signal. Undefined while one of them is not known.
 */
export function blocked(standing: Standing, outlook: SizedEntry | undefined): readonly Refusal[] {
  const sizes = outlook === undefined ? [] : refusals(sizeChecks, outlook);
  return [...refusals(standingChecks, standing), ...sizes];
}

/** The first reason why nothing can be opened now, whatever its size. */
export function firstBlock(standing: Standing): Refusal | undefined {
  return firstRefusal(standingChecks, standing);
}

/** The first reason against this entry where nothing is blocked; undefined lets it pass. Reducing orders never come here. */
export function entryRefusal(proposal: EntryProposal): Refusal | undefined {
  return firstRefusal(sizeChecks, proposal) ?? firstRefusal(entryChecks, proposal);
}

const HUNDRED = new Decimal(100);

/** The day's loss has reached its limit when its result is no more than this. Exact: dividing by 100 moves the point. */
const leastDayResult = oncePerPair(({ dailyLossPercent }: BotConfig["risk"], baseline: Amount) =>
  baseline.times(dailyLossPercent).div(-100),
);

const hundredTicks = oncePer(({ tick }: Market) => tick.times(HUNDRED));

const isStopNearEnough = oncePerPair(
  (market: Market, { leverage, stopLossPercent }: BotConfig["risk"]) =>
    leveredStopLimit(leverage, market).gt(new Decimal(stopLossPercent).times(leverage)),
);

/**
 * How far a stop may be from the entry price, in percent of the margin: leverage times what it is in percent of the price
 * (crds/src/farthest-stop.ts), so that an entry waits for no quotient. The maintenance rate is half of the least initial margin,
 * 1/maximum leverage, in the first tier of every contract.
 */
function leveredStopLimit(leverage: number, { maximumLeverage }: Market): Decimal {
  const half = 50 / maximumLeverage;
  const maintenance =
    half < LEAST_MAINTENANCE_PERCENT
      ? new Decimal(LEAST_MAINTENANCE_PERCENT)
      : new Decimal(50).div(maximumLeverage);
  return HUNDRED.minus(maintenance.times(leverage)).times(LIQUIDATION_SHARE);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function refusals<Facts>(checks: readonly Check<Facts>[], facts: Facts): readonly Refusal[] {
  return checks.flatMap((check) => refusalOf(check, facts) ?? []);
}

function firstRefusal<Facts>(checks: readonly Check<Facts>[], facts: Facts): Refusal | undefined {
  for (const check of checks) {
    const refusal = refusalOf(check, facts);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function refusalOf<Facts>({ name, refuses }: Check<Facts>, facts: Facts): Refusal | undefined {
  const refusal = refuses(facts);
  return typeof refusal === "string" ? { reason: name, message: refusal } : refusal;
}

/** What all bots of an account may commit together, by this one's configuration. */
export function commitmentLimit(equity: Amount, balancePercent: number): Amount {
  return amount(equity.times(balancePercent).div(100));
}

/** Margin that is not free: what every position and order of the account has taken. */
export function committedMargin(balance: {
  readonly equity: Amount;
  readonly available: Amount;
}): Amount {
  const committed = balance.equity.minus(balance.available);
  return committed.isNegative() ? ZERO_AMOUNT : amount(committed);
}
