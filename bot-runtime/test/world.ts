import { setTimeout as sleep } from "node:timers/promises";
import { BotConfig, Risk } from "@tradingbots/crds";
import { exampleConfig } from "../src/bot/example-config.ts";
import {
  type ExchangeSimulator,
  type SimulatorOptions,
  startExchangeSimulator,
} from "../../hack/exchange-simulator/server.ts";
import { BotProcess } from "./bot-process.ts";
import { JournalServer } from "./journal-server.ts";

export const CREDENTIALS = { apiKey: "test-key-of-the-bot", apiSecret: "test-secret-of-the-bot" };
export const SYMBOL = "BTC/USDT:USDT";
const BALANCE = "10000";
/** Longer than it takes until an order counts as lost. */
const WAIT_MS = 90_000;
const LOOK_EVERY_MS = 10;

/** An exchange that replays recorded candles in lockstep, a journal, and a bot between them. */
export interface World {
  readonly exchange: ExchangeSimulator;
  readonly journal: JournalServer;
  readonly bot: BotProcess;
  readonly config: BotConfig;
}

export interface WorldOptions {
  readonly simulator?: Partial<SimulatorOptions>;
  readonly config?: Partial<BotConfig>;
  /** Instead of the simulator's own REST address: a proxy with faults in front of it. */
  readonly restUrl?: (simulatorUrl: string) => Promise<string>;
  readonly program?: readonly string[];
  /** Of the bot, besides what a pod has. */
  readonly environment?: Readonly<Record<string, string>>;
}

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const exchange = await startExchangeSimulator({ speed: "lockstep", ...options.simulator });
  exchange.control.addKey({ ...CREDENTIALS, balance: BALANCE });
  const journal = new JournalServer();
  const journalUrl = await journal.start();
  const restUrl = (await options.restUrl?.(exchange.url)) ?? exchange.url;
  const config = BotConfig.parse({
    ...exampleConfig,
    strategy: { name: "rsi", params: {} },
    risk: Risk.parse({ stopLossPercent: 0.3, takeProfitPercent: 0.4, dailyLossPercent: 100 }),
    endpoint: { restUrl, websocketUrl: exchange.websocketUrl },
    ...options.config,
  });
  const { program, environment = {} } = options;
  const bot = await BotProcess.create({
    config,
    journalUrl,
    credentials: CREDENTIALS,
    environment,
    ...(program && { program }),
  });
  return { exchange, journal, bot, config };
}

export async function endWorld(world: World): Promise<void> {
  await world.bot.remove();
  await world.exchange.close();
  await world.journal.close();
}

/** The bot's account as the exchange has it. */
export function accountOf({ exchange }: World) {
  const account = exchange.control.account(CREDENTIALS.apiKey);
  if (account === undefined) throw new Error("the account is gone");
  return account;
}

/** Waits until `holds` is true and gives up with what was waited for. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(LOOK_EVERY_MS);
  }
}

/** The bot is reconciled, has its session and may open positions. */
export async function untilTrading({ exchange, journal }: World): Promise<void> {
  const blockedBy = () => journal.report?.blocked.map(({ reason }) => reason).join();
  // In lockstep no candle arrives before the first step.
  await until("only data is missing", () => ["StaleData", ""].includes(blockedBy() ?? "?"));
  exchange.control.step(1);
  await until("the bot reports that it trades", () => journal.report?.trading === true);
}

/** Changes the bot's state and waits until it knows: no candle passes meanwhile, so nothing else ends its position. */
export async function changeState(
  { bot, journal, config }: World,
  state: BotConfig["state"],
): Promise<void> {
  await bot.configure({ ...config, generation: 2, state });
  await until(`the bot is ${state}`, () => journal.report?.generation === 2);
}

/** Plays candles one by one, each after the bot has dealt with the one before, until `holds`. */
export async function playUntil(world: World, what: string, holds: () => boolean): Promise<void> {
  const MOST = 2_000;
  for (let played = 0; played < MOST && !holds(); played += 1) {
    await stepWith(world);
  }
  if (!holds()) throw new Error(`${MOST} candles did not bring that ${what}`);
}

/** A bot that catches up, or is blocked, deals with no candle: then the market goes on without it. */
const STEP_PATIENCE_MS = 1_500;

/** Plays one candle and waits until the bot has dealt with it, however slow the machine is. */
async function stepWith({ exchange, bot }: World): Promise<void> {
  const before = await bot.candlesDealtWith();
  exchange.control.step(1);
  if (before === undefined) return sleep(LOOK_EVERY_MS);
  const deadline = Date.now() + STEP_PATIENCE_MS;
  while (Date.now() < deadline) {
    const now = await bot.candlesDealtWith();
    if (now === undefined || now > before) return;
    await sleep(LOOK_EVERY_MS);
  }
}
