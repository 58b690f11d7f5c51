import { describe, expect, test } from "vitest";
import type { Candle, CandleQuery } from "../exchange/exchange.ts";
import { price } from "../money.ts";
import { CandleSeries } from "./candle-series.ts";

const MINUTE = 60_000;

function candle(minute: number, close = 100 + minute): Candle {
  const at = price(String(close));
  return { openTimeMs: minute * MINUTE, open: at, high: at, low: at, close: at };
}

/** An exchange whose newest candle, number `newest`, is in progress. */
function source(newest: () => number) {
  const queries: CandleQuery[] = [];
  const fetchCandles = async (query: CandleQuery) => {
    queries.push(query);
    const from =
      query.sinceMs === undefined
        ? Math.max(0, newest() - query.limit + 1)
        : query.sinceMs / MINUTE;
    const length = Math.max(0, Math.min(newest() - from + 1, query.limit));
    return Array.from({ length }, (_, index) => candle(from + index));
  };
  return { queries, fetchCandles };
}

const options = {
  symbol: "BTC/USDT:USDT",
  timeframe: "1m",
  strategy: { name: "rsi", params: { period: 2 } },
} as const;

describe("CandleSeries", () => {
  test("starts with closed candles and leaves the one in progress out", async () => {
    const { fetchCandles } = source(() => 10);
    const series = new CandleSeries(options, fetchCandles);
    expect(series.needsCatchUp).toBe(true);
    expect(await series.catchUp()).toBeUndefined();
    expect(series.last?.openTimeMs).toBe(9 * MINUTE);
    expect(series.needsCatchUp).toBe(false);
  });

  test("takes the next candle at once and an old one never", async () => {
    const { fetchCandles } = source(() => 10);
    const series = new CandleSeries(options, fetchCandles);
    await series.catchUp();
    expect(series.push(candle(10), 0)?.candle.openTimeMs).toBe(10 * MINUTE);
    expect(series.push(candle(10), 0)).toBeUndefined();
    expect(series.push(candle(9), 0)).toBeUndefined();
    expect(series.last?.openTimeMs).toBe(10 * MINUTE);
  });

  test("fills a gap before the candle that showed it counts", async () => {
    let newest = 10;
    const { queries, fetchCandles } = source(() => newest);
    const series = new CandleSeries(options, fetchCandles);
    await series.catchUp();
    newest = 14;
    expect(series.push(candle(13), 7)).toBeUndefined();
    expect(series.needsCatchUp).toBe(true);
    expect(await series.catchUp()).toMatchObject({
      candle: { openTimeMs: 13 * MINUTE },
      sentMs: 7,
      // What was asked for while the others were fetched is newer.
      missedCloseMs: 14 * MINUTE,
    });
    expect(series.openTimes.slice(-5)).toEqual(
      [9, 10, 11, 12, 13].map((minute) => minute * MINUTE),
    );
    expect(queries.at(-1)?.sinceMs).toBe(10 * MINUTE);
  });

  test("a candle in progress shows what is missing before it, and that opens nothing", async () => {
    let newest = 10;
    const { fetchCandles } = source(() => newest);
    const series = new CandleSeries(options, fetchCandles);
    expect(series.see(candle(10), 1)).toBe(false);
    await series.catchUp();
    expect([series.see(candle(10), 2), series.needsCatchUp]).toEqual([false, false]);
    newest = 12;
    expect([series.see(candle(12), 3), series.see(candle(12), 4)]).toEqual([true, false]);
    expect(series.needsCatchUp).toBe(true);
    // Prices rise.
    expect(await series.catchUp()).toMatchObject({
      candle: { openTimeMs: 11 * MINUTE },
      proposal: { enter: undefined, exit: "long" },
      sentMs: 4,
    });
    expect([series.last?.openTimeMs, series.needsCatchUp]).toEqual([11 * MINUTE, false]);
    expect(series.push(candle(12), 5)?.proposal.enter).toBe("short");
  });

  test("what a missed candle wants closed is not lost with a quiet one after it", async () => {
    // The index is 80 at the candle that is missed, and 44 at the next.
    const closes = [100, 101, 100, 101, 100, 103, 100];
    const page = closes.map((close, minute) => candle(minute, close));
    const series = new CandleSeries(options, async ({ sinceMs = 0 }) =>
      sinceMs === 0 ? page.slice(0, 6) : page.filter(({ openTimeMs }) => openTimeMs >= sinceMs),
    );
    await series.catchUp();
    expect(series.last?.openTimeMs).toBe(4 * MINUTE);
    series.push(candle(6, 100), 9);
    expect(await series.catchUp()).toMatchObject({
      candle: { openTimeMs: 6 * MINUTE },
      proposal: { enter: undefined, exit: "long" },
    });
  });

  test("a streamed candle that the first page holds already is not shown twice", async () => {
    const { fetchCandles } = source(() => 10);
    const series = new CandleSeries(options, fetchCandles);
    expect(series.push(candle(9), 0)).toBeUndefined();
    expect((await series.catchUp())?.candle.openTimeMs).toBe(9 * MINUTE);
    expect(series.openTimes.filter((time) => time === 9 * MINUTE).length).toBe(1);
  });

  test("a candle that is streamed while the first page is fetched does not block the series", async () => {
    const { fetchCandles } = source(() => 10);
    const series = new CandleSeries(options, async (query) => {
      series.push(candle(8), 0); // the page that is under way holds it too
      return fetchCandles(query);
    });
    await series.catchUp();
    expect(series.last?.openTimeMs).toBe(9 * MINUTE);
    expect(await series.catchUp()).toBeUndefined();
    expect(series.needsCatchUp).toBe(false);
    expect(series.push(candle(10), 0)?.candle.openTimeMs).toBe(10 * MINUTE);
  });

  test("a gap that the exchange cannot fill is an error, not a silence", async () => {
    const { fetchCandles } = source(() => 10);
    const series = new CandleSeries(options, fetchCandles);
    await series.catchUp();
    series.push(candle(20), 0);
    await expect(series.catchUp()).rejects.toThrow("the exchange has no candle");
    expect(series.needsCatchUp).toBe(true);
  });

  test("a candle that the exchange itself left out is passed over", async () => {
    let newest = 10;
    const { fetchCandles } = source(() => newest);
    const series = new CandleSeries(options, async (query) => {
      const page = await fetchCandles(query);
      return page.filter(({ openTimeMs }) => openTimeMs !== 12 * MINUTE);
    });
    await series.catchUp();
    newest = 15;
    series.push(candle(14), 0);
    expect((await series.catchUp())?.candle.openTimeMs).toBe(14 * MINUTE);
    expect(series.openTimes.slice(-3)).toEqual([11, 13, 14].map((minute) => minute * MINUTE));
  });

  test("a candle that was left out before the one in progress is asked for once", async () => {
    let queries = 0;
    const series = new CandleSeries(options, async ({ sinceMs = 0 }) => {
      queries += 1;
      const there = [...Array.from({ length: 20 }, (_, minute) => candle(minute)), candle(26)];
      return there.filter(({ openTimeMs }) => openTimeMs >= sinceMs);
    });
    await series.catchUp();
    expect(series.see(candle(26), 0)).toBe(true);
    const catchingUp = series.catchUp();
    series.see(candle(26), 1);
    await catchingUp;
    expect(series.needsCatchUp).toBe(false);
    const asked = queries;
    expect(series.see(candle(26), 2)).toBe(false);
    expect(series.needsCatchUp).toBe(false);
    expect(queries).toBe(asked);
    series.push(candle(26), 3);
    expect(await series.catchUp()).toMatchObject({ candle: { openTimeMs: 26 * MINUTE } });
  });

  test("a candle that is still in progress where it is asked for is not taken as closed", async () => {
    let newest = 10;
    const { fetchCandles } = source(() => newest);
    const series = new CandleSeries(options, fetchCandles);
    await series.catchUp();
    newest = 11;
    series.see(candle(12), 0);
    await expect(series.catchUp()).rejects.toThrow("has no candle");
    expect(series.last?.openTimeMs).toBe(10 * MINUTE);
    newest = 12;
    await series.catchUp();
    expect(series.last?.openTimeMs).toBe(11 * MINUTE);
  });

  test("after a gap longer than a page it starts again", async () => {
    let newest = 10;
    const { fetchCandles } = source(() => newest);
    const series = new CandleSeries(options, fetchCandles);
    await series.catchUp();
    newest = 5_000;
    series.push(candle(4_999), 0);
    expect((await series.catchUp())?.candle.openTimeMs).toBe(4_999 * MINUTE);
    expect(series.openTimes.length).toBeLessThanOrEqual(1_000);
  });
});
