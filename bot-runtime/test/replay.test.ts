import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Risk } from "@tradingbots/crds";
import { afterEach, expect, test } from "vitest";
import { type CandleSeries, loadCandles } from "../../hack/exchange-simulator/candles.ts";
import { instrumentOf } from "../../hack/exchange-simulator/instruments.ts";
import { type BacktestInput, runBacktest } from "../src/backtest/backtest.ts";
import { CandleCsvParser } from "../src/backtest/candle-csv.ts";
import { buildReport } from "../src/backtest/report.ts";
import { amount, Decimal, price, quantity, text } from "../src/money.ts";
import { protectionLevels } from "../src/orders/levels.ts";
import { accountOf, createWorld, endWorld, until, untilTrading, type World } from "./world.ts";

const CANDLES = fileURLToPath(new URL("../../hack/exchange-simulator/candles", import.meta.url));
/** Candles that are past when the simulator begins, and how many of them a bot warms up with. */
const HISTORY = 1_200;
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

/**
 * Plays one candle, its open first. A position that was opened there gets its levels moved to the fill before the inside of the
 * candle is played, as in real time, where that takes a fraction of a second. Then waits until the bot has dealt with the
 * candle, orders included: nothing of it is on its way.
 */
async function lockstep(it: World): Promise<void> {
  const before = (await it.bot.candlesDealtWith()) ?? NaN;
  it.exchange.control.halfStep();
  await until("levels are at the fill", () => isProtectedAtFill(it));
  it.exchange.control.halfStep();
  const deadline = Date.now() + PATIENCE_MS;
  while (((await it.bot.candlesDealtWith()) ?? NaN) !== before + 1) {
    if (Date.now() > deadline) throw new Error("the bot did not deal with a candle");
    await sleep(2);
  }
}

function isProtectedAtFill(it: World): boolean {
  const [held] = accountOf(it).positions;
  if (held === undefined) return true;
  const side = held.side === "Buy" ? "long" : "short";
  const position = { side, price: price(held.entryPrice ?? "0") } as const;
  const tick = price(instrumentOf("BTCUSDT").tickSize.toFixed());
  const levels = protectionLevels(position, it.config.risk, { tick });
  return held.stopLoss === text(levels.stopLoss) && held.takeProfit === text(levels.takeProfit);
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

/** As recorded: each candle opens where the one before closed. */
async function recorded(): Promise<CandleSeries> {
  return loadCandles(CANDLES, "BTCUSDT", "1m");
}

/** The recorded candles, each moved up or down as a whole, so that most open away from where the one before closed. */
async function jumping(): Promise<CandleSeries> {
  const series = await recorded();
  const candles = series.candles.map((candle, index) => {
    // −20 to 20 in no visible order, times 2 USDT: enough to open beyond the levels of a position that is near them. Never as
    // wide as a level is away: see below.
    const offset = (((index * 7_919) % 41) - 20) * 2;
    const moved = (given: string): string => new Decimal(given).plus(offset).toFixed();
    const { open, high, low, close } = candle;
    return {
      ...candle,
      open: moved(open),
      high: moved(high),
      low: moved(low),
      close: moved(close),
    };
  });
  return { ...series, candles };
}

interface Played {
  readonly series: CandleSeries;
  readonly candles: number;
  readonly settings: Pick<BacktestInput, "risk" | "strategy">;
}

function backtested({ series, candles, settings }: Played) {
  const parser = new CandleCsvParser("played");
  const rows = series.candles
    .slice(HISTORY - WARM_UP, HISTORY + candles)
    .map(({ start, open, high, low, close, volume }) =>
      [start, open, high, low, close, volume].join(),
    );
  parser.push(Buffer.from(["openTime,open,high,low,close,volume", ...rows].join("\n")));
  const { tickSize, quantityStep, minimumQuantity, maximumMarketQuantity, maximumLeverage } =
    instrumentOf("BTCUSDT");
  const input: BacktestInput = {
    ...settings,
    candles: parser.end(),
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
    fromMs: series.candles[HISTORY]?.start ?? NaN,
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
    market: recorded,
    candles: 250,
    params: { period: 5, buyBelow: 35, sellAbove: 65 },
    risk: { stopLossPercent: 0.1, takeProfitPercent: 0.15, dailyLossPercent: 100 },
    reasons: ["stop", "target", "signal"],
    refusals: [],
  },
  {
    name: "at an exchange that fills at once",
    fillsAtOnce: true,
    market: recorded,
    candles: 250,
    params: { period: 5, buyBelow: 35, sellAbove: 65 },
    risk: { stopLossPercent: 0.1, takeProfitPercent: 0.15, dailyLossPercent: 100 },
    reasons: ["stop", "target", "signal"],
    refusals: [],
  },
  {
    name: "candles that jump",
    market: jumping,
    candles: 300,
    params: { period: 5, buyBelow: 30, sellAbove: 70 },
    risk: { stopLossPercent: 0.1, takeProfitPercent: 0.15, dailyLossPercent: 100 },
    reasons: ["stop", "target", "signal"],
    refusals: [],
  },
  {
    name: "long only, until the day's loss ends it",
    market: recorded,
    candles: 200,
    params: { period: 3, buyBelow: 40, sellAbove: 60, direction: "long" },
    risk: { stopLossPercent: 0.1, takeProfitPercent: 0.15, dailyLossPercent: 1 },
    reasons: ["stop", "signal"],
    refusals: ["DailyLoss 2"],
  },
])(
  "backtest = replay: $name",
  { timeout: 300_000 },
  async ({ fillsAtOnce = false, market, candles, params, risk, reasons, refusals }) => {
    const settings = { strategy: { name: "rsi", params }, risk: Risk.parse(risk) };
    const series = await market();
    world = await createWorld({
      config: settings,
      simulator: { candles: [series], historyCandles: HISTORY },
    });
    world.exchange.control.changeSettings({ fillsAtOnce });
    await world.bot.start("pod-1");
    await untilTrading(world);
    const it = world;
    await until(
      "the first candle is dealt with",
      async () => (await it.bot.candlesDealtWith()) === 1,
    );
    for (let played = 1; played < candles; played += 1) await lockstep(it);

    const { trades, summary } = backtested({ series, candles, settings });
    const closed = trades.filter(({ reason }) => reason !== "end");
    await until("the journal has the last trade", () => liveTrades(it).length >= closed.length);
    expect(liveTrades(it)).toEqual(closed);
    expect(closed.length).toBeGreaterThan(10);
    expect(new Set(closed.map(({ reason }) => reason))).toEqual(new Set(reasons));
    // What the gate refused, it refused there too, as often.
    const refused = summary.refusals.map(({ reason, count }) => `${reason} ${count}`);
    expect(refused).toEqual(refusals);
    await until("the journal has the refusals", () =>
      summary.refusals.every(
        ({ reason, count }) =>
          it.journal.events.filter((event) => event.includes(reason)).length === count,
      ),
    );
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
  },
);
