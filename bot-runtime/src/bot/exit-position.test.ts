import type { BotConfig, RecordBody } from "@tradingbots/crds";
import { describe, expect, test } from "vitest";
import type { Outcome } from "../exchange/exchange.ts";
import { createRandom } from "../../../hack/exchange-simulator/random.ts";
import { amount, Decimal, price, quantity } from "../money.ts";
import { exitOrderIds, orderId } from "../orders/order-id.ts";
import { accountForTrade } from "../orders/trade-account.ts";
import { exampleExecution, exampleMarket, SYMBOL } from "./example-bot.ts";
import { exampleConfig } from "./example-config.ts";
import {
  ENTRY,
  type ExampleExchange,
  startExampleHolder,
  startOldHolder,
} from "./example-holder.ts";
import { isLeftBehind } from "./work.ts";

const STOPPED = { state: "Stopped" } as const;
/** Courses of events: the tenth shows what goes by totals instead of executions. */
const DRAWN = 300;

describe("an exit that is refused", () => {
  test.each([
    ["for good", true],
    ["before it was read as an order", false],
  ])("%s is sent again under its id, ever more rarely", async (...[, final]) => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.answer = () => ({ kind: "refused", code: "no", message: "not now", final });
    expect(await run(work, 120_000)).toBe(false);
    // 0.5, 1, 2, 4, 8 and then every 15 s.
    expect(market.sent.length).toBe(12);
    // What was refused uses no attempt up.
    expect(new Set(market.sent.map((order) => order.clientOrderId)).size).toBe(1);
    market.answer = undefined;
    expect(await run(work, 20_000)).toBe(true);
    expect(market.net.isZero()).toBe(true);
  });
});

test("what nobody can tell the effect of holds no exit up: it is for what both account and position show", async () => {
  const { market, run, heldWork } = startExampleHolder(STOPPED);
  const work = heldWork();
  market.fill("sell", quantity("0.4"), { cause: "unknown" });
  expect(await run(work, 5_000)).toBe(false);
  expect(market.sent.map((order) => String(order.quantity))).toEqual(["0.6"]);
  expect(market.net.isZero()).toBe(true);
  // Nobody can tell what became of the rest: it is named, not taken for closed.
  expect(await run(work, 30_000)).toBe(false);
  expect(work.contradiction).toContain("is gone");
});

/** One unit, of which nobody knows how 0.4 went, and the bot's exit for the rest. */
async function goneBesideUnknown(given: { readonly adopted?: boolean; readonly at?: string } = {}) {
  const { at = "90", ...taken } = given;
  const it = startExampleHolder(STOPPED);
  const work = it.heldWork(taken);
  it.market.fill("sell", quantity("0.4"), { cause: "unknown", at });
  await it.run(work, 5_000);
  return { ...it, work };
}
const lastTrade = (records: readonly RecordBody[]) =>
  records.flatMap((body) => (body.type === "trade" ? body.trade : [])).at(-1);

describe("a position that is gone beside what nobody can tell the effect of", () => {
  test.each([
    ["at its price", {}, "-4"],
    ["at the entry's where it has none", { at: "0" }, "0"],
    ["also one that was taken up", { adopted: true }, "-4"],
  ])("is closed after ten minutes, %s", async (...[, given, pnl]) => {
    const { market, run, records, work } = await goneBesideUnknown(given);
    expect(await run(work, 590_000)).toBe(false);
    expect(lastTrade(records)?.closedAt).toBe(null);
    expect(await run(work, 20_000)).toBe(true);
    expect(lastTrade(records)).toMatchObject({ pnl, reason: "unknown" });
    expect(market.sent.length).toBe(1);
    const told = records.filter((body) => body.type === "event" && body.kind === "rest-closed");
    expect(told.length).toBe(1);
    // The exchange knows no such execution.
    expect(records.filter((body) => body.type === "fill").length).toBe(2);
  });

  test("and shows again meanwhile is looked after again, and waited for anew", async () => {
    const { market, run, work } = await goneBesideUnknown();
    await run(work, 590_000);
    market.net = quantity("0.4");
    await run(work, 1_000);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["0.6", "0.4"]);
    expect(market.net.isZero()).toBe(true);
  });

  test("is not closed while an exit may still fill, nor before all that it filled is known", async () => {
    const { market, run, work } = await goneBesideUnknown();
    const [exit] = market.sent;
    const id = exit?.clientOrderId ?? "";
    market.place(id, { side: "sell", status: "open" });
    expect(await run(work, 700_000)).toBe(false);
    market.place(id, { side: "sell", filledQuantity: quantity("0.9") });
    expect(await run(work, 60_000)).toBe(false);
    market.place(id, { side: "sell", filledQuantity: quantity("0.6") });
    expect(await run(work, 10_000)).toBe(true);
  });

  test("beside the owner's share is as gone: his gets no stop, and the trade ends", async () => {
    const { market, run, records, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.fill("buy", quantity("1"));
    market.fill("sell", quantity("1"), { cause: "unknown", at: "90" });
    market.stopLoss = undefined;
    expect(await run(work, 590_000)).toBe(false);
    expect([market.sent, market.levelsSent]).toEqual([[], []]);
    expect(await run(work, 20_000)).toBe(true);
    expect(lastTrade(records)).toMatchObject({ pnl: "-10", reason: "unknown" });
  });

  test("beside the owner's share shows again with less than the account tells, and is closed", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.fill("buy", quantity("1"));
    market.fill("sell", quantity("0.4"), { cause: "unknown" });
    const { net } = market;
    market.net = quantity("0");
    await run(work, 60_000);
    market.net = net;
    await run(work, 5_000);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["0.6"]);
    expect(market.net.toFixed()).toBe("1");
  });

  test("without such a thing is waited for", async () => {
    const { market, run, heldWork } = startExampleHolder();
    const work = heldWork();
    await run(work, 1_000);
    market.net = quantity("0");
    expect(await run(work, 1_200_000)).toBe(false);
    expect(work.contradiction).toContain("is gone");
  });
});

