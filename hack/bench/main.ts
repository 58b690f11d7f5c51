import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeError } from "../tools/describe-error.ts";
import {
  measureApiBigReads,
  measureApiReads,
  measureApiRequests,
  measureApiSockets,
  measureJournalThroughput,
} from "./api.ts";
import { measureBacktest } from "./backtest.ts";
import { type BotBundle, bundleBot } from "./bot-bundle.ts";
import { measureCloseToAck } from "./close-to-ack.ts";
import { brokenBounds, type Figure, figureTable, missedAims, writeFigures } from "./figure.ts";
import { measureIntents } from "./intents.ts";
import { measureMemory } from "./memory.ts";
import { measureScale, measureSpeed } from "./operator.ts";
import { measureOrderPath } from "./order-path.ts";
import { measureStartUp } from "./startup.ts";

const usage = `usage: node hack/bench/main.ts bot [--only memory,startup] [--runs 100]
       node hack/bench/main.ts operator [--only speed] [--rounds 5]
       node hack/bench/main.ts scale [--bots 5000] [--bounds]
       node hack/bench/main.ts api [--only requests,reads,big-reads,journal,sockets]
Measures and writes bench-results/<bot|operator|scale|api>.json. Nothing else should run on the machine meanwhile.
Ends with 1 and names it when an aim is missed.
  --bounds    end with 1 only for a figure that is worse than its bound against regressions, or, where it has none, than its aim
bot        the bot
  --only      these parts alone; the file then holds nothing else
  --entries   entries under faults (close_to_ack_ms_p95)
  --runs      starts per start-up figure
operator   the operator beside bare loops, and then with 100,000 bots
  --only      speed or scale
  --rounds    how often the contenders of a burst take turns
scale      its second half alone
  --bots      how many bots; 100,000 take more than 20 GB of memory (the API server; with GOGC=20 in the environment less) and 20 minutes
  --idle      seconds for which nothing may be written; 600 unless told, so that what comes back every few minutes is seen
api        the API and the journal, on a real Postgres
  --only      these parts alone
  --trades    how many big-reads reads from; ten million take 4.5 GB of disk and minutes to write
  --sockets   how many listen, to one process for each 18,000; 100,000 take 3 GB of memory`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string" },
    entries: { type: "string", default: "10000" },
    runs: { type: "string", default: "100" },
    rounds: { type: "string", default: "5" },
    bots: { type: "string", default: "100000" },
    idle: { type: "string", default: "600" },
    bounds: { type: "boolean", default: false },
    sockets: { type: "string", default: "20000" },
    trades: { type: "string", default: "10000000" },
    help: { type: "boolean", default: false },
  },
});

/** Gives back its figures; a long part may add to `known` what stands already, should a later step of it fail. */
type Part = (known: Figure[]) => Promise<readonly Figure[]>;
type Parts = Readonly<Record<string, Part>>;

/** So many bots are read for minutes: chance has less to say, and a second round would double the time. */
const ONE_ROUND_ABOVE = 20_000;

async function measureBot(): Promise<void> {
  const bundled = await bundleBot();
  try {
    await measure("bot", partsOfBot(bundled));
  } finally {
    await bundled.remove();
  }
}

function partsOfBot(bundled: BotBundle): Parts {
  return {
    orders: () => measureOrderPath(bundled),
    intents: () => measureIntents(),
    backtest: async () => measureBacktest(),
    ack: () => measureCloseToAck(Number(values.entries)),
    memory: () => measureMemory(bundled),
    startup: () => measureStartUp(bundled, Number(values.runs)),
  };
}

const scale: Part = (known) =>
  measureScale({
    bots: Number(values.bots),
    rounds: Number(values.bots) > ONE_ROUND_ABOVE ? 1 : 2,
    idleSeconds: Number(values.idle),
    known,
  });
const COMMANDS: Readonly<Record<string, () => Promise<void>>> = {
  bot: measureBot,
  operator: () =>
    measure("operator", {
      speed: () => measureSpeed({ bots: 1_000, rounds: Number(values.rounds) }),
      scale,
    }),
  scale: () => measure("scale", { scale }),
  api: () =>
    measure("api", {
      requests: measureApiRequests,
      reads: measureApiReads,
      "big-reads": () => measureApiBigReads(Number(values.trades)),
      journal: measureJournalThroughput,
      sockets: () => measureApiSockets(Number(values.sockets)),
    }),
};

/** Runs the parts that are wanted, writes `<what>.json` and prints the table. A part that fails takes none of the others with it. */
async function measure(what: string, parts: Parts): Promise<void> {
  const wanted = values.only?.split(",") ?? Object.keys(parts);
  const figures: Figure[] = [];
  for (const name of wanted) {
    const part = parts[name];
    if (part === undefined) throw new Error(`no part ${name}\n${usage}`);
    console.error(`measuring ${name}…`);
    try {
      figures.push(...(await part(figures)));
    } catch (error) {
      console.error(describeError(new Error(`while measuring ${name}`, { cause: error })));
      process.exitCode = 1;
    }
  }
  const path = join(import.meta.dirname, "..", "..", "bench-results", `${what}.json`);
  await writeFigures(path, figures);
  console.log(figureTable(figures));
  const [missed, broken] = [missedAims(figures), brokenBounds(figures)];
  for (const each of missed) console.error(`missed: ${each}`);
  if (values.bounds) for (const each of broken) console.error(`worse than its bound: ${each}`);
  if ((values.bounds ? broken : missed).length > 0) process.exitCode = 1;
}

try {
  const run = COMMANDS[positionals[0] ?? ""];
  if (values.help || run === undefined) console.log(usage);
  else await run();
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
