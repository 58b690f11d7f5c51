import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeError } from "../tools/describe-error.ts";
import { measureBacktest } from "./backtest.ts";
import { bundleBot } from "./bot-bundle.ts";
import { measureCloseToAck } from "./close-to-ack.ts";
import { type Figure, figureTable, writeFigures } from "./figure.ts";
import { measureIntents } from "./intents.ts";
import { measureMemory } from "./memory.ts";
import { measureOrderPath } from "./order-path.ts";
import { measureStartUp } from "./startup.ts";

const usage = `usage: node hack/bench/main.ts bot [--only memory,startup] [--runs 100]
Measures the bot and writes bench-results/bot.json. Nothing else should run on the machine meanwhile.
--only      these parts alone; the file then holds nothing else
--entries   entries under faults (close_to_ack_ms_p95)
--runs      starts per start-up figure`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string" },
    entries: { type: "string", default: "10000" },
    runs: { type: "string", default: "100" },
    help: { type: "boolean", default: false },
  },
});

async function measureBot(): Promise<void> {
  const bundled = await bundleBot();
  const parts: Readonly<Record<string, () => Promise<readonly Figure[]>>> = {
    orders: () => measureOrderPath(bundled),
    intents: () => measureIntents(),
    backtest: async () => measureBacktest(),
    ack: () => measureCloseToAck(Number(values.entries)),
    memory: () => measureMemory(bundled),
    startup: () => measureStartUp(bundled, Number(values.runs)),
  };
  const wanted = values.only?.split(",") ?? Object.keys(parts);
  const figures: Figure[] = [];
  try {
    for (const name of wanted) {
      const measure = parts[name];
      if (measure === undefined) throw new Error(`no part ${name}\n${usage}`);
      console.error(`measuring ${name}…`);
      figures.push(...(await measure()));
    }
  } finally {
    await bundled.remove();
  }
  const path = join(import.meta.dirname, "..", "..", "bench-results", "bot.json");
  await writeFigures(path, figures);
  console.log(figureTable(figures));
}

try {
  if (values.help || positionals[0] !== "bot") console.log(usage);
  else await measureBot();
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
