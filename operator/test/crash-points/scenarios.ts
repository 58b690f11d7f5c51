import { EXCHANGE_ACCOUNTS, BOT_CLASSES, TRADING_BOTS } from "../../src/resources.ts";
import { NAMESPACE } from "../platform.ts";
import { CLASS, IMAGE, type World } from "./world.ts";

/** Something that a user or administrator does, and what shall come of it. */
export interface Scenario {
  readonly name: string;
  /** The scenario whose requests come first in this one: they are struck there. */
  readonly continues?: string;
  /** Bots that may trade hold a position. */
  readonly trades: boolean;
  /** What there is before. */
  readonly prepare: (world: World) => Promise<void>;
  /** What is done: every request from here on is a crash point. */
  readonly act: (world: World) => Promise<void>;
  /** Whether what was wanted has come about; the rest of the state is compared with that of a run without a crash. */
  readonly isDone: (world: World) => Promise<boolean>;
}

const BOT = "bot-00000000000000000001";

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "create",
    trades: true,
    prepare: startOperator,
    act: async (world) => {
      const account = await createAccount(world);
      await createBot(world, { accountName: account });
    },
    isDone: (world) => isRunning(world),
  },
  {
    // By hand: neither the API's finalizer nor an account, whose service account would be there.
    name: "create-paper",
    trades: true,
    prepare: startOperator,
    act: async (world) => {
      await createBot(world, {});
      await changeFinalizers(world, null);
    },
    isDone: (world) => isRunning(world),
  },
  {
    name: "start",
    trades: true,
    prepare: async (world) => {
      await startTradingBot(world);
      world.operator.signal("SIGTERM");
      await world.operator.exited();
    },
    act: startOperator,
    isDone: (world) => isRunning(world),
  },
  {
    name: "edit",
    trades: true,
    prepare: startTradingBot,
    act: (world) => changeBot(world, { risk: { leverage: 2 } }),
    isDone: (world) => isRunning(world, 2),
  },
  {
    name: "pause",
    trades: true,
    prepare: startTradingBot,
    act: (world) => changeBot(world, { state: "Paused" }),
    isDone: async (world) => (await botOf(world))?.status?.observedGeneration === 2,
  },
  {
    name: "stop",
    trades: true,
    prepare: startTradingBot,
    act: (world) => changeBot(world, { state: "Stopped" }),
    isDone: async (world) => !(await hasPod(world)) && world.kubelet.open.size === 0,
  },
  {
    name: "retire",
    trades: true,
    prepare: startTradingBot,
    act: (world) => changeBot(world, { state: "Retired" }),
    isDone: async (world) => (await botOf(world)) === undefined && world.kubelet.open.size === 0,
  },
  {
    name: "retire-account",
    continues: "retire",
    trades: true,
    prepare: startTradingBot,
    act: async (world) => {
      await changeAccount(world, { state: "Retired" });
    },
    isDone: async ({ lane, kubelet }) => {
      const accounts = await lane.platform.client.list(EXCHANGE_ACCOUNTS);
      return accounts.length === 0 && kubelet.open.size === 0;
    },
  },
  {
    name: "rotate-key",
    trades: false,
    prepare: startTradingBot,
    act: async (world) => {
      await world.lane.vault.store(NAMESPACE, await accountName(world));
      await changeAccount(world, { credentialsVersion: 2 });
    },
    isDone: async (world) => {
      const pod = await world.lane.platform.pod(BOT);
      const version = pod?.metadata?.annotations?.["tradingbots.dev/credentials-version"];
      return version === "2" && isRunning(world);
    },
  },
  {
    name: "change-image",
    trades: false,
    prepare: startTradingBot,
    act: async ({ lane }) => lane.platform.patch(BOT_CLASSES, CLASS, { image: "bot:2" }),
    isDone: async (world) => {
      const pod = await world.lane.platform.pod(BOT);
      return pod?.spec?.containers[0]?.image !== IMAGE && isRunning(world);
    },
  },
];

async function startOperator(world: World): Promise<void> {
  await world.startOperator();
  await world.rest();
}

async function startTradingBot(world: World): Promise<void> {
  await startOperator(world);
  const account = await createAccount(world);
  await createBot(world, { accountName: account });
  await world.until("the bot runs", () => isRunning(world));
  await world.rest();
}

async function createAccount({ lane }: World): Promise<string> {
  const name = await lane.platform.createAccount();
  await lane.vault.store(NAMESPACE, name);
  return name;
}

async function createBot({ lane }: World, spec: Record<string, unknown>): Promise<void> {
  await lane.platform.createBot(spec, BOT);
}

async function changeBot({ lane }: World, spec: object): Promise<void> {
  await lane.platform.patch(TRADING_BOTS, BOT, spec);
}

async function changeFinalizers({ lane }: World, finalizers: null): Promise<void> {
  const body = { metadata: { finalizers } };
  const key = { namespace: NAMESPACE, name: BOT };
  await lane.platform.client.patch(TRADING_BOTS, key, { type: "merge", body });
}

async function changeAccount(world: World, spec: object): Promise<void> {
  await world.lane.platform.patch(EXCHANGE_ACCOUNTS, await accountName(world), spec);
}

async function accountName({ lane }: World): Promise<string> {
  const [account] = await lane.platform.client.list(EXCHANGE_ACCOUNTS);
  if (account === undefined) throw new Error("there is no account");
  return account.metadata.name;
}

function botOf({ lane }: World) {
  return lane.platform.bot(BOT);
}

async function hasPod({ lane }: World): Promise<boolean> {
  return (await lane.platform.pod(BOT)) !== undefined;
}

/** Ready, under the specification's present generation, and known by its own report. */
async function isRunning(world: World, generation = 1): Promise<boolean> {
  const bot = await botOf(world);
  if (bot?.status?.observedGeneration !== generation) return false;
  const said = Object.fromEntries(
    (bot.status.conditions ?? []).map(({ type, reason }) => [type, reason]),
  );
  return said["Ready"] === "Running" && said["ConfigApplied"] === "Applied";
}
