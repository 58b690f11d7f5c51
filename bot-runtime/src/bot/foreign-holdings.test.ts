import { describe, expect, test } from "vitest";
import { exchangeFault } from "../exchange/bybit-outcomes.ts";
import type { Execution, ExecutionQuery, HeldPosition } from "../exchange/exchange.ts";
import { amount, quantity, text } from "../money.ts";
import { exampleExecution, exampleLong, SYMBOL } from "./example-bot.ts";
import { ENTRY, startExampleHolder } from "./example-holder.ts";
import { ForeignHoldings } from "./foreign-holdings.ts";
import { LookGivenUp } from "./patient-looks.ts";
import { workFromOrphan } from "./work.ts";
import { Works } from "./works.ts";

const DAY_MS = 86_400_000;
/** An id as bots give them, of an entry that no candle explains. */
const UNEXPLAINED = "33333333-3333-8333-9333-333333333333";

/** Looks at a position that was opened so many days ago by the order of this id. */
function lookAt(id: string, openedDaysAgo: number) {
  const { deps, passTime, nowMs } = startExampleHolder();
  const opened = exampleExecution("buy", {
    clientOrderId: id,
    atMs: nowMs() - openedDaysAgo * DAY_MS,
  });
  const shown: { held: HeldPosition | undefined; executions: Execution[] } = {
    held: exampleLong,
    executions: [opened],
  };
  /** Days back from now. */
  const asked: number[] = [];
  /** No question that goes further back than so many days is answered. */
  const unreadable = { daysAgo: Infinity };
  let rows = 0;
  const executions = async ({ sinceMs, untilMs = Infinity }: ExecutionQuery) => {
    asked.push(Math.round((nowMs() - sinceMs) / DAY_MS));
    if (nowMs() - sinceMs > unreadable.daysAgo * DAY_MS)
      throw exchangeFault("Refused", { code: "TooManyExecutions", message: "too many" });
    const found = shown.executions.filter(({ atMs }) => atMs >= sinceMs && atMs <= untilMs);
    rows += found.length;
    return found;
  };
  const position = async () => ({ leverage: 1, held: shown.held });
  const foreign = new ForeignHoldings(SYMBOL, {
    ...deps,
    looks: { ...deps.looks, position, executions },
  });
  /** Looks until the search has ended. */
  const search = async () => {
    do {
      await foreign.look([]);
      passTime(1_000);
    } while (foreign.isDue);
  };
  return { foreign, shown, asked, unreadable, search, passTime, nowMs, rows: () => rows };
}

test("of an old position each time is read once, back to where it was opened", async () => {
  const { foreign, asked, passTime } = lookAt(UNEXPLAINED, 20);
  await foreign.look([]);
  expect(foreign.mayBeOwn?.message).toContain("carries an order id");
  expect(asked).toEqual([7, 14, 21]);
  asked.length = 0;
  for (let day = 0; day < 10; day += 1) {
    passTime(DAY_MS);
    await foreign.look([]);
    expect(foreign.mayBeOwn?.message).toContain("carries an order id");
  }
  // What is older than a day by the look before has been read.
  expect(asked).toEqual(Array.from({ length: 10 }, () => 2));
});

test("one that was opened by hand long ago holds nobody up once that is known, and no turn for long", async () => {
  const { foreign, asked, search } = lookAt("by-hand", 200);
  await foreign.look([]);
  expect(asked.length).toBeLessThanOrEqual(5);
  expect(foreign.sentence).toContain("was not opened by this bot");
  expect(foreign.mayBeOwn?.message).toContain("not all executions");
  await search();
  expect(foreign.sentence).toContain("was not opened by this bot");
  expect(foreign.mayBeOwn).toBeUndefined();
});

test("what the exchange has forgotten ends the search", async () => {
  const { foreign, asked, search } = lookAt("by-hand", 1_000);
  await search();
  expect(Math.max(...asked)).toBe(729);
  expect(foreign.mayBeOwn).toBeUndefined();
  asked.length = 0;
  await foreign.look([]);
  expect(asked).toEqual([1]);
});

test("a search ends with too many executions, and what it did not find may be the bot's", async () => {
  const { foreign, shown, search, nowMs, rows } = lookAt("by-hand", 600);
  const grid = (count: number, daysAgo: number) =>
    Array.from({ length: count }, (_, index) =>
      exampleExecution(index % 2 === 0 ? "buy" : "sell", {
        executionId: `${daysAgo}-${index}`,
        clientOrderId: "grid",
        atMs: nowMs() - daysAgo * DAY_MS + index,
      }),
    );
  shown.executions.push(...grid(9_000, 100), ...grid(4_000, 150), ...grid(50_000, 300));
  shown.executions.sort((left, right) => left.atMs - right.atMs);
  await search();
  expect(rows()).toBeLessThan(14_000);
  expect(foreign.mayBeOwn?.reason).toBe("PositionUnknown");
});

