import { describe, expect, test } from "vitest";
import { amount, price, quantity } from "../money.ts";
import { SYMBOL } from "./example-bot.ts";
import { ENTRY, startExampleHolder } from "./example-holder.ts";

const isNotFound = (body: { readonly type: string; readonly code?: string | null }) =>
  body.type === "order" && body.code === "NotFound";

describe("an entry of unknown outcome that no look-up shows", () => {
  test("is lost after 75 s, over after ten minutes, and not before", async () => {
    const { run, records, sentEntry } = startExampleHolder();
    const work = sentEntry();
    await run(work, 75_000);
    expect(work.lost).toBe(false);
    await run(work, 1_000);
    expect(work.lost).toBe(true);
    expect(records.filter(isNotFound)).toMatchObject([{ status: "unknown" }]);
    expect(await run(work, 523_000)).toBe(false);
    expect(records.filter(isNotFound)).toHaveLength(1);
    expect(await run(work, 2_000)).toBe(true);
    expect(records.filter(isNotFound)).toMatchObject([
      { status: "unknown" },
      { status: "cancelled" },
    ]);
  });

  test("is in the ledger when it is shown after its stop struck, minutes later", async () => {
    const { market, run, records, sentEntry } = startExampleHolder();
    const work = sentEntry();
    await run(work, 250_000);
    expect(work.lost).toBe(true);
    market.fill("buy", quantity("1"), { id: ENTRY });
    market.fill("sell", quantity("1"), { cause: "stop", at: "99" });
    expect(await run(work, 1_000)).toBe(true);
    const told = records.findLast((body) => body.type === "trade");
    expect(told?.trade).toMatchObject({ reason: "stop", pnl: "-1" });
    const orders = records.filter((body) => body.type === "order");
    expect(orders.at(-1)).toMatchObject({ clientOrderId: ENTRY, status: "filled" });
  });

  test.each([
    ["as large as it, which nothing else explains, has its stop", "1", "100", ["99"]],
    ["of a part of it has one, too", "0.4", "100", ["99"]],
    ["that is larger has none of the bot's", "2", "100", []],
    ["of no price has none: it would be one at nothing", "1", "0", []],
  ])("and a position %s", async (...[, held, at, stops]) => {
    const { market, run, sentEntry } = startExampleHolder();
    const work = sentEntry();
    market.net = quantity(held);
    market.entryPrice = price(at);
    market.stopLoss = undefined;
    await run(work, 21_000);
    expect(market.levelsSent.map(({ stopLoss }) => String(stopLoss))).toEqual(stops);
  });

  test("gives no stop to what somebody else's order opened", async () => {
    const { market, run, sentEntry } = startExampleHolder();
    const work = sentEntry();
    market.fill("buy", quantity("1"), { id: "by-hand" });
    market.stopLoss = undefined;
    await run(work, 21_000);
    expect(market.levelsSent).toEqual([]);
  });

  test("does not end earlier because somebody sets the wall clock", async () => {
    const { run, sentEntry, setWallClock } = startExampleHolder();
    const work = sentEntry();
    setWallClock(3_600_000);
    expect(await run(work, 15_000)).toBe(false);
  });

  test("is found by its executions although its order stays hidden", async () => {
    const { market, run, records, sentEntry } = startExampleHolder();
    const work = sentEntry();
    market.hidden.add(ENTRY);
    market.fill("buy", quantity("1"), { id: ENTRY });
    await run(work, 25_000);
    expect([work.entry, work.account.open.toFixed()]).toEqual(["over", "1"]);
    // An intent whose entry nobody tells the end of would stay open in the journal for ever.
    expect(records.filter((body) => body.type === "order")).toMatchObject([
      { clientOrderId: ENTRY, purpose: "entry", side: "buy", quantity: "1", status: "filled" },
    ]);
  });

  test("whose trade was closed meanwhile is told to the journal as closed", async () => {
    const { market, run, records, sentEntry } = startExampleHolder();
    const work = sentEntry();
    market.hidden.add(ENTRY);
    market.fill("buy", quantity("1"), { id: ENTRY });
    market.fill("sell", quantity("1"), { cause: "target", at: "102" });
    expect(await run(work, 25_000)).toBe(true);
    const told = records.findLast((body) => body.type === "trade");
    expect(told?.trade).toMatchObject({ reason: "target", pnl: "2" });
  });

  test("is over beside a position that somebody else has opened meanwhile", async () => {
    const { market, run, records, sentEntry } = startExampleHolder();
    const work = sentEntry();
    market.fill("buy", quantity("2"), { id: "by-hand" });
    expect(await run(work, 601_000)).toBe(true);
    expect(records.some(isNotFound)).toBe(true);
  });

  test("is not over while a position is there that nothing explains", async () => {
    const { market, run, sentEntry } = startExampleHolder();
    const work = sentEntry();
    market.net = quantity("1");
    expect(await run(work, 60_000)).toBe(false);
    expect(work.contradiction).toContain("shows no such order");
    market.net = quantity("0");
    market.fill("buy", quantity("1"), { id: ENTRY });
    await run(work, 1_000);
    expect([work.contradiction, work.account.open.toFixed()]).toEqual([undefined, "1"]);
  });

  test("is not contradictory any more once such a position has gone", async () => {
    const { market, run, sentEntry } = startExampleHolder();
    const work = sentEntry();
    market.net = quantity("1");
    await run(work, 30_000);
    market.net = quantity("0");
    await run(work, 1_000);
    expect([work.contradiction, work.entry]).toEqual([undefined, "unknown"]);
    await run(work, 50_000);
    expect(work.lost).toBe(true);
  });
});

