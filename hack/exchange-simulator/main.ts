import { parseArgs } from "node:util";
import { startExchangeSimulator } from "./server.ts";
import type { ReplaySpeed } from "./replay.ts";

const usage = `A Bybit v5 exchange over replayed candles.

  --port 8090            PORT             port for REST, WebSocket and /control
  --host 127.0.0.1       HOST             address to listen on
  --candles-dir DIR      CANDLES_DIR      bybit-linear-<symbol>-<interval>-*.csv.gz files (default: the committed slice)
  --symbols A,B          SYMBOLS          BTCUSDT,ETHUSDT
  --interval 1m          INTERVAL         of the recorded candles
  --speed 1              SPEED            candles per second (0 pauses, at most 400, fractions allowed), or lockstep
  --history 2880         HISTORY_CANDLES  candles that are past when the replay begins
  --skew-ms 0            SKEW_MS          server clock minus wall clock
  --seed random          SEED             repeats order and execution ids and random faults
`;

const { values } = parseArgs({
  options: {
    port: { type: "string", default: process.env["PORT"] ?? "8090" },
    host: { type: "string", default: process.env["HOST"] ?? "127.0.0.1" },
    "candles-dir": { type: "string", default: process.env["CANDLES_DIR"] ?? "" },
    symbols: { type: "string", default: process.env["SYMBOLS"] ?? "BTCUSDT,ETHUSDT" },
    interval: { type: "string", default: process.env["INTERVAL"] ?? "1m" },
    speed: { type: "string", default: process.env["SPEED"] ?? "1" },
    history: { type: "string", default: process.env["HISTORY_CANDLES"] ?? "2880" },
    "skew-ms": { type: "string", default: process.env["SKEW_MS"] ?? "0" },
    seed: { type: "string", default: process.env["SEED"] ?? "random" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(usage);
} else {
  await run();
}

async function run(): Promise<void> {
  const directory = values["candles-dir"];
  const simulator = await startExchangeSimulator({
    port: integer("port", values.port),
    host: values.host,
    ...(directory === "" ? {} : { candlesDirectory: directory }),
    symbols: values.symbols.split(","),
    interval: values.interval,
    speed: speedOf(values.speed),
    historyCandles: integer("history", values.history),
    skewMs: integer("skew-ms", values["skew-ms"]),
    ...(values.seed === "random" ? {} : { seed: integer("seed", values.seed) }),
  });
  const clock = simulator.control.clock();
  console.log(
    `exchange simulator at ${simulator.url}: ${clock.candlesRemaining} candles from ` +
      `${new Date(clock.replayTime).toISOString()}, ${clock.mode}, speed ${clock.speed}`,
  );
  const stop = (): void => {
    void simulator.close();
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

function integer(name: string, value: string): number {
  const number = Number(value);
  if (Number.isInteger(number)) return number;
  throw new Error(`--${name} must be a whole number, not ${value}`);
}

function speedOf(value: string): ReplaySpeed {
  if (value === "lockstep") return value;
  const number = Number(value);
  if (value !== "" && !Number.isNaN(number)) return number;
  throw new Error(`--speed must be a number or lockstep, not ${value}`);
}
