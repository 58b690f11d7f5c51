import type { RecordBody } from "@tradingbots/crds";
import { createExchange } from "../../bot-runtime/src/exchange/bybit-ccxt.ts";
import type { FaultRule } from "../exchange-simulator/faults.ts";
import { type ExchangeSimulator, startExchangeSimulator } from "../exchange-simulator/server.ts";
import { busyConfig, keyOf } from "./bench-config.ts";
import { startBotInProcess, type RunningBot } from "./bot-in-process.ts";
import type { Figure } from "./figure.ts";
import { median, percentile, spread } from "./statistics.ts";

/** Bots in this one process, each with its own account, key, streams and connections; together they keep one core busy. */
const BOTS = 80;
const SYMBOLS = ["BTC/USDT:USDT", "ETH/USDT:USDT"];
/** Of every order request this share meets each of the faults, and of every look-up a tenth of them. */
const FAULT_SHARE = 0.005;
const STEP_MS = 500;
/** An unknown order is settled within its window of 20 s and the timeout of its request. */
const SETTLE_MS = 40_000;
const START_LIMIT_MS = 60_000;
const LIMIT_MS = 15 * 60_000;
const ORDER = "POST /v5/order/create";
const LATE_LISTING_MS = 3_000;

const orderFaults: readonly FaultRule["fault"][] = [
  { kind: "hang", when: "before" },
  { kind: "hang", when: "after" },
  { kind: "reset", when: "before" },
  { kind: "reset", when: "after" },
  { kind: "truncate" },
  { kind: "empty", when: "after" },
  { kind: "retCode", retCode: 10_000, when: "after" },
  { kind: "retCode", retCode: 10_006, when: "before" },
  { kind: "retCode", retCode: 10_016, when: "after" },
  { kind: "http", status: 502, when: "before" },
  { kind: "http", status: 504, when: "after" },
  { kind: "twice" },
  { kind: "delay", ms: 1_000, when: "after" },
  { kind: "hide", hideMs: LATE_LISTING_MS },
];

interface Sample {
  readonly closedMs: number;
  ackMs: number | undefined;
}

/** How long after a candle's close the exchange has an entry for certain, as the bot knows it, while answers are spoilt. */
export async function measureCloseToAck(wanted: number): Promise<readonly Figure[]> {
  const simulator = await startExchangeSimulator({
    speed: "lockstep",
    seed: 4,
    historyCandles: 1_100,
  });
  const samples = new Map<string, Sample>();
  const bots: RunningBot[] = [];
  try {
    for (let index = 0; index < BOTS; index += 1) bots.push(startBot(simulator, index, samples));
    await untilAllTrade(bots, () => simulator.control.step(1));
    samples.clear();
    simulator.control.setFaults(faultMix());
    await playUntilEnough(simulator, samples, wanted);
    await settle(samples);
    simulator.control.setFaults([]);
    return [figure([...samples.values()])];
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
  return startBotInProcess({
    config: busyConfig(apiKey, symbol, endpoint),
    exchange: createExchange({ key: keyOf(apiKey), testnet: false, restUrl: simulator.url }),
    onCandle: ({ closed }) => {
      if (closed) closedMs = performance.now();
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
  if (record.status === "accepted" || record.status === "filled") sample.ackMs = performance.now();
  else if (record.status !== "unknown") samples.delete(record.clientOrderId);
}

function faultMix(): readonly FaultRule[] {
  return orderFaults.map((fault) => ({
    match: { endpoint: ORDER },
    fault,
    times: null,
    share: FAULT_SHARE,
  }));
}

async function playUntilEnough(
  simulator: ExchangeSimulator,
  samples: ReadonlyMap<string, Sample>,
  wanted: number,
): Promise<void> {
  const startedMs = performance.now();
  const acknowledged = () =>
    [...samples.values()].filter(({ ackMs }) => ackMs !== undefined).length;
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

function figure(samples: readonly Sample[]): Figure {
  const took = samples.flatMap(({ closedMs, ackMs }) =>
    ackMs === undefined ? [] : [ackMs - closedMs],
  );
  const open = samples.length - took.length;
  return {
    key: "close_to_ack_ms_p95",
    value: percentile(took, 0.95),
    aim: { most: 5_000 },
    baseline: `its own median ${median(took).toFixed(1)}: an answer without a fault`,
    how: `${spread(took)}; ${BOTS} bots in one process, ${orderFaults.length} faults on ${FAULT_SHARE * 100} % of the order requests each; ${open} still open at the end`,
  };
}
