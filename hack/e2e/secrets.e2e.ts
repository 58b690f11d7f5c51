import { expect, test } from "vitest";
import { readEtcdStore } from "../cluster/cluster.ts";
import { foundInPostgresFiles, rowsOfEveryTable } from "./database.ts";
import { HOLDING, kubectl, newTrader, openPosition, platform, runningBot } from "./trader.ts";

const KINDS =
  "pods,configmaps,secrets,serviceaccounts,deployments,jobs,events,tradingbots,exchangeaccounts,botclasses,tradinghalts";

test("an exchange key is nowhere but in Vault and in the memory of its own pod", async () => {
  const trader = await newTrader("canary");
  const bot = await runningBot(trader, HOLDING);
  await openPosition(trader);
  const canaries = [trader.apiKey, trader.apiSecret].flatMap((secret) => [
    secret,
    Buffer.from(secret).toString("base64").replace(/=+$/, ""),
  ]);
  const places = {
    "every object": await kubectl.run(["get", KINDS, "-A", "-o", "json", "--show-managed-fields"]),
    "the pod's environment": await inBot(trader.namespace, bot.id, "JSON.stringify(process.env)"),
    ...(platform.cluster === null
      ? {} // the store of somebody else's cluster is out of reach
      : { "the etcd store": Buffer.from(await readEtcdStore(platform.cluster)) }),
    "the rows of Postgres": await rowsOfEveryTable(),
    "the logs": await logsOfEveryContainer(),
  };
  for (const [place, content] of Object.entries(places)) {
    expect(content.length, `${place} could be read`).toBeGreaterThan(100);
    for (const canary of canaries) {
      expect(content.includes(canary), `a key in ${place}`).toBe(false);
    }
  }
  // The search itself can find something: what must be in each place is.
  expect(places["every object"]).toContain(bot.id);
  expect(platform.cluster === null || places["the etcd store"]?.includes(bot.id)).toBe(true);
  expect(places["the rows of Postgres"]).toContain(bot.id);
  expect(await foundInPostgresFiles([...canaries, bot.id])).toEqual([bot.id]);
  expect(places["the logs"]).toContain(bot.id);
});

async function inBot(namespace: string, pod: string, expression: string): Promise<string> {
  const script = `console.log(${expression})`;
  return kubectl.run(["exec", "-n", namespace, pod, "-c", "bot", "--", "node", "-e", script]);
}

async function logsOfEveryContainer(): Promise<string> {
  const list = await kubectl.run([
    "get",
    "pods",
    "-A",
    "-o",
    'jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{"\\n"}{end}',
  ]);
  const logs: string[] = [];
  for (const line of list.trim().split("\n")) {
    const [namespace = "", pod = ""] = line.split(" ");
    const args = ["logs", "-n", namespace, pod, "--all-containers", "--prefix", "--ignore-errors"];
    // A pod may end between the list and the read; its logs went with it.
    logs.push(await kubectl.run(args).catch((error: unknown) => String(error)));
  }
  return logs.join("\n");
}
