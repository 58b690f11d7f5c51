import { randomUUID } from "node:crypto";
import {
  BotConfig,
  type BotRequest,
  Report,
  type RequestAction,
  REQUESTS_MAX,
  type RequestStatus,
  Risk,
} from "@tradingbots/crds";
import {
  type ExchangeSimulator,
  startExchangeSimulator,
} from "../../../hack/exchange-simulator/server.ts";
import { bybitSymbol } from "../../src/exchange/bybit-names.ts";
import { requestedEntryId } from "../../src/orders/order-id.ts";
import { Pod } from "./pod.ts";
import { BALANCE, type BotIdentity, NAMESPACE, type Platform, USER_ID } from "./platform.ts";
import {
  CANDLE_MS,
  HISTORY_CANDLES,
  Tape,
  TAPE_LEVELS,
  TAPE_STRATEGY,
  type TapeEvent,
} from "./tape.ts";

export const SYMBOL = "BTC/USDT:USDT";
/** A request outlasts every wait of a case: what a crash costs is never its time. */
const REQUEST_VALID_MS = 280_000;

/** One bot, its exchange, and the pods that it has had. */
export class CaseWorld {
  readonly platform: Platform;
  readonly exchange: ExchangeSimulator;
  readonly bot: BotIdentity;
  /** In force: what the next pod is given. */
  config: BotConfig;
  readonly pods: Pod[] = [];
  /** Milliseconds for which a position was seen without a stop at the exchange. */
  unprotectedMs = 0;
  /** Candles so far that made the strategy buy. */
  drops = 0;
  /** What a person has asked of the bot, oldest first. */
  readonly asked: BotRequest[] = [];
  readonly #tapes: readonly Tape[];
  #nakedSinceMs: number | undefined;
  #isCandleOpen = false;

  private constructor(
    parts: Pick<CaseWorld, "platform" | "exchange" | "bot" | "config">,
    tapes: readonly Tape[],
  ) {
    this.platform = parts.platform;
    this.exchange = parts.exchange;
    this.bot = parts.bot;
    this.config = parts.config;
    this.#tapes = tapes;
  }

  static async create(
    platform: Platform,
    symbols: readonly string[] = [SYMBOL],
  ): Promise<CaseWorld> {
    const tapes = symbols.map((symbol) => new Tape(bybitSymbol(symbol)));
    const exchange = await startExchangeSimulator({
      speed: "lockstep",
      candles: tapes.map(({ series }) => series),
      historyCandles: HISTORY_CANDLES,
    });
    const bot = await platform.createBot();
    const config = { ...configOf(bot), symbols: [...symbols] };
    const world = new CaseWorld({ platform, exchange, bot, config }, tapes);
    exchange.control.addKey({ ...world.credentials, balance: BALANCE });
    return world;
  }

  /** The account's key at the exchange. */
  get credentials() {
    return { apiKey: this.bot.name, apiSecret: "test-secret-of-the-bot" };
  }

  /** The pod that runs, or that is about to. */
  get pod(): Pod {
    const pod = this.pods.at(-1);
    if (pod === undefined) throw new Error("no pod was made yet");
    return pod;
  }

  /** Another pod of the bot, not started yet; the one before is deleted at the API server, whatever becomes of its process. */
  async addPod(): Promise<Pod> {
    const identity = await this.platform.replacePod(this.bot);
    const pod = await Pod.create(identity, {
      platform: this.platform,
      exchange: this.exchange,
      config: this.config,
      credentials: this.credentials,
    });
    this.pods.push(pod);
    return pod;
  }

  /** What the operator tells the bot's pod. */
  async configure(change: Partial<BotConfig>): Promise<void> {
    this.config = { ...this.config, ...change, generation: this.config.generation + 1 };
    await this.pod.configure(this.config);
  }

  /** A person asks for something; gives back the request. */
  async ask(action: RequestAction): Promise<BotRequest> {
    const request: BotRequest = {
      id: randomUUID(),
      action,
      symbol: SYMBOL,
      ...(action === "Order" && { side: "long" }),
      notAfter: new Date(Date.now() + REQUEST_VALID_MS).toISOString(),
    };
    this.asked.push(request);
    await this.configure({ requests: this.asked.slice(-REQUESTS_MAX) });
    return request;
  }