test("what cannot be read ends it as well; the owner is told, and it may be the bot's", async () => {
  const { foreign, asked, unreadable, search } = lookAt("by-hand", 200);
  unreadable.daysAgo = 30;
  await search();
  expect(foreign.sentence).toContain("was not opened by this bot");
  expect(foreign.mayBeOwn?.reason).toBe("PositionUnknown");
  const count = asked.length;
  await foreign.look([]);
  expect(asked.length).toBe(count + 1);
});

test("without the newest executions the owner is told all the same, and the bot is not flat", async () => {
  const { foreign, unreadable } = lookAt("by-hand", 200);
  unreadable.daysAgo = 0;
  await expect(foreign.look([])).rejects.toMatchObject({ code: "TooManyExecutions" });
  expect(foreign.sentence).toContain("was not opened by this bot");
  expect(foreign.mayBeOwn?.reason).toBe("PositionUnknown");
});

test("a search that was given up goes on where it was", async () => {
  const { deps, passTime, nowMs } = startExampleHolder();
  const asked: number[] = [];
  const executions = async ({ sinceMs }: ExecutionQuery): Promise<Execution[]> => {
    asked.push(Math.round((nowMs() - sinceMs) / DAY_MS));
    if (asked.length === 3) throw new LookGivenUp();
    return [];
  };
  const looks = {
    ...deps.looks,
    position: async () => ({ leverage: 1, held: exampleLong }),
    executions,
  };
  const foreign = new ForeignHoldings(SYMBOL, { ...deps, looks });
  await expect(foreign.look([])).rejects.toThrow(LookGivenUp);
  passTime(1_000);
  await foreign.look([]);
  expect(asked.slice(0, 5)).toEqual([7, 14, 21, 1, 21]);
});

test("another position after it is looked at anew", async () => {
  const { foreign, shown, asked, passTime, nowMs } = lookAt(UNEXPLAINED, 20);
  await foreign.look([]);
  Object.assign(shown, { held: undefined });
  await foreign.look([]);
  passTime(60_000);
  const atMs = nowMs();
  shown.executions.push(
    exampleExecution("sell", { executionId: "2", atMs: atMs - 50_000 }),
    exampleExecution("buy", { executionId: "3", clientOrderId: "by-hand", atMs }),
  );
  Object.assign(shown, { held: exampleLong });
  await foreign.look([]);
  expect(foreign.mayBeOwn).toBeUndefined();
  expect(asked.at(-1)).toBe(0);
});

/** A trade that has ended beside what nobody can tell the effect of, and beside so much of the owner's. */
async function endedBesideUnknown(owners: string, at = "100") {
  const it = startExampleHolder({ state: "Stopped" });
  const { market, deps } = it;
  const foreign = new ForeignHoldings(SYMBOL, deps);
  const works = new Works(SYMBOL, deps, (work) => foreign.positionEnded(work));
  works.add(it.heldWork());
  market.fill("buy", quantity(owners));
  market.fill("sell", quantity("1"), { cause: "unknown", at });
  for (let looks = 0; looks < 200 && !works.isEmpty; looks += 1) {
    await works.advance();
    await foreign.look(works.open);
    it.passTime(5_000);
  }
  expect(works.isEmpty).toBe(true);
  await foreign.look([]);
  return { ...it, foreign, works };
}

describe("after a trade whose rest counts as closed", () => {
  test("what the owner holds is his, and keeps no bot from its end", async () => {
    const { foreign } = await endedBesideUnknown("2");
    expect(foreign.sentence).toContain("a long position of 2 was not opened by this bot");
    expect(foreign.mayBeOwn).toBeUndefined();
  });

  test.each(["0", "2"])(
    "what shows again beside %s of the owner's is searched for to its entry",
    async (owners) => {
      const { market, foreign } = await endedBesideUnknown(owners);
      market.net = quantity(market.net.plus("0.4"));
      await foreign.look([]);
      expect(foreign.mayBeOwn).toBeDefined();
      expect(foreign.seen?.executions.some(({ clientOrderId }) => clientOrderId === ENTRY)).toBe(
        true,
      );
    },
  );

  test("all that it makes when it shows again is of the day, and what was counted is counted once", async () => {
    const { market, works, deps, passTime } = await endedBesideUnknown("0", "95");
    const untilOver = async () => {
      for (let looks = 0; looks < 40 && !works.areOver; looks += 1) {
        await works.advance();
        await works.lookForLate();
        passTime(5_000);
      }
    };
    await untilOver();
    const { day } = deps.account;
    day.remember(amount("0"), undefined);
    day.see(DAY_MS, () => works.standing);
    day.begin(amount("1000"), works.standing);
    const result = () => text(day.result(works.standing));
    expect([works.areOver, result()]).toEqual([true, "-5"]);
    const orphan = { entryId: ENTRY, symbol: SYMBOL, side: "long", openedMs: 0 } as const;
    const taken = { adopted: true, takenUpMs: deps.monotonicMs() };
    market.net = quantity("1");
    works.adopt(workFromOrphan(orphan, taken));
    market.ageMs += 2_000_000;
    market.fill("sell", quantity("1"), { cause: "stop", at: "80" });
    await untilOver();
    expect([works.areOver, result()]).toEqual([true, "-20"]);
  });
});
