import { expect, test, vi } from "vitest";
import type { Candle } from "./candles.ts";
import { Market } from "./market.ts";
import type { Tick } from "./matching.ts";
import { Replay, type ReplaySpeed } from "./replay.ts";

const MINUTE_MS = 60_000;

function startedReplay(speed: ReplaySpeed) {
  const candles = Array.from({ length: 6 }, (_, i): Candle => {
    const price = `${100 + i}`;
    return {
      start: i * MINUTE_MS,
      open: price,
      high: `${110 + i}`,
      low: `${90 + i}`,
      close: price,
      volume: "1",
    };
  });
  const market = new Market([{ symbol: "ETHUSDT", intervalMs: MINUTE_MS, candles }], 3);
  const heard: string[] = [];
  const replay = new Replay({
    market,
    speed,
    onOpen: () => {},
    onTick: ({ tick }) => {
      heard.push(shown(tick));
    },
    onCandle: () => {
      heard.push(market.isOpened() ? "opened" : "closed");
    },
    onStanding: () => {
      heard.push("standing");
    },
  });
  replay.start();
  return { replay, heard };
}

function shown(tick: Tick): string {
  if (tick.kind === "price") return `at ${tick.price.toFixed()}`;
  return `${tick.low.toFixed()}..${tick.high.toFixed()}`;
}

const CANDLE_3 = ["at 103", "opened", "93..113", "at 103", "closed"];

test("lockstep plays open, inside and close of each candle, and only on request", () => {
  const { replay, heard } = startedReplay("lockstep");
  expect(replay.clock()).toMatchObject({
    mode: "lockstep",
    candlesEmitted: 0,
    replayTime: 3 * MINUTE_MS,
  });
  expect(replay.step(1)).toBe(1);
  expect(heard).toEqual(CANDLE_3);
  expect(replay.clock()).toMatchObject({
    candlesEmitted: 1,
    candlesRemaining: 2,
    replayTime: 4 * MINUTE_MS,
  });
});

test("the end stands still and says so", () => {
  const { replay, heard } = startedReplay("lockstep");
  expect(replay.step(10)).toBe(3);
  expect(heard.slice(-2)).toEqual(["closed", "standing"]);
  expect(replay.clock()).toMatchObject({ mode: "ended", candlesRemaining: 0 });
  expect(replay.isStanding()).toBe(true);
});

test("at a speed the open comes half a period after the close", () => {
  vi.useFakeTimers();
  const { replay, heard } = startedReplay(10);
  vi.advanceTimersByTime(49);
  expect(heard).toEqual([]);
  vi.advanceTimersByTime(2);
  expect(heard).toEqual(CANDLE_3.slice(0, 2));
  vi.advanceTimersByTime(50);
  expect(heard).toEqual(CANDLE_3);
  replay.setSpeed(0);
  expect(heard.at(-1)).toBe("standing");
  vi.advanceTimersByTime(1_000);
  expect(replay.clock()).toMatchObject({ mode: "paused", candlesEmitted: 1 });
  replay.stop();
  vi.useRealTimers();
});

test.for([-1, 401, Number.NaN, 0.0001])("speed %s is refused", (speed) => {
  expect(() => startedReplay(speed)).toThrow("speed must be lockstep, 0 or 0.001 to 400");
});
