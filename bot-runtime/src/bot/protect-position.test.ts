import { describe, expect, test } from "vitest";
import { price, quantity, text } from "../money.ts";
import { EMPTY_ACCOUNT } from "../orders/trade-account.ts";
import { exampleMarket, SYMBOL } from "./example-bot.ts";
import { type ExampleExchange, startExampleHolder } from "./example-holder.ts";

const levelsOf = ({ stopLoss, takeProfit }: ExampleExchange) =>
  [stopLoss, takeProfit].map((level) => level && text(level));

const refused = {
  kind: "refused",
  code: "10001",
  message: "beyond the price",
  final: true,
} as const;
const unknown = { kind: "unknown", code: "timeout", message: "no answer" } as const;

describe("stop and target", () => {
  test("follow the mean price of an entry that fills in slices", async () => {
    const { market, look, run, sentEntry } = startExampleHolder();
    const work = sentEntry({ accepted: true });
    market.fill("buy", quantity("1"), { id: work.entryId, at: "100" });
    market.place(work.entryId, {
      status: "open",
      quantity: quantity("3"),
      filledQuantity: quantity("1"),
    });
    await look(work);
    expect(levelsOf(market)).toEqual(["99", "102"]);
    market.fill("buy", quantity("2"), { id: work.entryId, at: "103" });
    await run(work, 1_000);
    // 102 × 0.99 and × 1.02
    expect(levelsOf(market)).toEqual(["101", "104"]);
    expect(work.entry).toBe("over");
  });

  test("that somebody moved are moved back, and not asked for on and on when the exchange does not show them", async () => {
    const { market, run, heldWork } = startExampleHolder();
    const work = heldWork();
    market.stopLoss = price("50");
    await run(work, 1_000);
    expect(levelsOf(market)[0]).toBe("99");
    market.stopLoss = price("98");
    market.answerLevels = () => unknown;
    const before = market.levelsSent.length;
    await run(work, 60_000);
    expect(market.levelsSent.length - before).toBe(2);
  });

  test("stay where they are after what nobody can tell the effect of, and go by the exchange's price when they are missing", async () => {
    const { market, run, heldWork } = startExampleHolder();
    const work = heldWork();
    await run(work, 1_000);
    // Ten for one: the exchange moves the levels with the price.
    market.fill("sell", quantity("0"), { cause: "unknown", at: "10" });
    market.fill("buy", quantity("9"), { cause: "unknown", at: "0" });
    market.entryPrice = price("10");
    market.stopLoss = price("9.9");
    await run(work, 1_000);
    expect(levelsOf(market)[0]).toBe("9.9");
    market.rules = { ...exampleMarket(SYMBOL), tick: price("0.1") };
    market.stopLoss = undefined;
    await run(work, 1_000);
    expect(levelsOf(market)[0]).toBe("9.9");
  });

  test("are left where they are by a pod that was replaced, which places a stop only where there is none", async () => {
    const { market, run, heldWork, replace } = startExampleHolder();
    const work = heldWork();
    await run(work, 1_000);
    replace();
    market.stopLoss = price("98");
    await run(work, 120_000);
    expect(levelsOf(market)[0]).toBe("98");
    market.stopLoss = undefined;
    await run(work, 1_000);
    expect(levelsOf(market)[0]).toBe("99");
    expect(work.exitWanted).toBeUndefined();
  });

  test("that are refused leave the old ones, and are asked for ever more rarely until they are taken", async () => {
    const { market, run, heldWork } = startExampleHolder();
    const work = heldWork();
    market.stopLoss = price("98");
    market.answerLevels = () => refused;
    await run(work, 3_600_000);
    // At 0, 0.5, 1.5, 3.5, 7.5, 15.5, 30.5 and 45.5 minutes.
    expect(market.levelsSent.length).toBe(8);
    expect([levelsOf(market)[0], work.exitWanted]).toEqual(["98", undefined]);
    market.answerLevels = undefined;
    await run(work, 900_000);
    expect(levelsOf(market)[0]).toBe("99");
  });
});

/** A position whose stop has gone, of which the executions cannot be asked for any more. */
async function nakedUntold() {
  const it = startExampleHolder();
  const work = it.heldWork();
  await it.run(work, 1_000);
  it.market.stopLoss = undefined;
  it.market.takeProfit = undefined;
  it.market.beforeAsked = () => {
    throw new Error("no answer");
  };
  return { ...it, work };
}

