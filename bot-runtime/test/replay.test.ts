import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Risk } from "@tradingbots/crds";
import { afterEach, expect, test } from "vitest";
import { instrumentOf } from "../../hack/exchange-simulator/instruments.ts";
import { type BacktestInput, runBacktest } from "../src/backtest/backtest.ts";
import { readCandleFile } from "../src/backtest/candle-file.ts";
import type { CandleTable } from "../src/backtest/candle-table.ts";
import { buildReport } from "../src/backtest/report.ts";
import { amount, Decimal, price, quantity } from "../src/money.ts";
import { accountOf, createWorld, endWorld, until, untilTrading, type World } from "./world.ts";

const BTC = fileURLToPath(
  new URL(
    "../../hack/exchange-simulator/candles/bybit-linear-BTCUSDT-1m-2025-06-18_29.csv.gz",
    import.meta.url,
  ),
);
/** Candles that are past when the simulator begins (its default), and how many of them a bot warms up with. */
const HISTORY = 2_880;
const WARM_UP = 999;
/** The simulator's taker fee. */
const FEE_PERCENT = "0.055";
const BALANCE = "10000";
const PATIENCE_MS = 30_000;

let world: World | undefined;

afterEach(async () => {
  if (world !== undefined) await endWorld(world);
  world = undefined;
});

/** Plays one candle and waits until the bot has dealt with it, orders included: then nothing of it is on its way. */
async function lockstep({ exchange, bot }: World): Promise<void> {
  const before = (await bot.candlesDealtWith()) ?? NaN;
  exchange.control.step(1);
  const deadline = Date.now() + PATIENCE_MS;
  while (((await bot.candlesDealtWith()) ?? NaN) !== before + 1) {
    if (Date.now() > deadline) throw new Error("the bot did not deal with a candle");
    await sleep(2);
  }
}

/** What a trade is: bars, prices, size and money, to the last decimal. */
interface TradeFacts {
  readonly side: string;
  readonly entryTime: string;
  readonly entryPrice: string;
  readonly exitTime: string;
  readonly exitPrice: string;
  readonly reason: string | null;
  readonly quantity: string;
  readonly fees: string;
  readonly pnl: string | null;
}

/** The journal's closed trades, with the bars of the exchange's executions: the journal has the times of the server's clock. */
function liveTrades(it: World): TradeFacts[] {
  const { executions } = accountOf(it);
  const bar = (index: number): string =>
    new Date(executions[index]?.replayTime ?? NaN).toISOString();
  return it.journal.trades
    .filter(({ closedAt }) => closedAt !== null)
    .map(({ id, side, entryPrice, exitPrice, reason, quantity: units, fees, pnl }) => {
      const entry = executions.findIndex(({ orderLinkId }) => orderLinkId === id);
      return {
        side,
        entryTime: bar(entry),
        entryPrice,
        exitTime: bar(entry + 1),
        exitPrice: exitPrice ?? "",
        reason,
        quantity: units,
        fees,
        pnl,
      };
    });
}

/** Candles `from` to `until`, as a file of them alone would be read. */
function slice(table: CandleTable, from: number, end: number): CandleTable {
  const cut = (column: Float64Array): Float64Array => column.subarray(from, end);
  return {
    ...table,
    length: end - from,
    openTimesMs: cut(table.openTimesMs),
    opens: cut(table.opens),
    highs: cut(table.highs),
    lows: cut(table.lows),
    closes: cut(table.closes),
  };
}

async function backtested(played: number, settings: Pick<BacktestInput, "risk" | "strategy">) {
  const table = await readCandleFile(BTC);
  const { tickSize, quantityStep, minimumQuantity, maximumMarketQuantity, maximumLeverage } =
    instrumentOf("BTCUSDT");
  const input: BacktestInput = {
    ...settings,
    candles: slice(table, HISTORY - WARM_UP, HISTORY + played),
    sizing: {
      kind: "account",
      balance: amount(BALANCE),
      market: {
        symbol: "BTC/USDT:USDT",
        quoteCurrency: "USDT",
        quantityStep: quantity(quantityStep.toFixed()),
        minimumQuantity: quantity(minimumQuantity.toFixed()),
        maximumQuantity: quantity(maximumMarketQuantity.toFixed()),
        minimumValue: amount("5"),
        maximumLeverage: maximumLeverage.toNumber(),
      },
    },
    feePercent: new Decimal(FEE_PERCENT),
    tick: price(tickSize.toFixed()),
    fromMs: table.openTimesMs[HISTORY] ?? NaN,
  };
  return buildReport(input, runBacktest(input));
}

/**
 * One process, one exchange over real sockets, one candle after the other: what the bot did there is what the backtest says
 * of the same candles, trade by trade, to the last decimal.
 */
test.each([
  {
    name: "both ways, narrow levels",
    candles: 700,
    params: { period: 5, buyBelow: 35, sellAbove: 65 },
    risk: { stopLossPercent: 0.15, takeProfitPercent: 0.2, dailyLossPercent: 100 },
    reasons: ["stop", "target", "signal"],
  },
  {
    name: "long only, until the day's loss ends it",
    candles: 400,
    params: { period: 3, buyBelow: 40, sellAbove: 60, direction: "long" },
    risk: { stopLossPercent: 0.1, takeProfitPercent: 0.3, dailyLossPercent: 1 },
    reasons: ["stop", "signal"],
  },
])("backtest = replay: $name", { timeout: 300_000 }, async ({ candles, params, risk, reasons }) => {
  const settings = { strategy: { name: "rsi", params }, risk: Risk.parse(risk) };
  world = await createWorld({ config: settings });
  await world.bot.start("pod-1");
  await untilTrading(world);
  const it = world;
  await until(
    "the first candle is dealt with",
    async () => (await it.bot.candlesDealtWith()) === 1,
  );
  for (let played = 1; played < candles; played += 1) await lockstep(it);

  const { trades, summary } = await backtested(candles, settings);
  const closed = trades.filter(({ reason }) => reason !== "end");
  await until("the journal has the last trade", () => liveTrades(it).length >= closed.length);
  expect(liveTrades(it)).toEqual(closed);
  expect(closed.length).toBeGreaterThan(10);
  expect(new Set(closed.map(({ reason }) => reason))).toEqual(new Set(reasons));
  // What the gate refused, it refused there too.
  const refusals = summary.refusals.map(({ reason }) => reason);
  const refusedThere = it.journal.events.filter((event) => event.includes("DailyLoss"));
  expect(refusedThere.length > 0).toBe(refusals.includes("DailyLoss"));
  // What the account has more is the sum of them, less the fee of what is open.
  const open = trades.find(({ reason }) => reason === "end");
  const earned = closed.reduce((sum, { pnl }) => sum.plus(pnl), new Decimal(0));
  const entryFee = new Decimal(open?.entryPrice ?? 0)
    .times(open?.quantity ?? 0)
    .times(FEE_PERCENT)
    .div(100);
  expect(new Decimal(accountOf(it).wallet.balance).toFixed()).toBe(
    earned.plus(BALANCE).minus(entryFee).toFixed(),
  );
});