test("beside somebody else's share what nobody can tell the effect of is at the bot's cost", async () => {
  const { market, run, heldWork } = startExampleHolder(STOPPED);
  const work = heldWork();
  market.fill("buy", quantity("1"));
  market.fill("sell", quantity("0.5"), { cause: "unknown" });
  await run(work, 5_000);
  expect(market.sent.map((order) => String(order.quantity))).toEqual(["0.5"]);
  expect(market.net.toFixed()).toBe("1");
});

/** One unit of the owner's beside the bot's, of which nobody knows how 0.4 went. */
function sharedBesideUnknown(config: Partial<BotConfig>) {
  const it = startExampleHolder(config);
  const work = it.heldWork();
  it.passTime(2_000);
  it.market.stopLoss = undefined;
  it.market.fill("buy", quantity("1"));
  it.market.fill("sell", quantity("0.4"), { cause: "unknown" });
  /** Between the questions for position and executions of the next look. */
  const meanwhile = (happens: () => void) =>
    (it.market.beforeAsked = () => {
      it.market.beforeAsked = undefined;
      happens();
    });
  return { ...it, work, meanwhile };
}

describe("beside somebody else's share, after what nobody can tell the effect of, the position is asked for anew", () => {
  test("when an exit has filled since", async () => {
    const { market, run, look, work, meanwhile } = sharedBesideUnknown(STOPPED);
    market.answer = ({ clientOrderId: id }) => {
      market.place(id, { side: "sell", status: "open" });
      return { kind: "accepted", exchangeOrderId: "o" };
    };
    await run(work, 500);
    market.answer = undefined;
    const id = market.sent[0]?.clientOrderId ?? "";
    meanwhile(() => market.fill("sell", quantity("0.3"), { id }));
    await look(work);
    expect(market.levelsSent).toEqual([]);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["0.6", "0.3"]);
    expect(market.net.toFixed()).toBe("1");
  });

  test.each([
    ["the owner has closed some of his", "order", "0.7"],
    ["more has happened that nobody knows", "unknown", "1"],
  ] as const)("when %s since", async (...[, cause, ofOwner]) => {
    const { market, run, look, work, meanwhile } = sharedBesideUnknown({});
    await run(work, 500);
    work.exitWanted = "signal";
    meanwhile(() => market.fill("sell", quantity("0.3"), { cause }));
    await look(work);
    expect(market.sent.length).toBe(1);
    expect(market.net.toFixed()).toBe(ofOwner);
  });

  test("and is too old again when it moves meanwhile: nothing is sent by it", async () => {
    const { market, run, look, work } = sharedBesideUnknown({});
    await run(work, 500);
    work.exitWanted = "signal";
    market.beforeAsked = () => market.fill("sell", quantity("0.1"));
    await look(work);
    expect(market.sent).toEqual([]);
    market.beforeAsked = undefined;
    await run(work, 1_000);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["0.6"]);
  });

  test("when somebody trades between any two looks", async () => {
    const { market, look, passTime, work } = sharedBesideUnknown(STOPPED);
    for (let looks = 0; looks < 5; looks += 1) {
      market.fill("buy", quantity("0.1"));
      market.fill("sell", quantity("0.1"));
      await look(work);
      passTime(1_000);
    }
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["0.6"]);
    expect(market.net.toFixed()).toBe("1");
  });
});

const tenths = (count: number) => quantity(`${count / 10}`);

