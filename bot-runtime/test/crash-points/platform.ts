import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createPod, deletePod, startCluster, tokenOf, until } from "../../../api/test/cluster.ts";
import { startDatabase } from "../../../api/test/database.ts";
import { freePorts } from "../../../hack/control-plane/free-ports.ts";
import { nodeFlags } from "../../../hack/images/bot-node-flags.ts";
import { bundle } from "../../../hack/images/bundle.ts";

export const NAMESPACE = "tradingbots-00";
const USER = "00000000-0000-4000-8000-00000000000a";
const JOURNAL = fileURLToPath(new URL("../../../api/src/journal/main.ts", import.meta.url));

/** A row of `bots`, as the API leaves it. */
export interface BotIdentity {
  readonly name: string;
  readonly uid: string;
  readonly account: string;
}

export interface PodIdentity {
  readonly uid: string;
  /** Projected token for the journal, as the kubelet would mount it. */
  readonly token: string;
}

/** A busy machine needs seconds for the start of a process. */
const START_LIMIT_MS = 60_000;

type Row = Readonly<Record<string, unknown>>;

/** What all cases share: Postgres, an API server that issues tokens, the journal, and one bundle of the bot. */
export interface Platform {
  readonly journalUrl: string;
  /** Arguments of Node that run the bundled bot. */
  readonly program: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  createBot(): Promise<BotIdentity>;
  /** Deletes the bot's pod, whatever becomes of its process, and makes the next one. */
  replacePod(bot: BotIdentity): Promise<PodIdentity>;
  /** Behind the journal's back. `$1` is the bot's name. */
  query<Result extends Row>(sql: string, bot: BotIdentity): Promise<readonly Result[]>;
  stop(): Promise<void>;
}

export async function startPlatform(): Promise<Platform> {
  const [database, cluster, program] = await Promise.all([
    startDatabase(),
    startCluster(),
    bundleBot(),
  ]);
  const [port = 0] = await freePorts(1);
  const journal = await startJournal(port, {
    DATABASE_URL: database.journalUrl,
    KUBECONFIG: cluster.controlPlane.kubeconfigPath,
  });
  await database.superuser.query(
    "insert into users (id, email, password_hash, namespace) values ($1, 'a@example.com', 'x', $2)",
    [USER, NAMESPACE],
  );
  // One connection serves one question at a time.
  let asked: Promise<unknown> = Promise.resolve();
  async function ask<Result extends Row>(sql: string, values: unknown[]) {
    const answer = asked.then(() => database.superuser.query<Result>(sql, values));
    asked = answer.catch(() => undefined);
    return (await answer).rows;
  }

  let bots = 0;

  async function createBot(): Promise<BotIdentity> {
    bots += 1;
    const suffix = String(bots).padStart(20, "0");
    const bot = { name: `bot-${suffix}`, account: `acct-${suffix}`, uid: randomUUID() };
    const values = [USER, bot.account, NAMESPACE];
    await ask("insert into accounts (user_id, id, namespace) values ($1, $2, $3)", values);
    await ask("insert into bots (user_id, account_id, namespace, id) values ($1, $2, $3, $4)", [
      ...values,
      bot.name,
    ]);
    return bot;
  }

  async function replacePod({ name, account }: BotIdentity): Promise<PodIdentity> {
    await deletePod(cluster.admin, { name, namespace: NAMESPACE });
    const uid = await createPod(cluster.admin, { name, namespace: NAMESPACE, account });
    const token = await tokenOf(cluster.admin, {
      account,
      audience: "journal",
      namespace: NAMESPACE,
      pod: { name, uid },
    });
    return { uid, token };
  }

  return {
    journalUrl: `http://127.0.0.1:${port}`,
    program: [...nodeFlags("bot"), join(program, "bot.mjs")],
    // Compiled once for all processes: a start costs a third less of the machine.
    environment: { NODE_COMPILE_CACHE: join(program, "compiled") },
    createBot,
    replacePod,
    query: (sql, { name }) => ask(sql, [name]),
    stop: async () => {
      const ended = once(journal, "exit");
      journal.kill("SIGTERM");
      await ended;
      await Promise.all([database.stop(), cluster.stop()]);
      await rm(program, { recursive: true, force: true });
    },
  };
}
/** USDT; what every account of a case starts with. */
export const BALANCE = "10000";
export const USER_ID = USER;

async function bundleBot(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "crash-points-"));
  const entries = {
    bot: "bot-runtime/src/bot/main.ts",
    "exchange-bybit": "bot-runtime/src/exchange/bybit-ccxt.ts",
  };
  await bundle({ entries, small: true }, directory);
  return directory;
}

/** The journal as it is deployed: a process with an environment. */
async function startJournal(
  port: number,
  environment: Readonly<Record<string, string>>,
): Promise<ChildProcess> {
  const child = spawn(process.execPath, [JOURNAL], {
    env: { PORT: String(port), HOST: "127.0.0.1", LOG_LEVEL: "error", ...environment },
    stdio: ["ignore", "ignore", "inherit"],
  });
  await until(async () => {
    const { ok } = await fetch(`http://127.0.0.1:${port}/readyz`);
    if (!ok) throw new Error("the journal is not ready");
  }, START_LIMIT_MS);
  return child;
}