  /** Client order id of the entry that a request asks for. */
  entryIdOf({ id, symbol }: BotRequest): string {
    return requestedEntryId({ botUid: this.bot.uid, symbol }, id);
  }

  /**
   * Entries of which nothing has shown for 75 s: they bar nothing any more, and are over ten minutes after they were sent, should
   * the exchange not have shown them late. No case waits for that.
   */
  async lostEntries(): Promise<ReadonlySet<string>> {
    const rows = await this.platform.query<{ id: string }>(
      "select client_order_id as id from orders where bot_id = $1 and code = 'NotFound'",
      this.bot,
    );
    return new Set(rows.map(({ id }) => id));
  }

  /** What the journal was told of each request that the bot has begun or ended. */
  async answers(): Promise<ReadonlyMap<string, RequestStatus>> {
    const rows = await this.platform.query<{ id: string; status: RequestStatus }>(
      "select id, status from request_results where bot_id = $1",
      this.bot,
    );
    return new Map(rows.map(({ id, status }) => [id, status]));
  }

  /** The account as the exchange has it. */
  get account() {
    const account = this.exchange.control.account(this.bot.name);
    if (account === undefined) throw new Error("the account is gone");
    return account;
  }

  /** Plays one candle of this kind, after the rest of one that is open already. */
  play(event: TapeEvent): void {
    const { control } = this.exchange;
    if (this.#isCandleOpen) this.playHalf();
    for (const tape of this.#tapes) tape.write(event, control.clock().candlesEmitted);
    if (event === "drop") this.drops += 1;
    control.step(1);
    this.watchProtection();
  }

  /** Open time of the newest closed candle, ms. */
  get lastOpenMs(): number {
    return this.exchange.control.clock().replayTime - CANDLE_MS;
  }

  /** The market moves on by half a candle: what waits is filled at its open, or at its close. */
  playHalf(): void {
    this.exchange.control.halfStep();
    this.#isCandleOpen = !this.#isCandleOpen;
    this.watchProtection();
  }

  /** Called whenever something at the exchange may have changed. */
  watchProtection(): void {
    const now = performance.now();
    const isNaked = this.account.positions.some(({ stopLoss }) => stopLoss === null);
    if (this.#nakedSinceMs !== undefined) this.unprotectedMs += now - this.#nakedSinceMs;
    this.#nakedSinceMs = isNaked ? now : undefined;
  }

  /** The bot's latest report and its epoch; undefined before the first. */
  async report(): Promise<{ readonly epoch: number; readonly report: Report } | undefined> {
    const [row] = await this.platform.query<{ epoch: number; report: unknown }>(
      "select epoch, report from reports where bot_id = $1",
      this.bot,
    );
    return row && { epoch: row.epoch, report: Report.parse(row.report) };
  }

  /** Newest epoch and its pod. */
  async newestSession(): Promise<{ readonly epoch: number; readonly podUid: string } | undefined> {
    const [row] = await this.platform.query<{ epoch: number; podUid: string }>(
      `select epoch, pod_uid as "podUid" from journal_sessions
        where bot_id = $1 order by epoch desc limit 1`,
      this.bot,
    );
    return row;
  }

  async close(): Promise<void> {
    await Promise.all(this.pods.map((pod) => pod.close()));
    await this.exchange.close();
  }
}

function configOf({ name, uid, account }: BotIdentity): BotConfig {
  return BotConfig.parse({
    botName: name,
    botUid: uid,
    namespace: NAMESPACE,
    generation: 1,
    userId: USER_ID,
    accountName: account,
    exchange: "bybit",
    mode: "live",
    symbols: [SYMBOL],
    timeframe: "1m",
    strategy: TAPE_STRATEGY,
    risk: Risk.parse({ ...TAPE_LEVELS, leverage: 4, dailyLossPercent: 100, minConfidence: 0 }),
    autoTrade: true,
    state: "Running",
    endpoint: null, // each pod's own proxy
    halts: [],
  });
}