test("whatever the owner does beside what nobody can tell the effect of, no exit takes of his share, and each trade ends", async () => {
  for (let seed = 1; seed <= DRAWN; seed += 1) {
    const random = createRandom(seed, 1);
    const draw = (most: number) => Math.floor(random() * (most + 1));
    const { market, look, passTime, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    /** In tenths: the owner's, and what is left of the bot's. */
    const held = { owner: 5 + draw(10), bot: 10 };
    market.fill("buy", tenths(held.owner));
    const trade = () => {
      const sold = draw(held.owner);
      held.owner -= sold;
      market.fill("sell", tenths(sold));
      const bought = draw(3);
      held.owner += bought;
      market.fill("buy", tenths(bought));
    };
    const lose = (most: number) => {
      const lost = draw(Math.min(most, held.bot));
      held.bot -= lost;
      market.fill("sell", tenths(lost), { cause: "unknown" });
    };
    const waiting: { readonly id: string; rest: number }[] = [];
    const fill = () => {
      for (const order of waiting) {
        const filled = Math.min(draw(order.rest), held.bot);
        order.rest -= filled;
        held.bot -= filled;
        if (filled > 0) market.fill("sell", tenths(filled), { id: order.id });
        const { executions } = market;
        const own = executions.filter(({ clientOrderId }) => clientOrderId === order.id);
        const filledQuantity = quantity(
          own.reduce((sum, each) => sum.plus(each.quantity), new Decimal(0)),
        );
        market.place(order.id, { side: "sell", status: "cancelled", filledQuantity });
      }
      waiting.length = 0;
    };
    lose(6);
    market.answer = ({ clientOrderId: id, quantity: units }) => {
      expect(units.times(10).toNumber(), `seed ${seed}`).toBeLessThanOrEqual(held.bot);
      waiting.push({ id, rest: units.times(10).toNumber() });
      market.place(id, { side: "sell", status: "open" });
      return { kind: "accepted", exchangeOrderId: "o" };
    };
    const happenings = [trade, fill, () => lose(2), () => undefined];
    const happen = () => happenings[draw(happenings.length - 1)]?.();
    for (let looks = 0; looks < 40; looks += 1) {
      happen();
      market.beforeAsked = () => {
        market.beforeAsked = undefined;
        happen();
      };
      await look(work);
      passTime(1_000);
    }
    market.beforeAsked = undefined;
    market.answer = undefined;
    fill();
    let isOver = false;
    for (let looks = 0; looks < 160 && !isOver; looks += 1) {
      isOver = await look(work);
      passTime(5_000);
    }
    expect(isOver, `seed ${seed}`).toBe(true);
    expect(market.net.times(10).toNumber(), `seed ${seed}`).toBe(held.owner);
  }
});

test("an exit that the exchange takes and ends without a fill is sent ever more rarely, and told as cancelled", async () => {
  const { market, run, records, heldWork } = startExampleHolder(STOPPED);
  const work = heldWork();
  market.answer = ({ clientOrderId: id }) => {
    market.place(id, { side: "sell", status: "cancelled" });
    return { kind: "accepted", exchangeOrderId: "o" };
  };
  expect(await run(work, 120_000)).toBe(false);
  const ids = new Set(market.sent.map((order) => order.clientOrderId));
  expect([market.sent.length, ids.size]).toEqual([12, 12]);
  const cancelled = records.filter((body) => body.type === "order" && body.status === "cancelled");
  expect(cancelled.length).toBe(12);
  market.answer = undefined;
  expect(await run(work, 20_000)).toBe(true);
  expect(market.net.isZero()).toBe(true);
});

test("a position without a stop gets one as soon as the exchange takes one, while it refuses to close it", async () => {
  const { market, run, heldWork } = startExampleHolder();
  const work = heldWork();
  market.stopLoss = undefined;
  const no = { kind: "refused", code: "110063", message: "settling", final: true } as const;
  market.answerLevels = () => no;
  market.answer = () => no;
  expect(await run(work, 60_000)).toBe(false);
  expect(work.exitWanted).toBe("unprotected");
  market.answerLevels = undefined;
  expect(await run(work, 6_000)).toBe(false);
  expect(market).toMatchObject({ stopLoss: price("99") });
  // It was to be closed, and still is.
  market.answer = undefined;
  expect(await run(work, 20_000)).toBe(true);
});

describe("a position without a stop that is to be closed", () => {
  test.each<[string, (market: ExampleExchange, id: string) => Outcome, number]>([
    [
      "gets one at once when nobody knows what became of the exit",
      () => ({ kind: "unknown", code: "timeout", message: "no answer" }),
      250,
    ],
    [
      "gets one when the exit is taken and does not fill",
      (market, id) => {
        market.place(id, { side: "sell", status: "open" });
        return { kind: "accepted", exchangeOrderId: "o" };
      },
      1_500,
    ],
  ])("%s", async (...[, answer, withinMs]) => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.stopLoss = undefined;
    market.answer = ({ clientOrderId: id }) => answer(market, id);
    expect(await run(work, withinMs)).toBe(false);
    expect(market.sent.length).toBe(1);
    expect(market).toMatchObject({ stopLoss: price("99") });
  });

  test("gets none when its exit fills", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.stopLoss = undefined;
    expect(await run(work, 5_000)).toBe(true);
    expect(market.levelsSent).toEqual([]);
  });
});

describe("a close takes no more than the bot's own", () => {
  test("the owner holds as much by hand: one exit of the bot's unit, the owner's stays", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.fill("buy", quantity("1"));
    expect(await run(work, 20_000)).toBe(true);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["1"]);
    expect(market.net.toFixed()).toBe("1");
  });

  test("executions that come late: looked at again, nothing sent meanwhile", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.fill("buy", quantity("1"));
    market.lags = true;
    expect(await run(work, 20_000)).toBe(false);
    expect(market.sent.length).toBe(1);
    market.lags = false;
    expect(await run(work, 20_000)).toBe(true);
    expect(market.sent.length).toBe(1);
    expect(market.net.toFixed()).toBe("1");
  });

  test("an exit that filled a part is followed by one for the rest", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.answer = (order) => {
      market.answer = undefined;
      market.fill("sell", quantity("0.4"), { id: order.clientOrderId });
      return { kind: "accepted", exchangeOrderId: "o" };
    };
    expect(await run(work, 20_000)).toBe(true);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["1", "0.6"]);
    expect(new Set(market.sent.map((order) => order.clientOrderId)).size).toBe(2);
    expect(market.net.isZero()).toBe(true);
  });
});

/** The bot's unit is gone, by an exit that nothing shows; then the owner sells, as though he had closed it. */
async function ownerAfterHiddenExit(sold: string) {
  const it = startExampleHolder(STOPPED);
  const work = it.heldWork();
  const { market } = it;
  market.answer = ({ clientOrderId: id }) => {
    market.fill("sell", quantity("1"), { id, at: "90" });
    market.hidden.add(id);
    return { kind: "unknown", code: "timeout", message: "no answer" };
  };
  await it.run(work, 250);
  const hidden = market.executions.splice(-1).map((each) => ({ ...each, executionId: "exit" }));
  market.ageMs += 1_000;
  market.fill("sell", quantity(sold), { at: "110" });
  const show = () => {
    market.executions.push(...hidden);
    market.hidden.clear();
  };
  const fills = () => it.records.flatMap((body) => (body.type === "fill" ? body.price : []));
  return { ...it, work, show, fills };
}

describe("an exit that has filled and is not shown, while the owner trades", () => {
  test.each(["1", "0.4", "3"])(
    "what he sells (%s) is no fill of the trade, which ends with its own exit",
    async (sold) => {
      const { run, work, show, fills, records, market } = await ownerAfterHiddenExit(sold);
      expect(await run(work, 300_000)).toBe(false);
      expect(lastTrade(records)?.closedAt).toBe(null);
      show();
      expect(await run(work, 60_000)).toBe(true);
      expect(fills()).toEqual(["100", "90"]);
      expect(lastTrade(records)).toMatchObject({ pnl: "-10", exitPrice: "90" });
      expect(market.sent.length).toBe(1);
    },
  );

  test("after ten minutes no exit can be shown any more: what is seen is believed", async () => {
    const { run, work, fills, records } = await ownerAfterHiddenExit("1");
    await run(work, 60_000);
    expect(work.contradiction).toContain("seems to have closed");
    expect(await run(work, 600_000)).toBe(true);
    expect(fills()).toEqual(["100", "110"]);
    expect(lastTrade(records)).toMatchObject({ pnl: "10" });
  });
});

