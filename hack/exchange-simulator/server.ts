import { fileURLToPath } from "node:url";
import Fastify, { type FastifyInstance } from "fastify";
import { type CandleSeries, checkedSeries, loadCandles } from "./candles.ts";
import { createServerClock } from "./clock.ts";
import { type Control, createControl, registerControlApi } from "./control.ts";
import { Exchange } from "./exchange.ts";
import { instrumentOf } from "./instruments.ts";
import { KlineStream, STREAM_PATH } from "./kline-stream.ts";
import { Market } from "./market.ts";
import { Replay, type ReplaySpeed } from "./replay.ts";
import { registerRestApi } from "./rest/rest-api.ts";

const MAX_BODY_BYTES = 64 * 1_024;
/** Two days of minutes: enough for indicators on hourly candles. */
const DEFAULT_HISTORY_CANDLES = 2_880;
const DEFAULT_SYMBOLS = ["BTCUSDT", "ETHUSDT"];

export interface SimulatorOptions {
  /** 0 (the default) lets the system choose. */
  readonly port?: number;
  /** Loopback by default. */
  readonly host?: string;
  readonly candlesDirectory?: string;
  readonly symbols?: readonly string[];
  /** Of the recorded candles: "1m" by default. */
  readonly interval?: string;
  /** Instead of files: candles in memory, all over the same times. */
  readonly candles?: readonly CandleSeries[];
  /** How many candles are past when the replay begins. */
  readonly historyCandles?: number;
  /** Candles per second, 0 for a pause, or "lockstep". */
  readonly speed: ReplaySpeed;
  /** Server clock minus wall clock, ms. */
  readonly skewMs?: number;
  readonly log?: boolean;
}

export interface ExchangeSimulator {
  /** For every string in ccxt's `urls.api`. */
  readonly url: string;
  readonly websocketUrl: string;
  readonly control: Control;
  readonly close: () => Promise<void>;
}

/**
 * Starts a stateful Bybit v5 (linear USDT perpetuals, one-way mode, unified account) over replayed candles: REST under `/v5`,
 * the public kline stream, and `/control`, on one port.
 *
 * Two clocks. Server time, signatures, order and execution times are wall clock plus `skewMs`; candles carry replay time.
 *
 * Where it differs from Bybit:
 * - The market is its candles: no book, no spread, no depth; mark, index, bid and ask are the last price. Orders never move it.
 * - Orders are filled whole. A market order trades at the next replayed price: the next candle's open when sent between candles,
 *   the candle's close when sent after its open. While the market stands still (paused, or after the last candle) it trades at
 *   the last price at once. In lockstep it waits for the step.
 * - Stops and targets: Full mode, market, last price. Inside a candle a stop is served before a target.
 * - Fees and results keep every decimal; Bybit rounds them to eight. No funding, no liquidation, no rate limits.
 * - What is not simulated is refused by name, never ignored; unknown paths answer 404.
 */
export async function startExchangeSimulator(
  options: SimulatorOptions,
): Promise<ExchangeSimulator> {
  const allSeries = await candlesFor(options);
  const clock = createServerClock(options.skewMs ?? 0);
  const market = new Market(allSeries, options.historyCandles ?? DEFAULT_HISTORY_CANDLES);
  const stream = new KlineStream({ market, clock });
  const replay: Replay = new Replay({
    market,
    speed: options.speed,
    onTick: (event) => exchange.onTick(event),
    onCandle: () => stream.publish(),
    onStanding: () => exchange.settleAll(),
  });
  const exchange = new Exchange({ market, clock, isStanding: () => replay.isStanding() });
  const control = createControl({ exchange, replay });

  const app = createApp(options.log ?? false);
  registerRestApi(app, exchange);
  registerControlApi(app, control);
  app.server.on("upgrade", (request, socket, head) => stream.accept(request, socket, head));
  const address = await listen(app, options);
  replay.start();

  return {
    url: `http://${address}`,
    websocketUrl: `ws://${address}${STREAM_PATH}`,
    control,
    close: async () => {
      replay.stop();
      stream.close();
      await app.close();
    },
  };
}

async function candlesFor(options: SimulatorOptions): Promise<readonly CandleSeries[]> {
  const { candles, interval = "1m" } = options;
  const directory =
    options.candlesDirectory ?? fileURLToPath(new URL("./candles", import.meta.url));
  const allSeries =
    candles?.map((series) => checkedSeries(series, series.symbol)) ??
    (await Promise.all(
      (options.symbols ?? DEFAULT_SYMBOLS).map((symbol) =>
        loadCandles(directory, symbol, interval),
      ),
    ));
  for (const { symbol } of allSeries) instrumentOf(symbol);
  return allSeries;
}

function createApp(log: boolean): FastifyInstance {
  const app = Fastify({ logger: log, bodyLimit: MAX_BODY_BYTES, forceCloseConnections: true });
  app.removeAllContentTypeParsers();
  // As text: the signature covers the bytes of the body.
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));
  app.setNotFoundHandler((request, reply) =>
    reply
      .code(404)
      .type("text/plain")
      .send(`404 ${request.method} ${request.url} is not simulated`),
  );
  return app;
}

async function listen(app: FastifyInstance, options: SimulatorOptions): Promise<string> {
  const url = await app.listen({ port: options.port ?? 0, host: options.host ?? "127.0.0.1" });
  return new URL(url).host;
}
