import { parseArgs } from "node:util";
import { Risk } from "@tradingbots/crds";
import { amount, Decimal, price, type Price, quantity, type Quantity } from "../money.ts";
import type { Sizing } from "./entry-desk.ts";

const RISK = Risk.parse({});
const FEE_PERCENT = "0.055";
const NOTIONAL = "1000";

export const USAGE = `Trades recorded candles by a bot's own strategy and risk gate.

  npx tradingbots-backtest --candles FILE.csv.gz --strategy rsi --json OUT.json

  --candles FILE             .csv or .csv.gz with the columns openTime,open,high,low,close,volume; openTime in ms UTC
  --strategy NAME            rsi
  --params JSON              the strategy's parameters, such as '{"period":14,"direction":"long"}'; absent ones take its defaults
  --stop-loss-percent P      ${RISK.stopLossPercent}
  --take-profit-percent P    ${RISK.takeProfitPercent}
  --fee-percent P            of the value of each fill (${FEE_PERCENT})
  --tick STEP|none           what stop and target are rounded to; default: the last decimal place that the file's prices use
  --min-confidence N         signals below it open nothing (${RISK.minConfidence})
  --from TIME                earlier candles are shown to the strategy but open nothing, such as 2025-06-20 or 2025-06-20T12:00Z
  --json OUT.json            writes trades and summary there, and a plot of price, trades and result to OUT.svg

How large a position is, one of:
  --notional N               each has this value at its fill price (${NOTIONAL})
  --balance N                as a bot sizes it: N is the account's equity at the start, and all limits of the risk gate apply
    --position-percent P     ${RISK.positionPercent}
    --leverage N             ${RISK.leverage}
    --daily-loss-percent P   ${RISK.dailyLossPercent}
    --quantity-step STEP     quantities are cut to it, and it is the least quantity (0.001)

Rules. The strategy sees each candle at its close; RSI is TA-Lib's (Wilder's averages, seeded with the mean of the first changes).
A signal fills at the next candle's open; a candle whose signal closes a position opens none. Levels are the fill × (1 ± percent),
rounded to the tick, a half upwards. In each bar, in this order: a signal's exit at the open; a bar that opens at a level or beyond
it fills there at its open; stop and target inside the bar, from the entry's bar on, each at its level; touching is enough, and when
both are touched the stop was first. What is open at the end closes at the last close. Indicators are doubles, money is exact.
No slippage, funding or liquidation. Where a bar opens away from the close before it, a bot differs in two things, on purpose: its entry
carries levels around the signal's close for a fraction of a second, and a fill beyond one of them closes at once; and a signal's exit
that meets its stop at the same open is named "stop" there, at the same price. Unknown columns, disorder and duplicates are errors
that name the line; gaps are warnings.

In OUT.json times are the open times of the bars in which it happened (ISO 8601, UTC); prices and amounts are exact decimal strings.
`;

/** A fault of whoever typed the command; the sentence says what to do. */
export class UsageError extends Error {
  constructor(message: string) {
    super(`${message} (see --help)`);
    this.name = "UsageError";
  }
}

export interface BacktestOptions {
  readonly candles: string;
  readonly strategy: { readonly name: string; readonly params: Readonly<Record<string, unknown>> };
  readonly risk: Risk;
  readonly feePercent: Decimal;
  readonly sizing: Sizing;
  /** "file": the last decimal place that the prices of the candles use. */
  readonly tick: Price | "none" | "file";
  readonly fromMs: number | undefined;
  readonly json: string | undefined;
}

const definitions = {
  candles: { type: "string" },
  strategy: { type: "string", default: "rsi" },
  params: { type: "string", default: "{}" },
  "stop-loss-percent": { type: "string", default: String(RISK.stopLossPercent) },
  "take-profit-percent": { type: "string", default: String(RISK.takeProfitPercent) },
  "fee-percent": { type: "string", default: FEE_PERCENT },
  tick: { type: "string", default: "file" },
  "min-confidence": { type: "string", default: String(RISK.minConfidence) },
  from: { type: "string" },
  json: { type: "string" },
  notional: { type: "string" },
  balance: { type: "string" },
  "position-percent": { type: "string" },
  leverage: { type: "string" },
  "daily-loss-percent": { type: "string" },
  "quantity-step": { type: "string" },
  help: { type: "boolean", default: false },
} as const;

type Values = ReturnType<typeof parseValues>;
type RiskName =
  | Exclude<`${string}-percent` & keyof Values, "fee-percent">
  | "min-confidence"
  | "leverage";

/** Undefined when help is asked for. Throws `UsageError`. */
export function parseOptions(args: readonly string[]): BacktestOptions | undefined {
  const values = parseValues(args);
  if (values.help) return undefined;
  if (values.candles === undefined) throw new UsageError("--candles is missing");
  return {
    candles: values.candles,
    strategy: { name: values.strategy, params: parametersOf(values.params) },
    risk: riskOf(values),
    feePercent: decimalOf("fee-percent", values["fee-percent"], { least: 0, below: 100 }),
    sizing: sizingOf(values),
    tick: tickOf(values.tick),
    fromMs: values.from === undefined ? undefined : timeOf(values.from),
    json: values.json === undefined ? undefined : jsonFile(values.json),
  };
}