test("what the owner closes of the bot's position is told at once where the position agrees", async () => {
  const { market, run, records, heldWork } = startExampleHolder();
  const work = heldWork();
  market.fill("sell", quantity("0.4"), { at: "110" });
  await run(work, 1_000);
  expect(records.filter((body) => body.type === "fill").length).toBe(2);
  market.fill("sell", quantity("0.6"), { at: "110" });
  expect(await run(work, 1_000)).toBe(true);
  expect(lastTrade(records)).toMatchObject({ pnl: "10" });
});

describe("an exit of unknown outcome", () => {
  const unknown = { kind: "unknown", code: "timeout", message: "no answer" } as const;

  test("is looked up until the settle window is over, then sent again under the same id", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.answer = () => unknown;
    await run(work, 9_000);
    expect(market.sent.length).toBe(1);
    market.answer = undefined;
    expect(await run(work, 5_000)).toBe(true);
    expect(new Set(market.sent.map((order) => order.clientOrderId)).size).toBe(1);
  });

  test("that was filled and is hidden for long is never sent twice", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.answer = (order) => {
      market.fill("sell", order.quantity, { id: order.clientOrderId });
      market.hidden.add(order.clientOrderId);
      return unknown;
    };
    expect(await run(work, 5_000)).toBe(true);
    expect(market.sent.length).toBe(1);
  });

  test("in a position that somebody else shares waits a minute: a late twin would take from him", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.fill("buy", quantity("1"));
    market.answer = () => unknown;
    await run(work, 55_000);
    expect(market.sent.length).toBe(1);
    await run(work, 10_000);
    expect(market.sent.length).toBe(2);
  });

  test("waits a minute also where its fill, not shown yet, has left as much as the bot had: somebody else's", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.fill("buy", quantity("1"));
    market.answer = ({ clientOrderId: id }) => {
      market.fill("sell", quantity("1"), { id });
      market.hidden.add(id);
      return unknown;
    };
    await run(work, 250);
    const shownLate = market.executions.splice(-1);
    await run(work, 55_000);
    expect(market.sent.length).toBe(1);
    market.executions.push(...shownLate);
    expect(await run(work, 5_000)).toBe(true);
    expect([market.sent.length, market.net.toFixed()]).toEqual([1, "1"]);
  });

  test("a step of the wall clock neither ends nor prolongs the wait", async () => {
    const { market, run, heldWork, setWallClock } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.answer = () => unknown;
    await run(work, 1_000);
    setWallClock(3_600_000);
    await run(work, 5_000);
    expect(market.sent.length).toBe(1);
    setWallClock(-7_200_000);
    await run(work, 5_000);
    expect(market.sent.length).toBe(2);
  });
});

test("an exit that stays open is cancelled after a minute, named, and followed by another", async () => {
  const { market, run, records, heldWork } = startExampleHolder(STOPPED);
  const work = heldWork();
  market.answer = (order) => {
    market.place(order.clientOrderId, { side: "sell", status: "open" });
    return { kind: "accepted", exchangeOrderId: "o" };
  };
  expect(await run(work, 55_000)).toBe(false);
  expect(market.cancelled).toEqual([]);
  expect(await run(work, 15_000)).toBe(false);
  const [first] = market.sent;
  expect(new Set(market.cancelled)).toEqual(new Set([first?.clientOrderId]));
  expect(market.cancelled.length).toBeLessThanOrEqual(3);
  expect(records.some((body) => body.type === "event" && body.kind === "exit-open")).toBe(true);
  market.place(first?.clientOrderId ?? "", { side: "sell", status: "cancelled" });
  market.answer = undefined;
  expect(await run(work, 5_000)).toBe(true);
  expect(new Set(market.sent.map((order) => order.clientOrderId)).size).toBe(2);
});

describe("where an order that is over gives its id free", () => {
  const { botUid } = exampleConfig;
  const [first = "", second = ""] = exitOrderIds({ botUid, symbol: SYMBOL, entryId: ENTRY });

  test.each([
    ["at once where the exchange shows that it is over", false, 1_000],
    ["after the settle window where it shows its fills only", true, 11_000],
  ])(
    "an exit that another process has sent is followed by the next one, %s",
    async (...[, isHidden, withinMs]) => {
      const { market, run, heldWork } = startExampleHolder(STOPPED);
      const work = heldWork();
      market.fill("sell", quantity("0.4"), { id: first });
      if (isHidden) market.hidden.add(first);
      if (isHidden) await run(work, 9_000);
      expect(market.sent).toEqual([]);
      expect(await run(work, withinMs)).toBe(true);
      expect(market.sent).toMatchObject([{ clientOrderId: second, quantity: quantity("0.6") }]);
      expect(market.net.isZero()).toBe(true);
    },
  );

  test("one of the process before is waited for, also after the same id was refused to this one", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork({ adopted: true });
    market.answer = () => refused("10006", false);
    await run(work, 250);
    expect(market.sent.length).toBe(1);
    market.fill("buy", quantity("1"));
    await run(work, 55_000);
    expect(market.sent.length).toBe(1);
  });
});

test("an exit whose id the exchange has had, and whose order it has forgotten, gets another id", async () => {
  const { market, run, heldWork } = startExampleHolder(STOPPED);
  const work = heldWork({ adopted: true });
  const used = new Set<string>();
  market.answer = (order) => {
    if (used.size === 0) used.add(order.clientOrderId);
    if (used.has(order.clientOrderId))
      return { kind: "unknown", code: "110072", message: "duplicate", idIsTaken: true };
    market.fill("sell", order.quantity, { id: order.clientOrderId });
    return { kind: "accepted", exchangeOrderId: "o" };
  };
  expect(await run(work, 30_000)).toBe(true);
  expect(market.sent.length).toBe(2);
  expect(market.net.isZero()).toBe(true);
});