test.each([
  ["that is found", false],
  ["that stays hidden", true],
])("of an entry %s the trade is told before the order", async (_, isHidden) => {
  const { market, run, records, sentEntry } = startExampleHolder();
  const work = sentEntry();
  if (isHidden) market.hidden.add(ENTRY);
  market.fill("buy", quantity("1"), { id: ENTRY });
  market.fill("sell", quantity("1"), { cause: "stop", at: "99" });
  expect(await run(work, 25_000)).toBe(true);
  const told = records.flatMap(({ type }) => (type === "order" || type === "trade" ? type : []));
  // Whatever part of it arrives, the next process finds the entry open or the trade told.
  expect([told.includes("trade"), told.indexOf("order")]).toEqual([true, told.length - 1]);
});

test("an accepted entry that is hidden for minutes is waited for, named, and taken up", async () => {
  const { market, run, records, sentEntry } = startExampleHolder();
  const work = sentEntry({ accepted: true });
  market.hidden.add(ENTRY);
  market.place(ENTRY, { status: "open" });
  expect(await run(work, 120_000)).toBe(false);
  expect(records.some(isNotFound)).toBe(false);
  expect(work.contradiction).toContain(ENTRY);
  market.hidden.clear();
  market.fill("buy", quantity("1"), { id: ENTRY });
  await run(work, 1_000);
  expect([work.contradiction, work.account.open.toFixed()]).toEqual([undefined, "1"]);
});

test("an entry whose rest was cancelled is a position of what was filled", async () => {
  const { market, records, run, sentEntry } = startExampleHolder();
  const work = sentEntry({ accepted: true });
  market.fill("buy", quantity("0.4"), { id: ENTRY });
  market.place(ENTRY, { status: "cancelled", filledQuantity: quantity("0.4") });
  expect(await run(work, 1_000)).toBe(false);
  expect([work.entry, work.account.open.toFixed()]).toEqual(["over", "0.4"]);
  expect(records.findLast(({ type }) => type === "order")).toMatchObject({
    status: "filled",
    quantity: "0.4",
  });
});

const halt = (action: "BlockEntries" | "CancelOrders" | "Flatten", symbols: string[] | null) => ({
  halts: [{ name: "h", uid: "u", action, symbols }],
});