/** The plot's name is made of it. */
function jsonFile(name: string): string {
  if (name.endsWith(".json")) return name;
  throw new UsageError(`--json must end in .json, not ${name}: the plot is written beside it`);
}

/** `--notional -5` is a number that is refused as one, not a missing value. */
const NEGATIVE = /^-\d/;

function parseValues(typed: readonly string[]) {
  const args = typed.flatMap((each, index) => {
    if (NEGATIVE.test(each)) return [];
    const next = typed[index + 1] ?? "";
    return each.startsWith("--") && NEGATIVE.test(next) ? [`${each}=${next}`] : [each];
  });
  try {
    return parseArgs({ args, options: definitions }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function parametersOf(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed))
      return { ...parsed };
  } catch {
    // Said below.
  }
  throw new UsageError(`--params must be a JSON object, not ${text}`);
}

function riskOf(values: Values): Risk {
  const given = (name: RiskName, bounds: Bounds, fallback: number): number => {
    const text = values[name];
    return text === undefined ? fallback : decimalOf(name, text, bounds).toNumber();
  };
  return {
    ...RISK,
    // A stop of 100 % would lie at zero, where no price is.
    stopLossPercent: given("stop-loss-percent", { above: 0, below: 100 }, RISK.stopLossPercent),
    takeProfitPercent: given("take-profit-percent", { above: 0 }, RISK.takeProfitPercent),
    minConfidence: given("min-confidence", { least: 0 }, RISK.minConfidence),
    positionPercent: given("position-percent", { above: 0, most: 100 }, RISK.positionPercent),
    leverage: given("leverage", { least: 1, most: 100 }, RISK.leverage),
    dailyLossPercent: given("daily-loss-percent", { above: 0, most: 100 }, RISK.dailyLossPercent),
  };
}

const ONLY_WITH_BALANCE = [
  "position-percent",
  "leverage",
  "daily-loss-percent",
  "quantity-step",
] as const;

function sizingOf(values: Values): Sizing {
  const { balance, notional } = values;
  if (balance === undefined) {
    const lost = ONLY_WITH_BALANCE.find((name) => values[name] !== undefined);
    if (lost !== undefined) throw new UsageError(`--${lost} needs --balance`);
    const given = decimalOf("notional", notional ?? NOTIONAL, { above: 0 });
    return { kind: "notional", notional: amount(given) };
  }
  if (notional !== undefined) throw new UsageError("--notional and --balance exclude each other");
  const step = decimalOf("quantity-step", values["quantity-step"] ?? "0.001", { above: 0 });
  return {
    kind: "account",
    balance: amount(decimalOf("balance", balance, { above: 0 })),
    market: boundlessMarket(quantity(step)),
  };
}

/** What only an exchange could limit, and a candle file does not tell, is not limited. */
function boundlessMarket(step: Quantity): Extract<Sizing, { kind: "account" }>["market"] {
  return {
    symbol: "the candles",
    quoteCurrency: "",
    quantityStep: step,
    minimumQuantity: step,
    maximumQuantity: quantity("1e24"),
    minimumValue: amount("0"),
    maximumLeverage: Number.POSITIVE_INFINITY,
  };
}

function tickOf(text: string): BacktestOptions["tick"] {
  if (text === "none" || text === "file") return text;
  return price(decimalOf("tick", text, { above: 0 }));
}

function timeOf(text: string): number {
  // Without a zone a date with a time would be local.
  const isUtc = /^\d{4}-\d\d-\d\d(T[\d:.]+Z)?$/.test(text);
  const timeMs = Date.parse(text);
  if (isUtc && !Number.isNaN(timeMs)) return timeMs;
  throw new UsageError(`--from must be like 2025-06-20 or 2025-06-20T12:00Z, not ${text}`);
}

interface Bounds {
  readonly least?: number;
  readonly above?: number;
  readonly below?: number;
  readonly most?: number;
}

/** Longer ones are not an amount of anything, and would make every sum slow. */
const MAX_DECIMAL_LENGTH = 24;

function decimalOf(name: string, text: string, bounds: Bounds): Decimal {
  if (!/^\d+(\.\d+)?$/.test(text) || text.length > MAX_DECIMAL_LENGTH)
    throw new UsageError(`--${name} must be a decimal number, not ${text}`);
  const value = new Decimal(text);
  const { least, above, below, most } = bounds;
  const faults = [
    least !== undefined && value.lt(least) ? `at least ${least}` : undefined,
    above !== undefined && value.lte(above) ? `above ${above}` : undefined,
    below !== undefined && value.gte(below) ? `below ${below}` : undefined,
    most !== undefined && value.gt(most) ? `at most ${most}` : undefined,
  ].filter((fault) => fault !== undefined);
  if (faults.length > 0)
    throw new UsageError(`--${name} must be ${faults.join(", ")}, not ${text}`);
  return value;
}