test.each([
  ["can be used again", false, 1],
  ["is used up", true, 2],
])("an exit follows its refusal at once, whether the id %s", async (...[, isTaken, ids]) => {
  const { market, run, heldWork } = startExampleHolder(STOPPED);
  const work = heldWork();
  const [refused, tried] = [new Set<string>(), new Set<string>()];
  market.answer = ({ clientOrderId: id, quantity: units }) => {
    tried.add(id);
    if (refused.size === 0) {
      refused.add(id);
      return { kind: "refused", code: "110012", message: "insufficient", final: true };
    }
    if (isTaken && refused.has(id))
      return { kind: "unknown", code: "110072", message: "duplicate", idIsTaken: true };
    market.fill("sell", units, { id });
    return { kind: "accepted", exchangeOrderId: "o" };
  };
  expect(await run(work, 5_000)).toBe(true);
  expect(tried.size).toBe(ids);
  expect(market.net.toFixed()).toBe("0");
});

test("an exit that is refused on and on is tried ever more rarely, though every refusal uses its id up", async () => {
  const { market, run, heldWork } = startExampleHolder(STOPPED);
  const tried = new Set<string>();
  market.answer = ({ clientOrderId: id }) => {
    if (tried.has(id))
      return { kind: "unknown", code: "110072", message: "duplicate", idIsTaken: true };
    tried.add(id);
    return { kind: "refused", code: "110012", message: "insufficient", final: true };
  };
  expect(await run(heldWork(), 60_000)).toBe(false);
  expect(tried.size).toBeGreaterThan(2);
  expect(tried.size).toBeLessThan(12);
});

test("an order of unknown outcome is waited for, also when the same id is refused afterwards", async () => {
  const { market, run, heldWork } = startExampleHolder(STOPPED);
  market.fill("buy", quantity("1")); // of somebody else: a second exit would close theirs
  const tried: string[] = [];
  market.answer = ({ clientOrderId: id }) => {
    tried.push(id);
    if (tried.length === 1) return { kind: "unknown", code: "timeout", message: "timed out" };
    if (tried.length === 2)
      return { kind: "refused", code: "10006", message: "too many visits", final: false };
    return { kind: "unknown", code: "110072", message: "duplicate", idIsTaken: true };
  };
  expect(await run(heldWork(), 100_000)).toBe(false);
  expect(tried.length).toBeGreaterThan(2);
  expect(new Set(tried).size).toBe(1);
});

describe("a process that takes up a position", () => {
  test("looks its exits up from the first attempt on, and closes only what they have left", async () => {
    const before = startExampleHolder(STOPPED);
    const first = before.heldWork();
    before.market.answer = (order) => {
      before.market.fill("sell", quantity("0.4"), { id: order.clientOrderId });
      return { kind: "accepted", exchangeOrderId: "o" };
    };
    await before.look(first);
    const [sent] = before.market.sent;

    const { market, run, records, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork({ adopted: true });
    market.fill("sell", quantity("0.4"), { id: sent?.clientOrderId ?? "" });
    expect(await run(work, 20_000)).toBe(true);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["0.6"]);
    expect(market.sent[0]?.clientOrderId).not.toBe(sent?.clientOrderId);
    // Also of the one that its sender did not live to tell of.
    const told = records.filter(
      (body) => body.type === "order" && body.purpose === "exit" && body.status === "filled",
    );
    expect(told).toMatchObject([
      { clientOrderId: sent?.clientOrderId, quantity: "0.4" },
      { clientOrderId: market.sent[0]?.clientOrderId, quantity: "0.6" },
    ]);
  });
});

describe("a process that takes up a position after a signal that it never heard", () => {
  const { botUid } = exampleConfig;
  const [first = "", second = ""] = exitOrderIds({ botUid, symbol: SYMBOL, entryId: ENTRY });
  const cancelled = { side: "sell", status: "cancelled" } as const;

  test.each<[string, (market: ExampleExchange) => void, string[]]>([
    ["filled a part", (it) => it.fill("sell", quantity("0.4"), { id: first }), ["0.6"]],
    ["was cancelled before it filled anything", (it) => it.place(first, cancelled), ["1"]],
  ])("closes what is left by an exit that %s", async (...[, before, sent]) => {
    const { market, run, records, heldWork } = startExampleHolder();
    const work = heldWork({ adopted: true });
    before(market);
    expect(await run(work, 5_000)).toBe(true);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(sent);
    expect(market.sent[0]?.clientOrderId).toBe(second);
    const closed = records.findLast((body) => body.type === "trade");
    expect(closed?.trade).toMatchObject({ id: ENTRY, reason: "signal" });
  });

  test("closes what is left by a later exit that was open, once that one is over", async () => {
    const { market, run, heldWork } = startExampleHolder();
    const work = heldWork({ adopted: true });
    market.place(second, { side: "sell", status: "open" });
    expect(await run(work, 5_000)).toBe(false);
    expect(market.sent).toEqual([]);
    market.place(second, cancelled);
    expect(await run(work, 5_000)).toBe(true);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["1"]);
  });

  test("closes what is left by an exit that the exchange shows late", async () => {
    const { market, run, heldWork } = startExampleHolder();
    const work = heldWork({ adopted: true });
    market.fill("sell", quantity("0.4"), { id: first });
    market.lags = true;
    market.hidden.add(first);
    expect(await run(work, 5_000)).toBe(false);
    expect(market.sent).toEqual([]);
    market.lags = false;
    expect(await run(work, 11_000)).toBe(true);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["0.6"]);
  });

  test("leaves alone what others than the bot have made smaller", async () => {
    const { market, run, heldWork } = startExampleHolder();
    const work = heldWork({ adopted: true });
    market.fill("sell", quantity("0.4"), { id: "by-hand" });
    expect(await run(work, 5_000)).toBe(false);
    expect(market.sent).toEqual([]);
  });
});

