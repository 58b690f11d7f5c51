import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Listr } from "listr2";
import { z } from "zod";
import { defaultKubeconfig } from "../cluster/cluster.ts";
import { eventually } from "../platform/eventually.ts";
import { kubectlFor } from "../platform/kubectl.ts";
import { type Platform, bringUpPlatform } from "../platform/platform.ts";
import { RestClient, type Trade } from "../platform/rest-client.ts";
import { simulatorClient } from "../platform/simulator-client.ts";
import { toolPath } from "../tools/tools.ts";
import { summary } from "./summary.ts";

const FACTS_FILE = join(import.meta.dirname, "..", "..", ".demo.json");
const TRADES_SHOWN = 5;
/** A minute of the market takes a tenth of a second until the first trades are there, then a second. */
const CANDLES_PER_SECOND_AT_FIRST = 10;
const CANDLES_PER_SECOND_AFTERWARDS = 1;
const OPENING_BALANCE = "10000";
/** The status of a bot is written a moment after what it tells of. */
const STATUS_LAG_MS = 3_000;

/** What the demo leaves for scripts; a repeated run goes on with the same user and bot. */
const Facts = z.object({
  apiUrl: z.string(),
  kubeconfig: z.string(),
  namespace: z.string(),
  user: z.object({ email: z.string(), password: z.string() }),
  botId: z.string(),
  simulatorUrl: z.string(),
  vaultAddr: z.string(),
});
type Facts = z.infer<typeof Facts>;

const startedAt = performance.now();
const platform = await bringUpPlatform({ name: "tradingbots", kubeconfig: defaultKubeconfig });
const simulator = simulatorClient(platform.simulatorUrl);
await simulator.setSpeed(CANDLES_PER_SECOND_AT_FIRST);

const context: Partial<Robot> = {};
interface Robot {
  readonly client: RestClient;
  readonly facts: Facts;
  readonly trades: readonly Trade[];
}
await new Listr<Partial<{ -readonly [K in keyof Robot]: Robot[K] }>>(
  [
    {
      title: "Register a user over REST, store an exchange key, start a robot",
      task: async (robot, task) => {
        const found = await earlierRobot(platform);
        const { client, facts } = found ?? (await newRobot(platform));
        robot.client = client;
        robot.facts = facts;
        writeFileSync(FACTS_FILE, `${JSON.stringify(facts, undefined, 2)}\n`, { mode: 0o600 });
        task.title = `${found === undefined ? "Started" : "Found"} robot ${facts.botId} of ${facts.user.email}`;
      },
    },
    {
      title: `Wait for its first ${TRADES_SHOWN} trades`,
      task: async (robot, task) => {
        const { client, facts } = complete(robot);
        let seen = 0;
        robot.trades = await eventually({
          what: `${TRADES_SHOWN} closed trades of ${facts.botId}`,
          withinMs: 240_000,
          probe: async () => {
            const trades = await client.trades(facts.botId);
            const closed = trades.filter((trade) => trade.closedAt !== null);
            if (closed.length !== seen) task.output = `trades closed: ${closed.length}`;
            seen = closed.length;
            return closed.length >= TRADES_SHOWN ? closed : undefined;
          },
          otherwise: async () => JSON.stringify(await client.bot(facts.botId), undefined, 2),
        });
        await simulator.setSpeed(CANDLES_PER_SECOND_AFTERWARDS);
        await sleep(STATUS_LAG_MS);
      },
    },
  ],
  { ctx: context },
).run();

const { client, facts } = complete(context);
const kubectl = await kubectlFor(platform.kubeconfig);
console.log(
  summary({
    userId: client.userId,
    facts,
    bots: await kubectl.run(["get", "tradingbots", "-A"]),
    pod: await kubectl.run(["get", "pod", facts.botId, "-n", facts.namespace, "-o", "wide"]),
    trades: (context.trades ?? []).slice(0, TRADES_SHOWN),
    toolDirectories: [kubectl.binary, await toolPath("helm")].map((binary) => dirname(binary)),
    seconds: Math.round((performance.now() - startedAt) / 1_000),
  }),
);

/** The robot of an earlier run, when this cluster still has it. */
async function earlierRobot(current: Platform) {
  if (!existsSync(FACTS_FILE)) return undefined;
  const parsed = Facts.safeParse(JSON.parse(readFileSync(FACTS_FILE, "utf8")));
  if (!parsed.success) return undefined;
  const user = parsed.data.user;
  try {
    const known = await RestClient.logIn(current.apiUrl, user);
    const bot = await known.bot(parsed.data.botId);
    if (bot.state !== "Running") await known.command(bot.id, "start");
    return { client: known, facts: factsOf(current, { ...parsed.data, botId: bot.id }) };
  } catch {
    return undefined; // another cluster than the one that the file tells of
  }
}

async function newRobot(current: Platform) {
  const user = {
    email: `demo-${randomBytes(3).toString("hex")}@example.com`,
    password: randomBytes(12).toString("base64url"),
  };
  const fresh = await RestClient.register(current.apiUrl, user);
  const key = {
    apiKey: `demo-${randomBytes(6).toString("hex")}`,
    apiSecret: randomBytes(16).toString("hex"),
  };
  await simulator.addKey({ ...key, balance: OPENING_BALANCE });
  const account = await fresh.connectAccount(key, "Demo exchange");
  await eventually({
    what: "the exchange key is verified",
    withinMs: 60_000,
    probe: async () =>
      (await fresh.account(account.id)).verification.state === "verified" || undefined,
    otherwise: async () => JSON.stringify(await fresh.account(account.id)),
  });
  const bot = await fresh.createBot({
    displayName: "Demo robot",
    accountId: account.id,
    mode: "testnet",
    symbols: ["ETH/USDT:USDT"],
    timeframe: "1m",
    strategy: { name: "rsi", params: { period: 14, buyBelow: 35, sellAbove: 65 } },
    risk: { stopLossPercent: 0.4, takeProfitPercent: 0.6, minConfidence: 0 },
    autoTrade: true,
    state: "Running",
  });
  const namespace = await namespaceOf(current, bot.id);
  return { client: fresh, facts: factsOf(current, { user, botId: bot.id, namespace }) };
}

function factsOf(current: Platform, robot: Pick<Facts, "user" | "botId" | "namespace">): Facts {
  return {
    apiUrl: current.apiUrl,
    kubeconfig: current.kubeconfig,
    namespace: robot.namespace,
    user: robot.user,
    botId: robot.botId,
    simulatorUrl: current.simulatorUrl,
    vaultAddr: current.vaultAddr,
  };
}

async function namespaceOf(current: Platform, botId: string): Promise<string> {
  const kube = await kubectlFor(current.kubeconfig);
  const where = "jsonpath={.items[*].metadata.namespace}";
  const args = ["get", "tradingbots", "-A", `--field-selector=metadata.name=${botId}`, "-o", where];
  return kube.run(args);
}

function complete(robot: Partial<Robot>) {
  if (robot.client === undefined || robot.facts === undefined) throw new Error("no robot");
  return { client: robot.client, facts: robot.facts };
}
