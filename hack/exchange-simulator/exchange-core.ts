import { type CandleSeries, checkedSeries } from "./candles.ts";
import { createServerClock } from "./clock.ts";
import { type Control, createControl } from "./control.ts";
import { Exchange } from "./exchange.ts";
import { Faults } from "./faults.ts";
import { instrumentOf } from "./instruments.ts";
import { rememberPosition } from "./late-positions.ts";
import { Market } from "./market.ts";
import { PrivateStream } from "./private-stream.ts";
import { PublicStream } from "./public-stream.ts";
import { createRandom, randomUuid } from "./random.ts";
import { RateLimits } from "./rate-limits.ts";
import { Replay, type ReplaySpeed } from "./replay.ts";

export interface CoreOptions {
  /** All over the same times. */
  readonly candles: readonly CandleSeries[];
  /** How many of them are past when the replay begins. */
  readonly historyCandles: number;
  readonly speed: ReplaySpeed;
  /** What the server clock goes by, ms. */
  readonly nowMs: () => number;
  /** Server clock minus that clock, ms. */
  readonly skewMs: number;
  /** Repeats ids and random faults. */
  readonly seed: number;
}

/** The exchange without a way to reach it: what HTTP and WebSockets (server.ts) and callers in the process share. */
export interface ExchangeCore {
  readonly exchange: Exchange;
  readonly faults: Faults;
  readonly rateLimits: RateLimits;
  readonly replay: Replay;
  readonly publicStream: PublicStream;
  readonly privateStream: PrivateStream;
  readonly control: Control;
}

export function createExchangeCore(options: CoreOptions): ExchangeCore {
  const allSeries = options.candles.map((series) => checkedSeries(series, series.symbol));
  for (const { symbol } of allSeries) instrumentOf(symbol);
  // One source for each use, so that a further connection or fault changes no order's id.
  const random = (purpose: number) => createRandom(options.seed, purpose);
  const [forIds, forFaults, forConnections] = [random(0), random(1), random(2)];
  const clock = createServerClock(options.nowMs, options.skewMs);
  const market = new Market(allSeries, options.historyCandles);
  const faults = new Faults(forFaults);
  const forStreams = { clock, faults, newId: () => randomUuid(forConnections) };
  const publicStream = new PublicStream({
    market,
    isClosed: (symbol) => exchange.symbolStatus(symbol) === "Closed",
    ...forStreams,
  });
  const privateStream = new PrivateStream({ exchange: () => exchange, ...forStreams });
  const replay: Replay = new Replay({
    market,
    speed: options.speed,
    onOpen: () => exchange.onOpen(),
    onTick: (event) => exchange.onTick(event),
    onCandle: () => publicStream.publish(),
    onStanding: () => exchange.settleAll(),
  });
  const exchange: Exchange = new Exchange({
    market,
    clock,
    newId: () => randomUuid(forIds),
    isStanding: () => replay.isStanding(),
    onChange: (account, event) => {
      rememberPosition(account, event, exchange.trading);
      privateStream.publish(account, event);
    },
  });
  const control = createControl({ exchange, replay, faults });
  const rateLimits = new RateLimits();
  return { exchange, faults, rateLimits, replay, publicStream, privateStream, control };
}
