import { randomBytes, randomUUID } from "node:crypto";
import { Decimal } from "decimal.js";
import { expect, test } from "vitest";
import { eventually } from "../platform/eventually.ts";
import { RestClient } from "../platform/rest-client.ts";
import { BUSY, namespaceOf, platform, podsOf, runningBot } from "./trader.ts";

const TRADES = 3;

test("a user without a key or an account tries a robot on paper", async () => {
  const client = await RestClient.register(platform.apiUrl, {
    email: `paper-${randomUUID()}@example.com`,
    password: randomBytes(12).toString("base64url"),
  });
  const bot = await runningBot({ client }, { ...BUSY, mode: "paper", exchange: "bybit" });
  const namespace = await namespaceOf("tradingbot", bot.id);

  const [pod] = await podsOf({ namespace }, bot.id);
  expect(pod?.spec.serviceAccountName).toBe(`paper-${bot.id}`);
  expect(pod?.spec.initContainers ?? []).toEqual([]);

  const closed = async () =>
    (await client.trades(bot.id)).filter((trade) => trade.closedAt !== null);
  const trades = await eventually({
    what: `${TRADES} paper trades are closed`,
    withinMs: 120_000,
    probe: async () => {
      const found = await closed();
      return found.length >= TRADES ? found : undefined;
    },
    otherwise: async () => JSON.stringify(await client.bot(bot.id), undefined, 1),
  });
  for (const { side, quantity, entryPrice, exitPrice, fees, pnl } of trades) {
    const moved = new Decimal(exitPrice ?? 0).minus(entryPrice).times(side === "long" ? 1 : -1);
    expect(
      moved
        .times(quantity)
        .minus(fees)
        .eq(pnl ?? 0),
    ).toBe(true);
  }

  await client.command(bot.id, "stop");
  await eventually({
    what: "the stopped paper bot is flat and its pod gone",
    withinMs: 60_000,
    probe: async () => (await podsOf({ namespace }, bot.id)).length === 0 || undefined,
    otherwise: async () => JSON.stringify(await client.bot(bot.id), undefined, 1),
  });
  expect((await client.trades(bot.id)).every((trade) => trade.closedAt !== null)).toBe(true);
});
