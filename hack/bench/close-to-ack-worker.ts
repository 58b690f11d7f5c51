import { parentPort, workerData } from "node:worker_threads";
import type { RecordBody } from "@tradingbots/crds";
import { z } from "zod";
import { createExchange } from "../../bot-runtime/src/exchange/bybit-ccxt.ts";
import { type ExchangeSimulator, startExchangeSimulator } from "../exchange-simulator/server.ts";
import { busyConfig, keyOf } from "./bench-config.ts";
import { startBotInProcess, type RunningBot } from "./bot-in-process.ts";
import { faultsOfOrders } from "./order-faults.ts";

/** Runs as a thread of its own: bots against their own simulator. Gives `Acknowledgements`. */
const Task = z.object({ seed: z.int(), bots: z.int(), entries: z.int() });
type Task = z.infer<typeof Task>;

const SYMBOLS = ["BTC/USDT:USDT", "ETH/USDT:USDT"];
/** Replay, per candle. */
const STEP_MS = 250;
/** An unknown order counts as lost after 75 s and the timeout of its request. */
const SETTLE_MS = 90_000;
const START_LIMIT_MS = 60_000;
const LIMIT_MS = 8 * 60_000;

interface Acknowledgements {
  /** From when the exchange sent the candle's close until the bot knew that the exchange has the entry. */
  readonly tookMs: readonly number[];
  /** Entries whose fate was open at the end. */
  readonly open: number;
  /** Entries that the exchange refused or never saw: they have no acknowledgement. */
  readonly leftOut: number;
}

/** Wall clock, ms: the exchange's own stamp is of it. */
interface Sample {
  readonly closedMs: number;
  ackMs: number | "never" | undefined;
}

async function collect(task: Task): Promise<Acknowledgements> {
  const simulator = await startExchangeSimulator({
    speed: "lockstep",
    seed: task.seed,
    historyCandles: 1_100,
  });
  const samples = new Map<string, Sample>();
  const bots: RunningBot[] = [];
  try {
    for (let index = 0; index < task.bots; index += 1)
      bots.push(startBot(simulator, index, samples));
    await untilAllTrade(bots, () => simulator.control.step(1));
    samples.clear();
    simulator.control.setFaults(faultsOfOrders());
    await playUntilEnough(simulator, samples, task.entries);
    await settle(samples);
    simulator.control.setFaults([]);
    return acknowledgements([...samples.values()]);
  } finally {
    await Promise.all(bots.map((bot) => bot.end()));
    await simulator.close();
  }
}

function startBot(
  simulator: ExchangeSimulator,
  index: number,
  samples: Map<string, Sample>,
): RunningBot {
  const apiKey = `bench-${index}`;
  simulator.control.addKey({ apiKey, apiSecret: `${apiKey}-secret`, balance: "1000000" });
  const endpoint = { restUrl: simulator.url, websocketUrl: simulator.websocketUrl };
  const symbol = SYMBOLS[index % SYMBOLS.length] ?? "";
  let closedMs = 0;
  const key = keyOf(apiKey);
  return startBotInProcess({
    config: busyConfig(apiKey, symbol, endpoint),
    exchange: createExchange({ key, testnet: false, restUrl: simulator.url }),
    key,
    onCandle: ({ closed, sentAtMs }) => {
      if (closed) closedMs = sentAtMs;
    },
    onIntent: ({ clientOrderId }) => samples.set(clientOrderId, { closedMs, ackMs: undefined }),
    onRecord: (record) => noteAcknowledgement(samples, record),
  });
}

/** Accepted at once, or found later by its id. An order that never arrived, or was refused, has no acknowledgement. */
function noteAcknowledgement(samples: Map<string, Sample>, record: RecordBody): void {
  if (record.type !== "order" || record.purpose !== "entry") return;
  const sample = samples.get(record.clientOrderId);
  if (sample === undefined || sample.ackMs !== undefined) return;
  if (record.status === "accepted" || record.status === "filled") sample.ackMs = Date.now();
  else if (record.status !== "unknown" || record.code === "NotFound") sample.ackMs = "never";
}

async function playUntilEnough(
  simulator: ExchangeSimulator,
  samples: ReadonlyMap<string, Sample>,
  wanted: number,
): Promise<void> {
  const startedMs = performance.now();
  const acknowledged = () =>
    [...samples.values()].filter(({ ackMs }) => typeof ackMs === "number").length;
  while (acknowledged() < wanted) {
    if (performance.now() - startedMs > LIMIT_MS)
      throw new Error(
        `only ${acknowledged()} of ${wanted} entries in ${LIMIT_MS / 60_000} minutes`,
      );
    if (simulator.control.clock().candlesRemaining === 0)
      throw new Error(`the recorded candles gave ${acknowledged()} of ${wanted} entries`);
    simulator.control.step(1);
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
}

/** The slowest count as well: what is open at the end is waited for. */
async function settle(samples: ReadonlyMap<string, Sample>): Promise<void> {
  const startedMs = performance.now();
  const isOpen = () => [...samples.values()].some(({ ackMs }) => ackMs === undefined);
  while (isOpen() && performance.now() - startedMs < SETTLE_MS)
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
}

async function untilAllTrade(bots: readonly RunningBot[], step: () => void): Promise<void> {
  const startedMs = performance.now();
  while (!bots.every(({ journal }) => journal.report?.trading === true)) {
    if (performance.now() - startedMs > START_LIMIT_MS) {
      const stuck = bots.flatMap(
        ({ journal }) => journal.report?.blocked.map(({ reason }) => reason) ?? ["no report"],
      );
      throw new Error(`not all bots trade: ${[...new Set(stuck)].join(", ")}`);
    }
    step();
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
}

function acknowledgements(samples: readonly Sample[]): Acknowledgements {
  const tookMs = samples.flatMap(({ closedMs, ackMs }) =>
    typeof ackMs === "number" ? [ackMs - closedMs] : [],
  );
  const leftOut = samples.filter(({ ackMs }) => ackMs === "never").length;
  return { tookMs, leftOut, open: samples.length - tookMs.length - leftOut };
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.postMessage(await collect(Task.parse(workerData)));
