import type { BotTermination } from "@tradingbots/crds";
import { systemClock } from "../clock.ts";
import { KlineStream } from "../exchange/kline-stream.ts";
import { openBotExchange, orderStreamUrl, streamUrl } from "../exchange/open-exchange.ts";
import { OrderStream } from "../exchange/order-stream.ts";
import { createHttpClient } from "../http-client.ts";
import { JournalClient } from "../journal/journal-client.ts";
import { readTextFile } from "../read-text-file.ts";
import { Bot } from "./bot.ts";
import { readConfig, watchConfig } from "./config-file.ts";
import { type Environment, readEnvironment } from "./environment.ts";
import { startHealthServer } from "./health-server.ts";
import { createLog, type Log, messageOf } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { keepHeapSmall } from "./small-heap.ts";
import { writeTermination } from "./termination.ts";

/** Runs one bot until its state lets it end or the pod is stopped. Says how it ended in the termination message. */
async function main(): Promise<void> {
  const environment = readEnvironment(process.env);
  const log = createLog({
    write: (line) => process.stdout.write(line),
    now: () => new Date(),
    context: { bot: environment.podName, pod: environment.podUid },
  });
  const end = (termination: BotTermination, exitCode: number): never => {
    writeTermination(environment.terminationFile, termination);
    log.info("ended", { ...termination, exitCode });
    process.exit(exitCode);
  };
  // What is open stays protected by its stop at the exchange; the kubelet starts the process again.
  const fail = (error: unknown): never => {
    log.error("failed", {
      message: messageOf(error),
      stack: error instanceof Error ? error.stack : "",
    });
    return end({ flat: false, epoch, reason: messageOf(error) }, 1);
  };
  let epoch = 0;
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  try {
    collectGarbage(globalThis.gc);
    const { bot, journal, ending } = await startBot(
      environment,
      log,
      (granted) => (epoch = granted),
    );
    const stopped = Promise.withResolvers<BotTermination>();
    const onSignal = (signal: NodeJS.Signals) => void bot.stop(signal).then(stopped.resolve, fail);
    process.once("SIGTERM", onSignal);
    process.once("SIGINT", onSignal);
    const termination = await Promise.race([bot.finished, stopped.promise]);
    ending.abort();
    await journal.end();
    end(termination, 0);
  } catch (error) {
    fail(error);
  }
}

/** Only paper bots are started with this function (the operator's argument --expose-gc): nobody's order waits for them. */
function collectGarbage(gc: NodeJS.GCFunction | undefined): void {
  if (gc === undefined) return;
  const collect = () => gc({ type: "major", execution: "sync", flavor: "last-resort" });
  keepHeapSmall({ bytes: () => process.memoryUsage().heapTotal, collect }, systemClock);
}

async function startBot(environment: Environment, log: Log, onEpoch: (epoch: number) => void) {
  const config = await readConfig(environment.configFile);
  const { exchange, paper, key } = await openBotExchange(config, environment.credentialsFile);
  const metrics = new Metrics();
  const ending = new AbortController();
  const journal = new JournalClient({
    url: environment.journalUrl,
    exchange: config.exchange,
    send: createHttpClient(),
    readToken: async () => (await readTextFile(environment.journalTokenFile)).trim(),
    log,
    clock: systemClock,
    random: Math.random,
    onSession: (session, isFirst) => {
      onEpoch(session.epoch);
      if (!isFirst) return;
      paper?.restore(session);
      bot.sessionGranted(session);
    },
  });
  const stream = new KlineStream({
    url: streamUrl(config),
    onCandle: (candle) => {
      paper?.observe(candle);
      bot.candleArrived(candle);
    },
    log,
    clock: systemClock,
    random: Math.random,
  });
  const orderStream =
    key &&
    new OrderStream({
      url: orderStreamUrl(config),
      key,
      onHint: (symbol) => bot.hinted(symbol),
      skewMs: () => exchange.clock()?.skewMs,
      log,
      clock: systemClock,
      random: Math.random,
    });
  const bot: Bot = new Bot({
    config,
    exchange,
    journal,
    stream,
    orderStream,
    metrics,
    log,
    clock: systemClock,
  });
  gaugeProcess(metrics, { bot, journal, orderStream });
  await startHealthServer(environment.healthPort, {
    alive: () => bot.alive,
    ready: () => bot.ready,
    metrics: () => metrics.print(),
  });
  bot.start();
  void journal.run();
  watchConfig({
    path: environment.configFile,
    config,
    onChange: (changed) => bot.applyConfig(changed),
    onUnread: (message) => bot.configUnread(message),
    log,
    signal: ending.signal,
  });
  return { bot, journal, ending };
}

function gaugeProcess(
  metrics: Metrics,
  {
    bot,
    journal,
    orderStream,
  }: {
    readonly bot: Bot;
    readonly journal: JournalClient;
    readonly orderStream: OrderStream | undefined;
  },
): void {
  metrics.gauge("bot_resident_bytes", () => process.memoryUsage.rss());
  metrics.gauge("bot_journal_unconfirmed_records", () => journal.unconfirmed);
  metrics.gauge("bot_journal_dropped_records", () => journal.dropped);
  metrics.gauge("bot_journal_refused_records", () => journal.refused);
  metrics.gauge("bot_order_stream_alive", () => Number(orderStream?.alive === true));
  metrics.gauge("bot_ready", () => Number(bot.ready));
}

await main();
