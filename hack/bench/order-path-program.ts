import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { systemClock } from "../../bot-runtime/src/clock.ts";
import { type BybitClient, createClient } from "../../bot-runtime/src/exchange/bybit-client.ts";
import { createExchange } from "../../bot-runtime/src/exchange/bybit-ccxt.ts";
import { submitEntry } from "../../bot-runtime/src/exchange/bybit-orders.ts";
import { bybitPublic } from "../../bot-runtime/src/exchange/bybit-public.ts";
import type {
  EntryOrder,
  ExecutionQuery,
  KeyDescription,
  OrderReference,
} from "../../bot-runtime/src/exchange/exchange.ts";
import { PaperExchange } from "../../bot-runtime/src/exchange/paper-exchange.ts";
import { createHttpClient } from "../../bot-runtime/src/http-client.ts";
import { busyConfig, keyOf } from "./bench-config.ts";
import { startBotInProcess } from "./bot-in-process.ts";
import { OwnTime } from "./own-time.ts";

/**
 * Runs as a program of its own under the flags of the bot's image: one bot against the simulator, and two measurements beside
 * it. Prints JSON: {own: {workMs, wallMs, signedMs}, wholeMs, bareMs: number[]}.
 *
 * - own: what the bot does between a candle's arrival and the call of ccxt that sends its order: series, strategy, gate, size, ids,
 *   intent, encoding. The bot is flat before, and knows it. An exchange in memory answers every look-up at once, the journal
 *   too; what these stand-ins take is taken off. `workMs` also is without the time for which others had the core, `wallMs` is not, and `signedMs` is
 *   `workMs` on to the signed request: ccxt's limiter, headers and signature.
 * - whole: from the candle's arrival to the exchange's answer, over HTTP, look-ups and journal included.
 * - bare: ccxt's createOrder with stop and target alone, over the same HTTP, after each whole one.
 */
const Task = z.object({
  restUrl: z.string(),
  websocketUrl: z.string(),
  symbol: z.string(),
  keys: z.object({ bot: z.string(), bare: z.string() }),
  samples: z.object({ own: z.int(), whole: z.int() }),
});
type Task = z.infer<typeof Task>;

const WARM_UP = 20;
const LIMIT_MS = 400_000;
/** The bot looks at what is open 4 times a second. */
const CANDLES_PER_SECOND = 12;
/** Enough for half a candle to arrive and to be dealt with. */
const ARRIVAL_MS = 5;
const LOOK_EVERY_MS = 5;
const http = createHttpClient();

async function measure(task: Task) {
  await control(task, "speed", { speed: "lockstep" });
  const own = await ownPath(task);
  await control(task, "speed", { speed: CANDLES_PER_SECOND });
  const { wholeMs, bareMs } = await wholePath(task);
  return { own, wholeMs, bareMs };
}

async function control({ restUrl }: Task, verb: string, given: object): Promise<void> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const url = `${restUrl}/control/${verb}`;
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(given);
  const { status, text } = await http(url, { method: "POST", headers, body, signal });
  await text();
  if (status !== 200) throw new Error(`${url} answered ${status}`);
}

async function ownPath(task: Task) {
  const busy = busyConfig("own", task.symbol, task);
  const config = {
    ...busy,
    // Of one side alone: no candle closes one position and opens another.
    strategy: { ...busy.strategy, params: { ...busy.strategy.params, direction: "long" } },
  } as const;
  const paper = new PaperExchange(
    bybitPublic(http, task.restUrl),
    systemClock.nowMs,
    config.risk.leverage,
  );
  const time = new OwnTime();
  const samples: OwnSamples = { workMs: [], wallMs: [], signedMs: [] };
  standIn(paper, offlineClient(task, time, samples), time);
  const bot = startBotInProcess({
    config,
    exchange: paper,
    onCandle: (candle) => {
      paper.observe(candle);
      time.start();
    },
    onIntent: () => {},
    onRecord: () => {},
    aside: (work) => time.aside(work),
  });
  const isFlat = async () => {
    const { held } = await paper.position(task.symbol);
    const orders = await paper.openOrders(task.symbol);
    return held === undefined && orders.every(({ status }) => status !== "open");
  };
  const knowsIt = () => bot.journal.report?.openSymbols?.length === 0;
  while (samples.signedMs.length < task.samples.own + WARM_UP) {
    await control(task, "half-step", {});
    await sleep(ARRIVAL_MS);
    // An exit fills in a candle's first half, and an entry follows its second one.
    if (await isFlat()) await until(knowsIt, "the bot does not see that it is flat");
  }
  await bot.end();
  const { workMs, wallMs, signedMs } = samples;
  return {
    workMs: workMs.slice(WARM_UP),
    wallMs: wallMs.slice(WARM_UP),
    signedMs: signedMs.slice(WARM_UP),
  };
}

interface OwnSamples {
  readonly workMs: number[];
  readonly wallMs: number[];
  readonly signedMs: number[];
}