describe("a position without a stop", () => {
  test("is given one, and the time until then is counted to the end", async () => {
    const { market, look, run, heldWork, unprotectedSeconds } = startExampleHolder();
    const work = heldWork();
    await run(work, 2_000);
    expect(unprotectedSeconds()).toBe(0);
    market.stopLoss = undefined;
    await look(work);
    // From the look before on: nobody knows when it went.
    expect(unprotectedSeconds()).toBe(0.25);
    expect(levelsOf(market)[0]).toBe("99");
    await run(work, 5_000);
    expect(unprotectedSeconds()).toBe(0.25);
  });

  describe("while only the executions are not told", () => {
    test("is given the stop alone, by the account of a moment ago", async () => {
      const { market, look, work } = await nakedUntold();
      await expect(look(work)).rejects.toThrow("no answer");
      expect(levelsOf(market)).toEqual(["99", undefined]);
      market.beforeAsked = undefined;
      await look(work);
      expect(levelsOf(market)).toEqual(["99", "102"]);
    });

    test("is given it again every five seconds, not at every look: it may be traffic that is refused", async () => {
      const { market, look, passTime, work } = await nakedUntold();
      market.answerLevels = () => ({ kind: "refused", code: "10006", message: "no", final: false });
      for (let looks = 0; looks < 40; looks += 1) {
        await expect(look(work)).rejects.toThrow("no answer");
        passTime(250);
      }
      expect(market.levelsSent.length).toBe(2);
    });

    test.each<[string, (it: Awaited<ReturnType<typeof nakedUntold>>) => unknown]>([
      ["it is of another size", ({ market }) => market.fill("buy", quantity("1"))],
      [
        "it was bought at another price: somebody else's",
        ({ market }) => (market.entryPrice = price("100.2")),
      ],
      ["the account is ten minutes old", ({ passTime }) => passTime(600_000)],
      ["the account is not known", ({ work }) => Object.assign(work, { account: EMPTY_ACCOUNT })],
    ])("is left as it is when %s", async (_, change) => {
      const it = await nakedUntold();
      change(it);
      await expect(it.look(it.work)).rejects.toThrow("no answer");
      expect(it.market.levelsSent).toEqual([]);
    });
  });

  test("found after a restart counts from when it was taken up, whatever the wall clock says", async () => {
    const { market, run, heldWork, setWallClock, unprotectedSeconds } = startExampleHolder();
    const work = heldWork({ adopted: true });
    market.stopLoss = undefined;
    market.answerLevels = () => unknown;
    market.answer = () => unknown;
    await run(work, 1_000);
    setWallClock(-60_000);
    await run(work, 2_000);
    expect(unprotectedSeconds()).toBeCloseTo(2.75, 6);
  });

  test("is closed when the exchange takes none, also not without the target", async () => {
    const { market, run, records, heldWork } = startExampleHolder();
    const work = heldWork();
    market.stopLoss = undefined;
    market.answerLevels = () => refused;
    expect(await run(work, 5_000)).toBe(true);
    expect(market.levelsSent.map(({ takeProfit }) => takeProfit !== undefined)).toEqual([
      true,
      false,
      true,
      false,
    ]);
    const closed = records.findLast((body) => body.type === "trade");
    expect(closed?.trade.reason).toBe("unprotected");
  });

  test("keeps the stop that is taken without the target", async () => {
    const { market, run, heldWork } = startExampleHolder();
    const work = heldWork();
    [market.stopLoss, market.takeProfit] = [undefined, undefined];
    market.answerLevels = (levels) => {
      if (levels.takeProfit !== undefined) return refused;
      market.stopLoss = levels.stopLoss;
      return { kind: "accepted", exchangeOrderId: undefined };
    };
    expect(await run(work, 5_000)).toBe(false);
    expect([levelsOf(market)[0], work.exitWanted]).toEqual(["99", undefined]);
  });
});

describe("while the exchange does not tell its rules", () => {
  test("a position with its stop is left alone", async () => {
    const { market, run, heldWork } = startExampleHolder();
    const work = heldWork();
    market.rules = undefined;
    expect(await run(work, 120_000)).toBe(false);
    expect([market.sent, market.levelsSent]).toEqual([[], []]);
  });

  test("a position without a stop is given one as soon as they come", async () => {
    const { market, run, heldWork } = startExampleHolder();
    const work = heldWork();
    const { rules } = market;
    [market.rules, market.stopLoss] = [undefined, undefined];
    expect(await run(work, 19_000)).toBe(false);
    market.rules = rules;
    expect(await run(work, 30_000)).toBe(false);
    expect([levelsOf(market)[0], market.sent]).toEqual(["99", []]);
    // And the time without them begins anew.
    [market.rules, market.stopLoss] = [undefined, undefined];
    expect(await run(work, 19_000)).toBe(false);
  });

  test("a position without a stop is closed in the end, which needs none, and the reason named", async () => {
    const { market, run, records, heldWork } = startExampleHolder();
    const work = heldWork();
    [market.rules, market.stopLoss] = [undefined, undefined];
    expect(await run(work, 21_000)).toBe(true);
    expect(market.sent.length).toBe(1);
    const told = records.flatMap((body) => (body.type === "event" ? [body.message] : []));
    expect(told).toContainEqual(expect.stringContaining("does not tell the rules"));
  });
});

describe("liquidation", () => {
  test("a stop that lies beyond it protects nothing: the position is closed", async () => {
    const { market, run, records, heldWork } = startExampleHolder();
    const work = heldWork();
    market.liquidationPrice = price("99.5");
    expect(await run(work, 5_000)).toBe(true);
    expect(
      records.some((body) => body.type === "event" && body.message.includes("liquidation")),
    ).toBe(true);
  });

  test("a stop is not moved to where it would come after the liquidation", async () => {
    const { market, run, heldWork } = startExampleHolder();
    const work = heldWork();
    market.stopLoss = price("99.7");
    market.liquidationPrice = price("99.5");
    expect(await run(work, 5_000)).toBe(false);
    expect(market.levelsSent).toEqual([]);
  });
});

test("a contract that is not traded any more is closed, its stop left alone, and the reason named", async () => {
  const { market, run, account, passTime, records, heldWork } = startExampleHolder();
  const work = heldWork();
  [market.rules, market.isDelisted] = [undefined, true];
  market.answer = () => ({ kind: "refused", code: "110074", message: "not live", final: true });
  expect(await run(work, 30_000)).toBe(false);
  expect(market.levelsSent).toEqual([]);
  expect(market.sent.length).toBeGreaterThan(1);
  // The exchange settles it itself.
  market.fill("sell", quantity("1"), { cause: "delisting", at: "97" });
  expect(await run(work, 1_000)).toBe(true);
  const told = () => records.findLast((body) => body.type === "trade")?.trade;
  // Its last funding may still come.
  passTime(50_000);
  await account(work);
  expect(told()).toMatchObject({ reason: null, closedAt: null });
  passTime(10_000);
  await account(work);
  expect(told()).toMatchObject({ reason: "delisting", pnl: "-3" });
});
