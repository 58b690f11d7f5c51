import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { z } from "zod";
import { eventually } from "../platform/eventually.ts";
import { RestClient } from "../platform/rest-client.ts";
import {
  conditionOf,
  HOLDING,
  kubectl,
  newTrader,
  platform,
  podsOf,
  runningBot,
  simulator,
  type Trader,
} from "./trader.ts";

test("a wrong key is refused with a reason, and its bot does not crash-loop", async () => {
  const client = await RestClient.register(platform.apiUrl, {
    email: `wrong-${randomBytes(6).toString("hex")}@example.com`,
    password: randomBytes(12).toString("base64url"),
  });
  const account = await client.connectAccount({
    apiKey: "nobody-knows-me",
    apiSecret: "x".repeat(20),
  });
  const refused = await eventually({
    what: "the verification is refused",
    withinMs: 60_000,
    probe: async () => {
      const current = await client.account(account.id);
      return current.verification.state === "refused" ? current : undefined;
    },
  });
  expect(refused.verification.reason).toBeTruthy();

  const bot = await client.createBot({
    displayName: "keyless",
    accountId: account.id,
    mode: "testnet",
    symbols: ["ETH/USDT:USDT"],
    timeframe: "1m",
    strategy: HOLDING.strategy,
    state: "Running",
  });
  const seen = await eventually({
    what: "the bot says why it is not ready",
    withinMs: 20_000,
    probe: async () => {
      const current = await client.bot(bot.id);
      return conditionOf(current, "Ready")?.status === "False" ? current : undefined;
    },
  });
  expect(seen.status.reason).toMatch(/^Credentials/);
  await sleep(3_000);
  const pods = await kubectl.run([
    "get",
    "pods",
    "-A",
    "-l",
    `tradingbots.dev/bot=${bot.id}`,
    "-o",
    "name",
  ]);
  expect(pods).toBe("");
});

test("a key that is revoked while its bot runs shows in Ready, without a crash loop", async () => {
  const trader = await newTrader("revoked");
  const bot = await runningBot(trader, { ...HOLDING, autoTrade: false });
  await simulator.revokeKey(trader.apiKey);
  const seen = await eventually({
    what: "Ready turns False",
    withinMs: 60_000,
    probe: async () => {
      const current = await trader.client.bot(bot.id);
      return current.status.ready ? undefined : current;
    },
    otherwise: async () => JSON.stringify(await trader.client.bot(bot.id), undefined, 1),
  });
  expect(seen.status.reason).toMatch(/^Credentials/);
  await sleep(5_000);
  for (const pod of await podsOf(trader, bot.id)) {
    expect(pod.status.containerStatuses?.every((status) => status.restartCount <= 1)).toBe(true);
  }
});

const Problem = z.looseObject({ code: z.string(), title: z.string(), status: z.number() });

test("bad input gets a 4xx with a code and creates nothing", async () => {
  const trader = await newTrader("bad");
  const good = {
    displayName: "bad input",
    accountId: trader.accountId,
    mode: "testnet",
    symbols: ["ETH/USDT:USDT"],
    timeframe: "1m",
    strategy: HOLDING.strategy,
  } as const;
  const before = await botsOf(trader);
  for (const [name, body, status] of [
    ["malformed JSON", '{"displayName": ', 400],
    ["unknown exchange", { ...good, accountId: undefined, exchange: "mtgox", mode: "paper" }, 422],
    ["leverage above the class", { ...good, risk: { leverage: 100 } }, 422],
    ["a body of 10 MB", { ...good, displayName: "x".repeat(10_000_000) }, 413],
    ["SQL in an id", { ...good, accountId: "'; drop table users; --" }, 422],
    ["another user's id", { ...good, userId: "00000000-0000-4000-8000-000000000000" }, 422],
    ["an unknown field", { ...good, sudo: true }, 422],
  ] as const) {
    const answer = await trader.client.call({ method: "POST", path: "/api/bots", body });
    expect(answer.status, `${name}: ${JSON.stringify(answer.body)}`).toBe(status);
    expect(Problem.parse(answer.body).code, name).toMatch(/^[a-z_]+$/);
  }
  const sqlInDisplayName = await trader.client.createBot({
    ...good,
    displayName: "Robert'); drop table bots;--",
  });
  expect(sqlInDisplayName.displayName).toBe("Robert'); drop table bots;--");
  expect(before).toEqual([]);
  expect(await botsOf(trader)).toEqual([sqlInDisplayName.id]);
});

async function botsOf(trader: Trader): Promise<readonly string[]> {
  const selector = `tradingbots.dev/user=${trader.client.userId}`;
  const args = [
    "get",
    "tradingbots",
    "-A",
    "-l",
    selector,
    "-o",
    "jsonpath={.items[*].metadata.name}",
  ];
  return (await kubectl.run(args)).split(" ").filter(Boolean);
}
