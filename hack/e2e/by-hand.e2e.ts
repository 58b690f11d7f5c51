import { randomBytes, randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { z } from "zod";
import { eventually } from "../platform/eventually.ts";
import { type LiveEvent, RestClient } from "../platform/rest-client.ts";
import { HOLDING, platform, runningBot } from "./trader.ts";

const SYMBOL = "ETH/USDT:USDT";
const WITHIN_MS = 60_000;
/** A robot that sees no reason to trade. */
const IDLE = {
  ...HOLDING,
  strategy: { ...HOLDING.strategy, params: { ...HOLDING.strategy.params, buyBelow: 1 } },
};

const Told = z.object({
  kind: z.literal("request"),
  data: z.object({ id: z.string(), status: z.string(), reason: z.string().nullable() }),
});

test("what is ordered and closed by hand is done once, and its end told as it happens", async () => {
  const client = await RestClient.register(platform.apiUrl, {
    email: `by-hand-${randomUUID()}@example.com`,
    password: randomBytes(12).toString("base64url"),
  });
  const bot = await runningBot({ client }, { ...IDLE, mode: "paper", exchange: "bybit" });
  const events = await client.listen(AbortSignal.timeout(2 * WITHIN_MS));

  const ordered = await client.order(bot.id, { symbol: SYMBOL, side: "long" });
  expect(ordered).toMatchObject({ status: "waiting", action: "Order" });
  expect(await endOf(events, ordered.id)).toMatchObject({ status: "done", reason: null });
  await untilPosition(client, { botId: bot.id, isThere: true });
  const [opened] = await client.trades(bot.id);
  expect(opened).toMatchObject({ side: "long", closedAt: null });

  const closing = await client.closePosition(bot.id, SYMBOL);
  expect(await endOf(events, closing.id)).toMatchObject({ status: "done", reason: null });
  await untilPosition(client, { botId: bot.id, isThere: false });
  const [closed, ...others] = await client.trades(bot.id);
  expect({ id: closed?.id, others }).toEqual({ id: opened?.id, others: [] });
  expect(closed?.closedAt).not.toBeNull();
  await events.return();
});

/** What the bot said last of a request. */
async function endOf(events: AsyncGenerator<LiveEvent, void>, id: string) {
  for (;;) {
    const { value, done } = await events.next();
    if (done === true) throw new Error("nothing is told any more");
    const told = Told.safeParse(value).data?.data;
    if (told?.id === id && told.status !== "begun") return told;
  }
}

async function untilPosition(
  client: RestClient,
  { botId, isThere }: { readonly botId: string; readonly isThere: boolean },
): Promise<void> {
  await eventually({
    what: isThere ? "the position is shown" : "no position is shown",
    withinMs: WITHIN_MS,
    probe: async () => {
      const { position } = (await client.bot(botId)).status;
      return position?.startsWith("long") === isThere || undefined;
    },
    otherwise: async () => JSON.stringify(await client.bot(botId), undefined, 1),
  });
}