/** Notes when an order is given to ccxt and when its signed request leaves, and accepts it. */
function offlineClient(task: Task, time: OwnTime, samples: OwnSamples): BybitClient {
  const client = createClient({ key: keyOf("offline"), testnet: false, restUrl: task.restUrl });
  client.fetchImplementation = async (_url: string, call: { body?: string }) => {
    samples.signedMs.push(time.read().workMs);
    const id = /"orderLinkId":"([^"]+)"/.exec(call.body ?? "")?.[1] ?? "";
    const result = { orderId: `x-${id}`, orderLinkId: id };
    const answer = JSON.stringify({
      retCode: 0,
      retMsg: "OK",
      result,
      retExtInfo: {},
      time: Date.now(),
    });
    return { status: 200, statusText: "OK", headers: {}, text: async () => answer };
  };
  const createOrder = client.privatePostV5OrderCreate.bind(client);
  client.privatePostV5OrderCreate = (order) => {
    const { workMs, wallMs } = time.read();
    samples.workMs.push(workMs);
    samples.wallMs.push(wallMs);
    return createOrder(order);
  };
  return client;
}

const FIT_KEY: KeyDescription = {
  readOnly: false,
  permissions: [],
  canWithdraw: false,
  canTransfer: false,
  addresses: ["127.0.0.1"],
  canTrade: true,
  accountId: undefined,
  expiresAt: undefined,
  hedgeMode: false,
};

/** Lets the exchange in memory send its entries by the client, and takes off the time of its answers. */
function standIn(paper: PaperExchange, client: BybitClient, time: OwnTime): void {
  const { submitEntry: fill, position, openOrders, balance, executions, findOrder } = paper;
  Object.assign(paper, {
    position: (symbol: string) => time.aside(() => position(symbol)),
    openOrders: (symbol: string) => time.aside(() => openOrders(symbol)),
    balance: () => time.aside(() => balance()),
    executions: (query: ExecutionQuery) => time.aside(() => executions(query)),
    findOrder: (reference: OrderReference) => time.aside(() => findOrder(reference)),
    describeKey: async () => FIT_KEY,
    submitEntry: async (order: EntryOrder) => {
      const outcome = await submitEntry(client, order);
      if (outcome.kind !== "accepted") throw new Error(`${outcome.kind}: ${outcome.message}`);
      return fill(order);
    },
  });
}

async function wholePath(task: Task) {
  const options = { testnet: false, restUrl: task.restUrl };
  const exchange = createExchange({ ...options, key: keyOf(task.keys.bot) });
  const bare = createClient({ ...options, key: keyOf(task.keys.bare) });
  // Known beforehand, as in the bot: ccxt asks two account endpoints before its first order otherwise.
  const account = {
    enableUnifiedMargin: false,
    enableUnifiedAccount: true,
    unifiedMarginStatus: 6,
  };
  Object.assign(bare.options, account, { fetchMarkets: { types: ["linear"] } });
  bare.setMarkets(await bare.fetchMarkets());
  await bare.loadTimeDifference();
  const wholeMs: number[] = [];
  const bareMs: number[] = [];
  let arrivedMs = 0;
  const placeBare = async ({ symbol, side, quantity, stopLoss, takeProfit }: EntryOrder) => {
    const startedMs = performance.now();
    await bare.createOrder(symbol, "market", side, quantity.toNumber(), undefined, {
      stopLoss: { triggerPrice: stopLoss.toFixed() },
      takeProfit: { triggerPrice: takeProfit.toFixed() },
      tpslMode: "Full",
    });
    bareMs.push(performance.now() - startedMs);
    const back = side === "buy" ? "sell" : "buy";
    await bare.createOrder(symbol, "market", back, quantity.toNumber(), undefined, {
      reduceOnly: true,
    });
  };
  const bot = startBotInProcess({
    config: busyConfig("whole", task.symbol, task),
    key: keyOf(task.keys.bot),
    exchange: {
      ...exchange,
      submitEntry: async (order) => {
        const outcome = await exchange.submitEntry(order);
        if (outcome.kind === "accepted") {
          wholeMs.push(performance.now() - arrivedMs);
          await placeBare(order);
        }
        return outcome;
      },
    },
    onCandle: () => (arrivedMs = performance.now()),
    onIntent: () => {},
    onRecord: () => {},
  });
  await until(() => wholeMs.length >= task.samples.whole + WARM_UP, "too few orders");
  await bot.end();
  return { wholeMs: wholeMs.slice(WARM_UP), bareMs: bareMs.slice(WARM_UP) };
}

async function until(holds: () => boolean, otherwise: string): Promise<void> {
  const startedMs = performance.now();
  while (!holds()) {
    if (performance.now() - startedMs > LIMIT_MS) throw new Error(otherwise);
    await sleep(LOOK_EVERY_MS);
  }
}

// The bot's own waiting keeps no process alive.
setInterval(() => {}, 1_000);
const task = Task.parse(JSON.parse(process.argv[2] ?? ""));
process.stdout.write(JSON.stringify(await measure(task)));
process.exit(0);
