import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { z } from "zod";
import { startExchangeSimulator } from "../exchange-simulator/server.ts";
import type { BotBundle } from "./bot-bundle.ts";
import type { Figure } from "./figure.ts";
import { median, percentile, spread } from "./statistics.ts";

const run = promisify(execFile);
const SAMPLES = { own: 300, whole: 120 };
const Samples = z.array(z.number());
const Answer = z.object({
  own: z.object({ workMs: Samples, wallMs: Samples, signedMs: Samples }),
  wholeMs: Samples,
  bareMs: Samples,
});

/** What the bot itself adds to an order, as a program of its own with the image's flags. */
export async function measureOrderPath(bundled: BotBundle): Promise<readonly Figure[]> {
  const simulator = await startExchangeSimulator({ speed: 1 });
  const keys = { bot: "bench-bot", bare: "bench-bare" };
  for (const apiKey of Object.values(keys))
    simulator.control.addKey({ apiKey, apiSecret: `${apiKey}-secret`, balance: "1000000" });
  const task = {
    restUrl: simulator.url,
    websocketUrl: simulator.websocketUrl,
    symbol: "BTC/USDT:USDT",
    keys,
    samples: SAMPLES,
  };
  try {
    const [file = "", ...flags] = bundled.program("order-path").toReversed();
    const { stdout } = await run(process.execPath, [
      ...flags.toReversed(),
      file,
      JSON.stringify(task),
    ]);
    return figures(Answer.parse(JSON.parse(stdout)));
  } finally {
    await simulator.close();
  }
}

function figures({ own, wholeMs, bareMs }: z.infer<typeof Answer>): readonly Figure[] {
  const { workMs, wallMs, signedMs } = own;
  const bare = `bare ccxt createOrder over loopback p50 ${median(bareMs).toFixed(2)}`;
  const how = `${spread(workMs)}; candle to the call of ccxt, less what answers in memory and the time for which others had the core (with it: ${spread(wallMs)}); on to the signed request: ${spread(signedMs)}`;
  const ownFigure = { baseline: bare, how };
  return [
    { key: "order_own_ms_p50", value: median(workMs), aim: { most: 0.5 }, ...ownFigure },
    { key: "order_own_ms_p99", value: percentile(workMs, 0.99), aim: { most: 2 }, ...ownFigure },
    {
      key: "order_ratio_to_ccxt",
      value: median(wholeMs) / median(bareMs),
      baseline: `${bare} (${spread(bareMs)})`,
      how: `${spread(wholeMs)}; candle to exchange's answer with position, orders and balance looked at first, over bare ccxt, one after the other`,
    },
  ];
}
