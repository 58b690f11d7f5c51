import { expect, test } from "vitest";
import {
  exampleAccount,
  exampleBot,
  exampleClass,
  exampleFacts,
  exampleHalt,
  examplePod,
  exampleReport,
} from "./bot/example-facts.ts";
import { createRoutes, type RoutingDeps, routeReport } from "./routing.ts";

const account = exampleAccount();
const bot = exampleBot();
const younger = exampleBot({}, { name: "younger", creationTimestamp: "2026-01-02T00:00:00Z" });
const pod = examplePod(exampleFacts());
const report = { latest: exampleReport(), previous: undefined };

/** Two bots on one account. Gives back the routes, and what woke: `bots younger`. */
function world({ hasSynced }: { readonly hasSynced: boolean }) {
  const woken: string[] = [];
  const queue = (name: string) => {
    const add = (key: string) => void woken.push(`${name} ${key.split("/").at(-1)}`);
    return { add, addAfter: add };
  };
  const queues = {
    bots: queue("bots"),
    accounts: queue("accounts"),
    halts: queue("halts"),
    classes: queue("classes"),
  };
  const bots = { get: () => bot, find: () => [bot, younger], views: () => [bot, younger] };
  const none = { get: () => undefined, find: () => [], views: () => [] };
  const cluster = {
    hasSynced: () => hasSynced,
    manages: () => true,
    bots: { store: bots },
    accounts: { store: none },
    halts: { store: none },
    classes: { store: none },
    pods: { get: () => pod },
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of a queue and of the cluster just what routes ask for
  const deps = { queues, cluster: () => cluster } as unknown as RoutingDeps;
  return { routes: createRoutes(deps), deps, woken };
}

test("while the cluster is read everything wakes itself, and nobody else", () => {
  const { routes, deps, woken } = world({ hasSynced: false });
  routes.botClass.onUpsert(exampleClass, undefined, "fill");
  routes.halt.onUpsert(exampleHalt("stop"), undefined, "fill");
  routes.account.onUpsert(account, undefined, "fill");
  routes.bot.onUpsert(bot, undefined, "fill");
  routes.pod.onUpsert(pod, undefined, "fill");
  routeReport(deps, bot.key, report);
  expect(woken).toEqual([
    "classes free",
    "halts stop",
    "accounts acct-1",
    "bots bot-1",
    "bots bot-1",
  ]);
});

test("what comes later wakes whom else it concerns", () => {
  const { routes, deps, woken } = world({ hasSynced: true });
  routes.account.onUpsert(account, undefined, "watch");
  routes.bot.onUpsert(bot, undefined, "watch");
  routeReport(deps, younger.key, report);
  expect(woken).toEqual([
    "accounts acct-1",
    // the account's bots
    "bots bot-1",
    "bots younger",
    // the bot, and the younger one for the symbol and for its place in the class
    "bots bot-1",
    "bots younger",
    "bots younger",
    // the report
    "bots younger",
  ]);
});
