import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Exchange } from "../exchange/exchange.ts";
import { price, quantity } from "../money.ts";
import { requestedEntryId } from "../orders/order-id.ts";
import {
  exampleExecution,
  exampleIntent,
  exampleLong,
  type ExampleOptions,
  exampleSession,
  exampleTrade,
  NEWEST,
  startExampleBot,
  SYMBOL,
} from "./example-bot.ts";

/** An entry that is under way, or was, and that no look-up shows for longer than 75 s. */

const START = Date.UTC(2026, 0, 5, 12);
const MINUTE = 60_000;

beforeEach(() => void vi.useFakeTimers({ now: START }));
afterEach(() => void vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

const intent = (sentAgoMs: number) => ({
  ...exampleIntent(SYMBOL),
  at: new Date(Date.now() - sentAgoMs).toISOString(),
});
const entryId = exampleIntent(SYMBOL).clientOrderId;

/** A process that hears from the journal of an entry that was sent so long ago. */
function takeUp(sentAgoMs: number, options: ExampleOptions = {}) {
  const it = startExampleBot(options);
  it.grantSession({ ...exampleSession, openIntents: [intent(sentAgoMs)] });
  return it;
}

const closeRequest = () => ({
  id: "c0ffee00-1111-4222-8333-444455556666",
  action: "ClosePosition" as const,
  symbol: SYMBOL,
  notAfter: new Date(Date.now() + MINUTE).toISOString(),
});

const answers = (it: ReturnType<typeof startExampleBot>) =>
  it.records.flatMap((body) => (body.type === "request" ? [body.result.status] : []));

test("bars other entries for 75 s, and keeps the bot from being flat for ten minutes", async () => {
  const submitEntry = vi.fn<Exchange["submitEntry"]>(async () => ({
    kind: "accepted",
    exchangeOrderId: "x",
  }));
  const it = takeUp(0, { exchange: { submitEntry } });
  await pass(70_000);
  it.closeCandle();
  await pass(10_000);
  expect(it.lastReport()).toMatchObject({ flat: false, blocked: [] });
  expect(it.ordersRecorded()).toMatchObject([{ status: "unknown", code: "NotFound" }]);
  expect(submitEntry).not.toHaveBeenCalled();
  await pass(10 * MINUTE - 82_000);
  expect(it.lastReport()?.flat).toBe(false);
  await pass(MINUTE);
  expect(it.lastReport()?.flat).toBe(true);
  expect(it.ordersRecorded().at(-1)).toMatchObject({ status: "cancelled", code: "NotFound" });
});

test("a candle that closes after 75 s leads to an entry beside it", async () => {
  const submitEntry = vi.fn<Exchange["submitEntry"]>(async () => ({
    kind: "refused",
    code: "1",
    message: "no",
    final: true,
  }));
  const it = takeUp(0, { exchange: { submitEntry } });
  await pass(80_000);
  it.closeCandle(NEWEST);
  await pass(1_000);
  expect(submitEntry).toHaveBeenCalledTimes(1);
});

test.each([
  [5 * MINUTE, 4 * MINUTE + 50_000, 6 * MINUTE],
  [60 * MINUTE, 74_000, 80_000],
])(
  "that was sent %i ms before the process began is over when its ten minutes are, and 75 s at least",
  async (sentAgoMs, notYetMs, overMs) => {
    const it = takeUp(sentAgoMs);
    await pass(notYetMs);
    expect(it.lastReport()?.flat).toBe(false);
    await pass(overMs - notYetMs);
    expect(it.lastReport()?.flat).toBe(true);
  },
);

test("that this process has sent is looked for ten minutes by a clock that nobody sets: the wall clock may be minutes behind", async () => {
  const outcome = { kind: "unknown", code: "timeout", message: "no answer" } as const;
  const clock = () => ({ skewMs: -4 * MINUTE, uncertaintyMs: 0 });
  const it = startExampleBot({ exchange: { submitEntry: async () => outcome, clock } });
  it.grantSession();
  await pass(1_000);
  it.closeCandle();
  await pass(1_000);
  expect(it.ordersRecorded()).toHaveLength(1);
  await pass(9 * MINUTE);
  expect(it.lastReport()?.flat).toBe(false);
  await pass(2 * MINUTE);
  expect(it.lastReport()?.flat).toBe(true);
});

test("a look for it that fails is not made again before the next is due", async () => {
  let fails = false;
  const findOrder = vi.fn<Exchange["findOrder"]>(async () => {
    if (fails) throw new Error("no answer");
    return undefined;
  });
  const it = takeUp(0, { exchange: { findOrder } });
  await pass(80_000);
  fails = true;
  findOrder.mockClear();
  await pass(3 * MINUTE);
  expect(findOrder).toHaveBeenCalledTimes(3);
  fails = false;
  await pass(8 * MINUTE);
  expect(it.lastReport()?.flat).toBe(true);
});

test("two of them: the one after the one whose look fails is looked for all the same", async () => {
  const other = "99999999-9999-8999-8999-999999999999";
  const findOrder = vi.fn<Exchange["findOrder"]>(async ({ clientOrderId }) => {
    if (clientOrderId === entryId && Date.now() > START + 80_000) throw new Error("no answer");
    return undefined;
  });
  const it = startExampleBot({ exchange: { findOrder } });
  const openIntents = [intent(0), { ...intent(0), clientOrderId: other }];
  it.grantSession({ ...exampleSession, openIntents });
  await pass(12 * MINUTE);
  expect(it.ordersRecorded().findLast((order) => order.clientOrderId === other)).toMatchObject({
    status: "cancelled",
  });
});

/** A process whose entry is lost, and what lets the exchange show its position. */
async function lostBot() {
  const submitExit = vi.fn<Exchange["submitExit"]>(async () => ({
    kind: "accepted",
    exchangeOrderId: "x",
  }));
  const protect = vi.fn<Exchange["protect"]>(async () => ({
    kind: "accepted",
    exchangeOrderId: "x",
  }));
  const it = takeUp(0, { exchange: { submitExit, protect } });
  await pass(100_000);
  const show = () => {
    it.shown.held = exampleLong;
    it.shown.executions = [exampleExecution("buy", { clientOrderId: entryId, atMs: Date.now() })];
  };
  return { ...it, it, submitExit, protect, show };
}

describe("when its position is shown after all", () => {
  test("it is the bot's as soon as anybody's is looked for, and has its stop", async () => {
    const { show, protect, lastReport } = await lostBot();
    show();
    await pass(33_000);
    expect(protect).toHaveBeenCalled();
    expect(lastReport()?.positions).toHaveLength(1);
  });

  test("it has its stop at once when the exchange tells of it", async () => {
    const { show, protect, bot } = await lostBot();
    await pass(5_000);
    show();
    bot.hinted(SYMBOL);
    await pass(1_500);
    expect(protect).toHaveBeenCalled();
  });

  test("also while neither order nor executions say whose it is", async () => {
    const { it, protect, lastReport } = await lostBot();
    it.shown.held = exampleLong;
    await pass(31_000);
    expect(protect).toHaveBeenCalledWith(
      SYMBOL,
      expect.objectContaining({ takeProfit: undefined }),
    );
    expect(lastReport()?.blocked[0]).toMatchObject({ reason: "PositionUnknown" });
  });

  test("it is closed when that was asked for before, and answered", async () => {
    const { it, show, submitExit, bot, config } = await lostBot();
    bot.applyConfig({ ...config, generation: 2, requests: [closeRequest()] });
    await pass(5_000);
    expect(answers(it)).toEqual(["begun", "done"]);
    expect(submitExit).not.toHaveBeenCalled();
    show();
    await pass(31_000);
    expect(submitExit).toHaveBeenCalled();
  });

  test.each([
    ["ClosePosition" as const, true],
    ["CancelOrders" as const, false],
  ])("a process that began since obeys what was asked for before: %s", async (action, isClosed) => {
    const { it, config, bot } = await lostBot();
    bot.applyConfig({ ...config, generation: 2, requests: [{ ...closeRequest(), action }] });
    await pass(5_000);
    expect(answers(it)).toEqual(["begun", "done"]);
    const requests = it.records.flatMap((body) =>
      body.type === "request" && body.result.status === "done" ? [body.result] : [],
    );
    const [submitExit, cancel] = [accepted(), accepted()];
    const next = startExampleBot({ exchange: { submitExit, cancel } });
    const openIntents = [intent(105_000)];
    next.grantSession({ ...exampleSession, openIntents, requests });
    await pass(5_000);
    expect(cancel).toHaveBeenCalled();
    next.shown.held = { ...exampleLong, stopLoss: price("59000") };
    const ofEntry = { clientOrderId: entryId, atMs: Date.now() };
    next.shown.executions = [exampleExecution("buy", ofEntry)];
    await pass(31_000);
    expect(submitExit.mock.calls.length > 0).toBe(isClosed);
  });

  test("what was asked for before it was sent is not about it", async () => {
    const [submitExit, cancel] = [accepted(), accepted()];
    const it = startExampleBot({ exchange: { submitExit, cancel } });
    const { notAfter: _, ...asked } = closeRequest();
    const ended = { status: "done", reason: null, message: "", orderId: null, side: null } as const;
    const at = new Date(Date.now() - 1_000).toISOString();
    it.grantSession({
      ...exampleSession,
      openIntents: [intent(0)],
      requests: [{ ...asked, ...ended, at }],
    });
    await pass(5_000);
    expect(cancel).not.toHaveBeenCalled();
  });
});

const accepted = () =>
  vi.fn<Exchange["submitExit"] & Exchange["cancel"]>(async () => ({
    kind: "accepted",
    exchangeOrderId: "x",
  }));

const foreignOrder = {
  clientOrderId: "by-hand",
  exchangeOrderId: "f",
  side: "buy",
  quantity: quantity("1"),
  filledQuantity: quantity("0"),
  status: "open",
  isProtection: false,
  createdMs: 0,
} as const;

test("a look that shows it and then fails leaves it in care: the next turn goes on with it", async () => {
  const protect = vi.fn<Exchange["protect"]>(async () => ({
    kind: "accepted",
    exchangeOrderId: "x",
  }));
  const findOrder = vi.fn<Exchange["findOrder"]>(async () => undefined);
  let failures = 0;
  const executions: Exchange["executions"] = async () => {
    if (it.shown.held === undefined || failures > 0) return it.shown.executions;
    failures += 1;
    throw new Error("no answer");
  };
  const it = takeUp(0, { exchange: { protect, findOrder, executions } });
  await pass(121_000);
  const looks = findOrder.mock.calls.length;
  findOrder.mockImplementation(async () => {
    it.shown.held = exampleLong;
    it.shown.executions = [exampleExecution("buy", { clientOrderId: entryId, atMs: Date.now() })];
    const filled = { status: "filled", filledQuantity: exampleLong.quantity } as const;
    return { ...foreignOrder, ...filled, clientOrderId: entryId };
  });
  while (findOrder.mock.calls.length === looks) await pass(1_000);
  await pass(3_000);
  expect(failures).toBe(1);
  expect(protect).toHaveBeenCalled();
});

test.each([["an order"], ["a position"]])(
  "what lasts beside them, %s of somebody else's, brings no more looks than one a minute",
  async (what) => {
    const findOrder = vi.fn<Exchange["findOrder"]>(async () => undefined);
    const it = takeUp(0, { exchange: { findOrder } });
    if (what === "an order") it.shown.orders = [foreignOrder];
    await pass(100_000);
    if (what === "a position") {
      it.shown.held = { ...exampleLong, side: "short" };
      it.shown.executions = [
        exampleExecution("sell", { clientOrderId: "by-hand", atMs: Date.now() }),
      ];
    }
    await pass(35_000);
    findOrder.mockClear();
    await pass(120_000);
    expect(findOrder.mock.calls.length).toBeLessThanOrEqual(3);
  },
);

test("an order that somebody asked for is answered when its entry is over: an answer is not taken back", async () => {
  const outcome = { kind: "unknown", code: "timeout", message: "no answer" } as const;
  const it = startExampleBot({ exchange: { submitEntry: async () => outcome } });
  it.grantSession();
  await pass(1_000);
  const request = { ...closeRequest(), action: "Order" as const, side: "long" as const };
  it.bot.applyConfig({ ...it.config, generation: 2, requests: [request] });
  await pass(5 * MINUTE);
  expect(answers(it)).toEqual(["begun"]);
  const id = requestedEntryId({ botUid: it.config.botUid, symbol: SYMBOL }, request.id);
  it.shown.executions = [
    exampleExecution("buy", { clientOrderId: id, atMs: Date.now() }),
    exampleExecution("sell", { cause: "stop", atMs: Date.now() + 1 }),
  ];
  await pass(2 * MINUTE);
  expect(answers(it)).toEqual(["begun", "done"]);
});

test("one that is found beside a later trade, and not yet what closed it, does not move the stop to and fro", async () => {
  const protect = vi.fn<Exchange["protect"]>(async (_symbol, { stopLoss, takeProfit }) => {
    it.shown.held = { ...held, stopLoss, takeProfit };
    return { kind: "accepted", exchangeOrderId: "x" };
  });
  const it = startExampleBot({ exchange: { protect } });
  const held = { ...exampleLong, entryPrice: price("110") };
  const trade = { ...exampleTrade(SYMBOL), id: "99999999-9999-8999-8999-999999999999" };
  const later = exampleExecution("buy", { clientOrderId: trade.id, atMs: START - 10_000 });
  const found = { clientOrderId: entryId, executionId: "of the lost one", atMs: START - 99_000 };
  it.shown.held = held;
  it.shown.executions = [later];
  it.grantSession({ ...exampleSession, openIntents: [intent(100_000)], openTrades: [trade] });
  await pass(110_000);
  expect(protect).toHaveBeenCalledTimes(1);
  it.shown.executions = [exampleExecution("buy", { ...found, price: price("90") }), later];
  await pass(90_000);
  expect(it.lastReport()?.positions).toHaveLength(2);
  expect(protect).toHaveBeenCalledTimes(1);
});