describe("an open entry is cancelled by id, its protection left alone,", () => {
  test.each([
    ["by CancelOrders", halt("CancelOrders", null), true],
    ["by CancelOrders on its symbol", halt("CancelOrders", [SYMBOL]), true],
    ["not by CancelOrders on another", halt("CancelOrders", ["ETH/USDT:USDT"]), false],
    ["by Flatten", halt("Flatten", null), true],
    ["not by BlockEntries", halt("BlockEntries", null), false],
    ["when the bot is paused", { state: "Paused" as const }, true],
  ])("%s", async (_, config, cancels) => {
    const { market, run, sentEntry } = startExampleHolder(config);
    market.place(ENTRY, { status: "open" });
    await run(sentEntry({ accepted: true }), 3_000);
    expect(market.cancelled.length > 0).toBe(cancels);
    expect(new Set(market.cancelled).size).toBe(cancels ? 1 : 0);
    expect(market.cancelled.length).toBeLessThanOrEqual(3);
  });

  test("when it stays open for longer than a market order can", async () => {
    const { market, run, sentEntry } = startExampleHolder();
    market.place(ENTRY, { status: "open" });
    const work = sentEntry({ accepted: true });
    await run(work, 59_000);
    expect(market.cancelled).toEqual([]);
    await run(work, 2_000);
    expect(market.cancelled[0]).toBe(ENTRY);
  });

  test("also when the exchange does not show it yet", async () => {
    const { market, run, sentEntry } = startExampleHolder({ state: "Stopped" });
    await run(sentEntry(), 1_000);
    expect(market.cancelled).toEqual([ENTRY]);
  });
});

test("a position that is gone without an execution is unknown, not over", async () => {
  const { market, run, heldWork } = startExampleHolder();
  const work = heldWork();
  await run(work, 1_000);
  market.net = quantity("0");
  expect(await run(work, 25_000)).toBe(false);
  expect(work.contradiction).toContain("is gone");
  market.net = quantity("1");
  market.fill("sell", quantity("1"), { cause: "liquidation", at: "91" });
  expect(await run(work, 1_000)).toBe(true);
});

test("what somebody opens where the bot's position is gone is neither protected nor closed as the bot's", async () => {
  const { market, run, heldWork } = startExampleHolder({ state: "Stopped" });
  const work = heldWork();
  market.net = quantity("0");
  await run(work, 25_000);
  market.fill("buy", quantity("1"));
  market.stopLoss = price("50");
  expect(await run(work, 5_000)).toBe(false);
  expect(work.contradiction).toContain("is gone");
  expect([market.sent, market.levelsSent]).toEqual([[], []]);
  // It comes back beside the other.
  market.net = quantity("2");
  expect(await run(work, 5_000)).toBe(true);
  expect(market.sent.map((order) => String(order.quantity))).toEqual(["1"]);
});

test("funding is found while the position is held, recorded once, and part of the profit", async () => {
  const { market, run, records, heldWork } = startExampleHolder();
  const work = heldWork();
  await run(work, 1_000);
  market.fill("buy", quantity("0"), { cause: "funding" });
  const funding = market.executions.at(-1);
  if (funding === undefined) throw new Error("no funding");
  market.executions.splice(-1, 1, {
    ...funding,
    quantity: quantity("1"),
    fee: amount("-0.5"),
  });
  await run(work, 65_000);
  const recorded = records.filter((body) => body.type === "funding");
  expect(recorded).toMatchObject([{ tradeId: ENTRY, amount: "0.5", currency: "USDT" }]);
  market.fill("sell", quantity("1"), { cause: "target", at: "102" });
  expect(await run(work, 1_000)).toBe(true);
  expect(records.findLast((body) => body.type === "trade")?.trade).toMatchObject({
    pnl: "2.5",
    funding: "0.5",
    reason: "target",
  });
});

test.each([
  ["its entry", ENTRY, true],
  ["another bot's order", "22222222-2222-8222-9222-222222222222", false],
])(
  "an execution of %s that cannot be read ends the looks of nobody else",
  async (...[, id, isOwn]) => {
    const { market, look, heldWork } = startExampleHolder();
    const work = heldWork();
    market.fill("buy", quantity("0"), { id, cause: "unknown" });
    const [own, unreadable] = market.executions;
    if (own === undefined || unreadable === undefined) throw new Error("nothing was executed");
    market.executions.splice(0, 2, own, { ...unreadable, isUnreadable: true });
    const looked = look(work).then(
      () => "",
      (reason: unknown) => String(reason),
    );
    expect((await looked).includes("cannot be read")).toBe(isOwn);
  },
);
