import type { BotConfig, Intent, RecordBody } from "@tradingbots/crds";
import { Bot } from "../../bot-runtime/src/bot/bot.ts";
import { Metrics } from "../../bot-runtime/src/bot/metrics.ts";
import { systemClock } from "../../bot-runtime/src/clock.ts";
import type { Exchange, ExchangeKeyValues } from "../../bot-runtime/src/exchange/exchange.ts";
import { KlineStream, type StreamedCandle } from "../../bot-runtime/src/exchange/kline-stream.ts";
import { orderStreamUrl, streamUrl } from "../../bot-runtime/src/exchange/open-exchange.ts";
import { OrderStream } from "../../bot-runtime/src/exchange/order-stream.ts";
import { JournalClient } from "../../bot-runtime/src/journal/journal-client.ts";
import { JournalModel } from "../../bot-runtime/test/journal-model.ts";

const silent = { info: () => {}, warn: () => {}, error: () => {} };
const surroundings = { log: silent, clock: systemClock, random: Math.random };

interface BotParts {
  readonly config: BotConfig;
  readonly exchange: Exchange;
  /** Of the account whose own stream the bot hears; absent where there is none. */
  readonly key?: ExchangeKeyValues;
  /** Sees every candle of the stream before the bot does. */
  readonly onCandle: (candle: StreamedCandle) => void;
  readonly onIntent: (intent: Intent) => void;
  readonly onRecord: (record: RecordBody) => void;
  /** Runs what stands in for somebody else's work, so that its time can be taken off. */
  readonly aside?: <Result>(work: () => Result) => Result;
}

export interface RunningBot {
  readonly journal: JournalModel;
  readonly end: () => Promise<void>;
}

/** A bot wired as its `main.ts` does it, in this process, with a journal in memory that answers at once. */
export function startBotInProcess(parts: BotParts): RunningBot {
  const { config, exchange, key, aside = (work) => work() } = parts;
  const model = new JournalModel({ nowMs: systemClock.monotonicMs });
  const journal: JournalClient = new JournalClient({
    url: "http://journal",
    exchange: config.exchange,
    send: (url, request) => aside(() => model.send(url, request)),
    readToken: async () => config.botUid,
    ...surroundings,
    onSession: (session, isFirst) => {
      if (isFirst) bot.sessionGranted(session);
    },
  });
  const stream = new KlineStream({
    url: streamUrl(config),
    onCandle: (candle) => {
      parts.onCandle(candle);
      bot.candleArrived(candle);
    },
    ...surroundings,
  });
  const orderStream =
    key &&
    new OrderStream({
      url: orderStreamUrl(config),
      key,
      onHint: (symbol) => bot.hinted(symbol),
      skewMs: () => exchange.clock()?.skewMs,
      ...surroundings,
    });
  const bot: Bot = new Bot({
    config,
    exchange,
    journal: {
      get standing() {
        return journal.standing;
      },
      get epoch() {
        return journal.epoch;
      },
      leaseRemainingMs: () => journal.leaseRemainingMs(),
      keepLeaseFor: (ms) => journal.keepLeaseFor(ms),
      appendIntent: (intent) => {
        parts.onIntent(intent);
        return journal.appendIntent(intent);
      },
      record: (record) => {
        parts.onRecord(record);
        journal.record(record);
      },
      flush: (limitMs) => journal.flush(limitMs),
    },
    stream,
    orderStream,
    metrics: new Metrics(),
    log: silent,
    clock: systemClock,
  });
  bot.start();
  void journal.run();
  return {
    journal: model,
    end: async () => {
      await bot.stop("the measurement is over");
      await journal.end();
    },
  };
}
