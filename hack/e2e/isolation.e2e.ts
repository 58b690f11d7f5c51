import { expect, test } from "vitest";
import { z } from "zod";
import { HOLDING, kubectl, newTrader, platform, runningBot, type Trader } from "./trader.ts";

test("two users: neither sees, changes nor lists what belongs to the other", async () => {
  const [ann, ben] = await Promise.all([newTrader("ann"), newTrader("ben")]);
  const bot = await runningBot(ann, HOLDING);

  for (const [method, path, body] of [
    ["GET", `/api/bots/${bot.id}`, undefined],
    ["PATCH", `/api/bots/${bot.id}`, { displayName: "mine now" }],
    ["POST", `/api/bots/${bot.id}/start`, undefined],
    ["POST", `/api/bots/${bot.id}/stop`, undefined],
    ["POST", `/api/bots/${bot.id}/pause`, undefined],
    ["DELETE", `/api/bots/${bot.id}`, undefined],
    ["GET", `/api/trades?botId=${bot.id}`, undefined],
    ["GET", `/api/accounts/${ann.accountId}`, undefined],
    ["DELETE", `/api/accounts/${ann.accountId}`, undefined],
    [
      "PUT",
      `/api/accounts/${ann.accountId}/credentials`,
      { apiKey: ben.apiKey, apiSecret: ben.apiSecret },
    ],
  ] as const) {
    const answer = await ben.client.call({ method, path, body });
    expect(answer, `${method} ${path}`).toMatchObject({ status: 404 });
  }
  const onForeignAccount = await ben.client.call({
    method: "POST",
    path: "/api/bots",
    body: {
      displayName: "parasite",
      accountId: ann.accountId,
      mode: "testnet",
      symbols: ["BTC/USDT:USDT"],
      timeframe: "1m",
      strategy: HOLDING.strategy,
    },
  });
  expect(onForeignAccount.status).toBeGreaterThanOrEqual(400);
  expect(onForeignAccount.status).toBeLessThan(500);

  expect(await ids(ben, "/api/bots")).toEqual([]);
  expect(await ids(ben, "/api/accounts")).toEqual([ben.accountId]);
  expect(await ids(ben, "/api/trades")).toEqual([]);
  expect((await ann.client.bot(bot.id))["displayName"]).toBe("end to end");
});

test("a pod cannot read another account's key from Vault with its own token", async () => {
  const [ann, ben] = await Promise.all([newTrader("ann"), newTrader("ben")]);
  const bot = await runningBot(ann, HOLDING);
  const token = await podToken(ann, bot.id, "vault");

  const own = await readFromPod(ann, bot.id, { token, path: `${ann.namespace}/${ann.accountId}` });
  expect(own).toMatchObject({ login: 200, read: 200 });
  const other = await readFromPod(ann, bot.id, {
    token,
    path: `${ben.namespace}/${ben.accountId}`,
  });
  expect(other).toMatchObject({ login: 200, read: 403 });
  expect(other.errors?.join()).toContain("permission denied");

  const wrongAudience = await podToken(ann, bot.id, "journal");
  const refused = await readFromPod(ann, bot.id, {
    token: wrongAudience,
    path: `${ann.namespace}/${ann.accountId}`,
  });
  expect(refused.login).toBe(400);
});

const Page = z.object({ items: z.array(z.looseObject({ id: z.string() })) });

async function ids(trader: Trader, path: string): Promise<readonly string[]> {
  const { status, body } = await trader.client.call({ method: "GET", path });
  expect(status).toBe(200);
  return Page.parse(body).items.map((item) => item.id);
}

/** A token like the one that the kubelet projects into this pod, bound to it. */
async function podToken(trader: Trader, pod: string, audience: string): Promise<string> {
  const args = ["create", "token", trader.accountId, "-n", trader.namespace];
  const bound = ["--bound-object-kind", "Pod", "--bound-object-name", pod];
  return (await kubectl.run([...args, ...bound, "--audience", audience])).trim();
}

const VaultAnswer = z.object({
  login: z.number(),
  read: z.number().optional(),
  errors: z.array(z.string()).optional(),
});

/** Logs in to Vault and reads a path from inside the bot's container; tells the statuses, never the key. */
async function readFromPod(
  trader: Trader,
  pod: string,
  { token, path }: { readonly token: string; readonly path: string },
): Promise<z.infer<typeof VaultAnswer>> {
  const script = `
    const [vault, jwt, path] = process.argv.slice(1);
    const login = await fetch(vault + "/v1/auth/jwt/login", {
      method: "POST", body: JSON.stringify({ role: "bot", jwt }) });
    if (!login.ok) { console.log(JSON.stringify({ login: login.status })); process.exit(0); }
    const { auth } = await login.json();
    const read = await fetch(vault + "/v1/tradingbots/data/" + path, {
      headers: { "x-vault-token": auth.client_token } });
    const { errors } = await read.json();
    console.log(JSON.stringify({ login: login.status, read: read.status, errors }));`;
  const inPod = ["exec", "-n", trader.namespace, pod, "-c", "bot", "--"];
  const node = ["node", "--input-type=module", "-e", script, platform.vaultInCluster, token, path];
  return VaultAnswer.parse(JSON.parse(await kubectl.run([...inPod, ...node])));
}
