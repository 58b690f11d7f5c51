import { randomInt } from "node:crypto";
import { fileURLToPath } from "node:url";
import Fastify, { type FastifyInstance } from "fastify";
import { type CandleSeries, loadCandles } from "./candles.ts";
import { type Control, registerControlApi } from "./control.ts";
import { createExchangeCore } from "./exchange-core.ts";
import type { ReplaySpeed } from "./replay.ts";
import { registerRestApi } from "./rest/rest-api.ts";
import { StreamServer } from "./stream-server.ts";

const MAX_SEED = 2 ** 32;
const MAX_BODY_BYTES = 64 * 1_024;
/** Two days of minutes: enough for indicators on hourly candles. */
const DEFAULT_HISTORY_CANDLES = 2_880;
const PUBLIC_STREAM_PATH = "/v5/public/linear";
const PRIVATE_STREAM_PATH = "/v5/private";
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
  /** Repeats order and execution ids and random faults; another one at every start without it. */
  readonly seed?: number;
  readonly log?: boolean;
}

export interface ExchangeSimulator {
  /** For every string in ccxt's `urls.api`. */
  readonly url: string;
  readonly websocketUrl: string;
  readonly privateWebsocketUrl: string;
  readonly control: Control;
  readonly close: () => Promise<void>;
}

/**
 * Starts a stateful Bybit v5 (linear USDT perpetuals, one-way mode, unified cross margin account) over replayed candles: REST
 * under `/v5`, the public kline stream, the private stream, and `/control`, on one port. The same without a port, a signature or
 * a timer is `createInProcessExchange` (in-process.ts).
 *
 * Two clocks. Server time, signatures, order and execution times are wall clock plus `skewMs`; candles carry replay time.
 *
 * Where it differs from Bybit:
 * - The market is its candles: no book, no spread, no depth; mark, index, bid and ask are the last price. Orders never move it.
 * - Orders are filled whole unless the settings ask for parts (one a price; Bybit's market order takes all of its parts in one match). A market order trades at the next replayed price: the next candle's open when sent between candles,
 *   the candle's close when sent after its open. While the market stands still (paused, or after the last candle) it trades at
 *   the last price at once. In lockstep it waits for the step.
 * - Stops and targets: Full mode, market, last price. Inside a candle a stop is served before a target.
 * - Fees and results keep every decimal; Bybit rounds them to eight. Funding, liquidation, rate limits, maintenance and delisting
 *   happen only when the control asks for them (settings.ts), faults likewise (faults.ts).
 * - Liquidation takes the whole account over at bankruptcy prices at once: no ladder, no risk tiers above the lowest, no ADL.
 *   Delisted positions are settled at the last price free of charge. In hedge mode the account shows and takes no more than that.
 * - The private stream tells every change at once and singly; Bybit also repeats the position at every order.
 * - What is not simulated is refused by name, never ignored; unknown paths answer 404.
 */
export async function startExchangeSimulator(
  options: SimulatorOptions,
): Promise<ExchangeSimulator> {
  const core = createExchangeCore({
    candles: await candlesFor(options),
    historyCandles: options.historyCandles ?? DEFAULT_HISTORY_CANDLES,
    speed: options.speed,
    nowMs: () => Date.now(),
    skewMs: options.skewMs ?? 0,
    seed: options.seed ?? randomInt(MAX_SEED),
  });
  const streams = new StreamServer({
    [PUBLIC_STREAM_PATH]: core.publicStream,
    [PRIVATE_STREAM_PATH]: core.privateStream,
  });

  const app = createApp(options.log ?? false);
  registerRestApi(app, core);
  registerControlApi(app, core.control);
  app.server.on("upgrade", (request, socket, head) => streams.accept(request, socket, head));
  const address = await listen(app, options);
  core.replay.start();

  return {
    url: `http://${address}`,
    websocketUrl: `ws://${address}${PUBLIC_STREAM_PATH}`,
    privateWebsocketUrl: `ws://${address}${PRIVATE_STREAM_PATH}`,
    control: core.control,
    close: async () => {
      core.replay.stop();
      streams.close();
      await app.close();
    },
  };
}

async function candlesFor(options: SimulatorOptions): Promise<readonly CandleSeries[]> {
  const { candles, interval = "1m" } = options;
  if (candles !== undefined) return candles;
  const directory =
    options.candlesDirectory ?? fileURLToPath(new URL("./candles", import.meta.url));
  const symbols = options.symbols ?? DEFAULT_SYMBOLS;
  return Promise.all(symbols.map((symbol) => loadCandles(directory, symbol, interval)));
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
