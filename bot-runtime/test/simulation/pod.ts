import type { BotConfig, BotTermination } from "@tradingbots/crds";
import type { Random } from "../../../hack/exchange-simulator/random.ts";
import { Bot } from "../../src/bot/bot.ts";
import type { Log } from "../../src/bot/log.ts";
import { Metrics } from "../../src/bot/metrics.ts";
import { createExchange } from "../../src/exchange/bybit-ccxt.ts";
import { KlineStream } from "../../src/exchange/kline-stream.ts";
import { OrderStream } from "../../src/exchange/order-stream.ts";
import type { HttpClient } from "../../src/http-client.ts";
import { JournalClient } from "../../src/journal/journal-client.ts";
import type { VirtualProcess } from "./timeline.ts";

const JOURNAL_URL = "http://journal";
/** By it the wires know the private stream from the public one. */
export const PRIVATE_URL = "ws://exchange/v5/private";

export interface BotParts {
  readonly config: BotConfig;
  readonly apiKey: string;
  readonly apiSecret: string;
  /** It hears the exchange's private stream. */
  readonly streamed: boolean;
  readonly podUid: string;
  readonly process: VirtualProcess;
  readonly sendToJournal: HttpClient;
  readonly random: Random;
  readonly log: Log;
}

/** A started bot: the wiring of `bot/main.ts` over virtual time. */
export interface StartedBot {
  readonly bot: Bot;
  readonly journal: JournalClient;
  readonly finished: Promise<BotTermination>;
}

/** To be called inside of the process: adapters take their wires from whoever runs. */
export function startBot(parts: BotParts): StartedBot {
  const { config, process, log, random } = parts;
  const { clock } = process;
  const key = {
    reveal: () => ({ apiKey: parts.apiKey, apiSecret: parts.apiSecret }),
    scrub: (text: string) => text,
  };
  const exchange = createExchange({ key, testnet: false, restUrl: undefined });
  const journal = new JournalClient({
    url: JOURNAL_URL,
    exchange: "bybit",
    send: parts.sendToJournal,
    readToken: async () => parts.podUid,
    log,
    clock,
    random,
    onSession: (session, isFirst) => {
      if (isFirst) bot.sessionGranted(session);
    },
  });
  const stream = new KlineStream({
    url: "ws://exchange/v5/public/linear",
    onCandle: (candle) => bot.candleArrived(candle),
    log,
    clock,
    random,
  });
  const hints = {
    url: PRIVATE_URL,
    key,
    onHint: (symbol: string | undefined) => bot.hinted(symbol),
    skewMs: () => exchange.clock()?.skewMs,
    log,
    clock,
    random,
  };
  const bot: Bot = new Bot({
    config,
    exchange,
    journal,
    stream,
    orderStream: parts.streamed ? new OrderStream(hints) : undefined,
    metrics: new Metrics(),
    log,
    clock,
  });
  bot.start();
  void journal.run();
  return { bot, journal, finished: bot.finished };
}