describe("the forty-second exit of a position", () => {
  const ATTEMPT = 41;
  const id = orderId({
    botUid: exampleConfig.botUid,
    symbol: SYMBOL,
    timeframe: "",
    reference: ENTRY,
    leg: "exit",
    attempt: ATTEMPT,
  });

  test("is the trade's own for a process that did not send it, whoever else has a share", async () => {
    const { market, look, heldWork } = startExampleHolder();
    const work = heldWork({ adopted: true });
    market.fill("buy", quantity("1"));
    market.fill("sell", quantity("0.4"), { id });
    await look(work);
    expect(work.account.open.toFixed()).toBe("0.6");
    expect(work.account.others.toFixed()).toBe("1");
  });

  test.each([
    ["filled a part: the next is the forty-third", "cancelled", "0.4", ["0.6"]],
    ["is open: nothing is sent beside it", "open", "0", []],
  ] as const)("%s", async (...[, status, filled, sent]) => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork({ adopted: true });
    if (filled !== "0") market.fill("sell", quantity(filled), { id });
    market.place(id, { side: "sell", status, filledQuantity: quantity(filled) });
    await run(work, 5_000);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(sent);
    expect(work.exit?.attempt).toBeGreaterThanOrEqual(ATTEMPT);
    expect(market.sent.map((order) => order.clientOrderId)).not.toContain(id);
  });
});

test("a process that takes up a position sends nothing while a later exit of the one before is open", async () => {
  const before = startExampleHolder(STOPPED);
  const first = before.heldWork();
  before.market.answer = (order) => {
    before.market.fill("sell", quantity("0.1"), { id: order.clientOrderId });
    return { kind: "accepted", exchangeOrderId: "o" };
  };
  await before.run(first, 1_000);
  const [unknown, later] = before.market.sent.map((order) => order.clientOrderId);
  expect(later).not.toBe(unknown);

  // The first one was refused, or is forgotten: the exchange knows of the second only.
  const { market, run, heldWork } = startExampleHolder(STOPPED);
  const work = heldWork({ adopted: true });
  market.place(later ?? "", { side: "sell", status: "open" });
  await run(work, 20_000);
  expect(market.sent).toEqual([]);
  market.place(later ?? "", { side: "sell", status: "cancelled" });
  expect(await run(work, 5_000)).toBe(true);
  expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["1"]);
  expect([unknown, later]).not.toContain(market.sent[0]?.clientOrderId);
});

test("a position larger than one market order may be is closed in several", async () => {
  const { market, run, heldWork } = startExampleHolder(STOPPED);
  const work = heldWork();
  market.rules = { ...exampleMarket(SYMBOL), maximumQuantity: quantity("0.4") };
  expect(await run(work, 20_000)).toBe(true);
  expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["0.4", "0.4", "0.2"]);
});

describe("dust", () => {
  const coarse = { ...exampleMarket(SYMBOL), minimumQuantity: quantity("2") };

  test("of the bot alone is closed with the whole position", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.rules = coarse;
    expect(await run(work, 5_000)).toBe(true);
    expect(market.sent.map(({ wholePosition }) => wholePosition)).toEqual([true]);
    // Later it might close what somebody opened after the bot's stop had struck.
    expect(market.sent[0]?.receiveWindowMs).toBeLessThanOrEqual(2_100);
  });

  test("that the exchange does not close is named once and tried again every minute", async () => {
    const { market, run, records, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.rules = coarse;
    market.answer = () => ({ kind: "refused", code: "10001", message: "too small", final: true });
    expect(await run(work, 150_000)).toBe(false);
    expect(market.sent.length).toBe(3);
    const named = records.filter((body) => body.type === "event" && body.kind === "dust");
    expect(named.length).toBe(1);
    expect(work.dust?.message).toContain("less than the exchange's minimum");
    expect(isLeftBehind(work)).toBe(false); // worth 100: somebody has to close it
    // Its stop ends it after all.
    market.fill("sell", quantity("1"), { cause: "stop", at: "99" });
    expect(await run(work, 1_000)).toBe(true);
  });

  test("is closed when what refused it has ended", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.rules = coarse;
    market.answer = () => ({ kind: "refused", code: "110063", message: "settling", final: true });
    expect(await run(work, 5_000)).toBe(false);
    market.answer = undefined;
    expect(await run(work, 70_000)).toBe(true);
    expect(market.sent.length).toBe(2);
  });

  test("that was beside somebody else's units is closed at the first look that shows it alone", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.fill("buy", quantity("5"));
    market.rules = coarse;
    expect(await run(work, 1_000)).toBe(false);
    market.fill("sell", quantity("5"));
    expect(await run(work, 5_000)).toBe(true);
    expect(market.sent.map(({ wholePosition }) => wholePosition)).toEqual([true]);
  });

  test("beside what somebody else adds after the look at the position is not closed", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.rules = coarse;
    market.beforeAsked = () => {
      market.beforeAsked = undefined;
      market.fill("buy", quantity("5"));
    };
    await run(work, 5_000);
    expect(market.sent).toEqual([]);
    expect(market.net.toFixed()).toBe("6");
    expect(work.dust?.message).toContain("somebody else's");
  });

  test("beside somebody else's units is not closed: it would take his", async () => {
    const { market, run, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.fill("buy", quantity("5"));
    market.rules = coarse;
    expect(await run(work, 60_000)).toBe(false);
    expect(market.sent).toEqual([]);
    expect(work.dust?.message).toContain("somebody else's");
  });

  test("beside somebody else's units gets a stop as soon as the exchange takes one again", async () => {
    const { market, run, heldWork } = startExampleHolder();
    const work = heldWork();
    market.fill("buy", quantity("5"));
    market.rules = coarse;
    market.stopLoss = undefined;
    market.answerLevels = () => ({
      kind: "refused",
      code: "10001",
      message: "passed",
      final: true,
    });
    expect(await run(work, 60_000)).toBe(false);
    // Twice a question, stop and target and the stop alone, at most every 5 s after the first two tries.
    expect(market.levelsSent.length).toBeLessThan(40);
    market.answerLevels = undefined;
    expect(await run(work, 6_000)).toBe(false);
    expect(market).toMatchObject({ stopLoss: price("99") });
    expect(market.sent).toEqual([]);
  });
});

describe("an answer about whose the position is", () => {
  test("that took long is not acted on", async () => {
    const { market, run, passTime, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    market.whileAsked = () => passTime(3_100);
    await run(work, 5_000);
    expect(market.sent).toEqual([]);
    market.whileAsked = () => passTime(1_000);
    expect(await run(work, 5_000)).toBe(true);
    expect(market.sent.length).toBe(1);
  });

  test.each([
    ["held for longer than the order could be on its way: it is closed", 12_000 - 4_000, 1],
    ["that ends before: nothing is sent", 12_000 - 4_001, 0],
  ])("that always takes long, under a lease %s", async (_, remainingMs, exits) => {
    const { market, run, passTime, lease, nowMs, heldWork } = startExampleHolder(STOPPED);
    const work = heldWork();
    lease.remainingMs = remainingMs;
    let askedMs = 0;
    market.whileAsked = () => {
      askedMs = nowMs();
      passTime(4_000);
    };
    await run(work, 5_000);
    expect(market.sent.length).toBe(exits);
    if (exits === 0) return;
    expect(market.sent[0]).toMatchObject({ receiveWindowMs: 12_000 });
    expect(market.sent[0]?.madeMs).toBeLessThanOrEqual(askedMs);
  });

  test.each([
    ["to a position without a stop, it is closed without a lease", {}, undefined, 1],
    ["to a signal, the position's stop is left to it", {}, price("99"), 0],
  ])("that always takes long: %s", async (...[, config, stopLoss, exits]) => {
    const { market, run, passTime, lease, heldWork } = startExampleHolder(config);
    const work = heldWork();
    work.exitWanted = stopLoss === undefined ? "unprotected" : "signal";
    lease.remainingMs = stopLoss === undefined ? 0 : 15_000;
    market.stopLoss = stopLoss;
    market.whileAsked = () => passTime(4_000);
    await run(work, 5_000);
    expect(market.sent.length).toBe(exits);
    // A lease that is held is not given back while the order may arrive.
    expect(lease.keptForMs).toBe(exits * 8_000);
  });

  test("that took longer than anything could be on its way is never acted on", async () => {
    const { market, run, passTime, lease, heldWork } = startExampleHolder(STOPPED);
    lease.remainingMs = 15_000;
    const work = heldWork();
    market.whileAsked = () => passTime(10_100);
    await run(work, 5_000);
    expect(market.sent).toEqual([]);
  });

  test.each(["an exit", "a stop"])("is as old as its question, and so is %s", async (what) => {
    const { market, look, passTime, nowMs, heldWork } = startExampleHolder(
      what === "an exit" ? STOPPED : {},
    );
    market.stopLoss = undefined;
    const work = heldWork();
    const askedMs = nowMs();
    market.whileAsked = () => passTime(400);
    await look(work);
    // The exchange refuses it when the process or the way takes longer than the receive window from there.
    const [sent] = what === "an exit" ? market.sent : market.levelsSent;
    expect(sent?.madeMs).toBe(askedMs);
  });
});

describe("a position that is as old as an exchange needs long to tell of it", () => {
  const WEEK_MS = 7 * 86_400_000;
  /** A round trip for each week that is asked for. */
  const slowly =
    ({ passTime, nowMs }: Pick<ReturnType<typeof startExampleHolder>, "passTime" | "nowMs">) =>
    (sinceMs: number) =>
      passTime(250 * Math.ceil((nowMs() - sinceMs) / WEEK_MS));

  function held(weeks: number, config: Partial<BotConfig> = {}) {
    const it = startOldHolder(weeks * WEEK_MS, config);
    it.market.whileAsked = slowly(it);
    return it;
  }

  test.each([20, 60, 104])("of %d weeks is closed by a signal", async (weeks) => {
    const { market, run, work } = held(weeks);
    await run(work, 250);
    work.exitWanted = "signal";
    expect(await run(work, 5_000)).toBe(true);
    expect(market.sent.length).toBe(1);
    expect(market.net.isZero()).toBe(true);
  });

  test("is closed when the bot is stopped, in the first turn of a process and without a lease", async () => {
    const { market, look, work } = held(60, STOPPED);
    await look(work);
    expect(market.sent.map((order) => order.quantity.toFixed())).toEqual(["1"]);
  });

  test("gets its stop in the first turn of a process", async () => {
    const { market, look, work } = held(60);
    market.stopLoss = undefined;
    await look(work);
    expect(market).toMatchObject({ stopLoss: price("99") });
  });

  test("costs one question for a day at each look that follows", async () => {
    const { market, run, nowMs, work } = held(60);
    await run(work, 250);
    const asked: number[] = [];
    market.whileAsked = (sinceMs) => void asked.push(nowMs() - sinceMs);
    market.fill("buy", quantity("1")); // of somebody else: each look asks
    await run(work, 60_000);
    expect(asked.length).toBeGreaterThan(100);
    expect(Math.max(...asked)).toBeLessThan(86_400_000 + 60_000);
  });

  test("is accounted for as it would be in one piece, with what is shown a day late", async () => {
    const { market, run, age, records, nowMs, work } = held(20);
    market.fill("buy", quantity("2"), { at: "90" }); // of somebody else
    await run(work, 250);
    const atMs = nowMs();
    age(86_000_000);
    const funding = { side: "buy", cause: "funding", fee: amount("0.5"), atMs } as const;
    market.executions.push(exampleExecution("buy", { ...funding, executionId: "late" }));
    market.fill("sell", quantity("1.5"), { at: "101" }); // of somebody else
    await run(work, 61_000);
    age(WEEK_MS);
    market.fill("sell", quantity("1.5"), { cause: "stop", at: "99" });
    expect(await run(work, 1_000)).toBe(true);
    const whole = accountForTrade(work, market.executions);
    expect(work.account).toEqual(whole);
    expect(whole.funding.toFixed()).toBe("-0.5");
    for (const type of ["fill", "funding"] as const) {
      const told = records.flatMap((body) =>
        (body.type === "fill" || body.type === "funding") && body.type === type
          ? [body.executionId]
          : [],
      );
      expect(new Set(told).size).toBe(told.length);
      expect(told.length).toBe(type === "fill" ? 2 : 1);
    }
  });

  test("of 110 weeks, whose entry the exchange has forgotten, is managed by what the journal knows", async () => {
    const { market, run, records, nowMs, work } = held(110);
    market.keptSinceMs = nowMs() - 730 * 86_400_000;
    market.stopLoss = undefined;
    await run(work, 250);
    expect(market).toMatchObject({ stopLoss: price("99") });
    expect(work.account).toMatchObject({ open: quantity("1"), entryPrice: price("100") });
    work.exitWanted = "signal";
    // Its entry is looked for over the settle window.
    expect(await run(work, 25_000)).toBe(true);
    expect(market.net.isZero()).toBe(true);
    const told = records.filter((body) => body.type === "event").map(({ kind }) => kind);
    expect(told).toContain("history-forgotten");
    expect(records.filter((body) => body.type === "fill")).toMatchObject([{ purpose: "exit" }]);
  });

  test("of 110 weeks that is the owner's by now is left alone", async () => {
    const { market, run, age, nowMs, work } = held(109, STOPPED);
    market.fill("sell", quantity("1"), { cause: "stop", at: "99" });
    market.fill("buy", quantity("1"), { id: "by-hand" });
    age(WEEK_MS);
    market.keptSinceMs = nowMs() - 730 * 86_400_000;
    expect(await run(work, 25_000)).toBe(true);
    expect([market.sent, market.net.toFixed()]).toEqual([[], "1"]);
  });
});

describe("what is to be closed, and is not while the exchange answers late", () => {
  test.each([
    ["stopped, without a lease", STOPPED, 0],
    ["by a signal, under a lease", {}, 15_000],
  ])("is told once: %s", async (...[, config, leaseMs]) => {
    const { market, run, records, passTime, lease, heldWork } = startExampleHolder(config);
    const work = heldWork();
    if (config !== STOPPED) work.exitWanted = "signal";
    lease.remainingMs = leaseMs;
    const told = () =>
      records.filter((body) => body.type === "event" && body.kind === "exit-waits");
    market.whileAsked = () => passTime(4_000);
    await run(work, 500);
    expect(told()).toEqual([]); // an answer or two may be late
    await run(work, 5_000);
    expect(market.sent).toEqual([]);
    expect(told().length).toBe(1);
    expect(work.exitWaits).toContain("to be closed");
    market.whileAsked = undefined;
    expect(await run(work, 1_000)).toBe(true);
    expect(work.exitWaits).toBeUndefined();
  });

  test("because it is delisted is closed under a lease as what was ordered is", async () => {
    const { market, run, passTime, lease, heldWork } = startExampleHolder();
    const work = heldWork();
    market.isDelisted = true;
    lease.remainingMs = 12_000;
    market.whileAsked = () => passTime(4_000);
    await run(work, 5_000);
    expect(market.sent.length).toBe(1);
  });
});

test("a position of the same size that somebody else has by now is left alone", async () => {
  const { market, run, heldWork } = startExampleHolder();
  const work = heldWork();
  await run(work, 1_000);
  market.fill("sell", quantity("1"), { cause: "stop", at: "99" });
  market.fill("buy", quantity("1"), { id: "by-hand", at: "98" });
  market.stopLoss = price("90");
  work.exitWanted = "signal";
  expect(await run(work, 2_000)).toBe(true);
  expect([market.sent, market.levelsSent]).toEqual([[], []]);
});

test.each([
  ["an hour in which nobody may trade is one error", "110074", true, 1],
  ["a rate limit is none of the bot's", "10006", false, 0],
])("%s, however often an exit is tried", async (...[, code, final, errors]) => {
  const { deps, market, run, heldWork } = startExampleHolder();
  const work = heldWork();
  market.answer = () => ({ kind: "refused", code, message: "no", final });
  work.exitWanted = "signal";
  await run(work, 600_000);
  expect(market.sent.length).toBeGreaterThan(10);
  expect(deps.account.consecutiveErrors).toBe(errors);
});

const refused = (code: string, final: boolean): Outcome => ({
  kind: "refused",
  code,
  message: "no",
  final,
});

test("one that is refused for good counts also after a rate limit", async () => {
  const { deps, market, run, heldWork } = startExampleHolder();
  const work = heldWork();
  market.answer = () =>
    market.sent.length === 1 ? refused("10006", false) : refused("110074", true);
  work.exitWanted = "signal";
  await run(work, 600_000);
  expect(deps.account.consecutiveErrors).toBe(1);
});

test.each([
  ["Stopped", {}, "stopped"],
  ["Retired", { state: "Retired" as const }, "retired"],
  [
    "halted by Flatten on its symbol",
    { state: "Running" as const, halts: [flatten([SYMBOL])] },
    "flatten",
  ],
  [
    "halted by Flatten on all symbols",
    { state: "Running" as const, halts: [flatten(null)] },
    "flatten",
  ],
])("%s: the trade is closed under its reason", async (_, config, reason) => {
  const { run, records, heldWork } = startExampleHolder({ ...STOPPED, ...config });
  expect(await run(heldWork(), 5_000)).toBe(true);
  const closed = records.findLast((body) => body.type === "trade");
  expect(closed?.trade).toMatchObject({ id: ENTRY, reason });
});

test("a Flatten on another symbol, or a CancelOrders, closes nothing", async () => {
  const halts = [
    flatten(["ETH/USDT:USDT"]),
    { name: "h", uid: "u", action: "CancelOrders" as const, symbols: null },
  ];
  const { market, run, heldWork } = startExampleHolder({ halts });
  expect(await run(heldWork(), 5_000)).toBe(false);
  expect(market.sent).toEqual([]);
});

function flatten(symbols: string[] | null) {
  return { name: "everything", uid: "u", action: "Flatten" as const, symbols };
}
