import { describe, expect, test } from "vitest";
import { createClient } from "./bybit-client.ts";
import { BYBIT_EXECUTION_TYPES } from "./bybit-execution-types.ts";
import { lookUps } from "./bybit-look-ups.ts";

const PAGE = 100;

function row(number: number) {
  return {
    symbol: "BTCUSDT",
    execId: `x${number}`,
    orderLinkId: "",
    side: "Buy",
    execPrice: "100",
    execQty: "1",
    execFee: "0",
    feeCurrency: "",
    execType: "Trade",
    stopOrderType: "",
    execTime: `${number}`,
  };
}

const options = {
  key: { reveal: () => ({ apiKey: "key", apiSecret: "secret" }), scrub: (said: string) => said },
  testnet: false,
  restUrl: "http://exchange",
};

test("of a position older than what Bybit remembers everything is read that it does", async () => {
  const client = createClient(options);
  const asked: { readonly startTime: number; readonly endTime?: number }[] = [];
  client.privateGetV5ExecutionList = async (window: (typeof asked)[number]) => {
    asked.push(window);
    return { retCode: 0, result: { list: [row(asked.length)], nextPageCursor: "" } };
  };
  const DAY_MS = 86_400_000;
  const sinceMs = Date.now() - 1_000 * DAY_MS;
  const found = await lookUps(client).executions({ symbol: "BTC/USDT:USDT", sinceMs });
  expect(found.length).toBe(asked.length);
  const [first] = asked;
  expect(Date.now() - (first?.startTime ?? 0)).toBeGreaterThan(728 * DAY_MS);
  expect(Date.now() - (first?.startTime ?? 0)).toBeLessThan(730 * DAY_MS);
  for (const [index, { startTime, endTime }] of asked.entries()) {
    // Each reaches to the next, and the last one, without an end, to the present.
    expect(endTime).toBe(asked[index + 1] && (asked[index + 1]?.startTime ?? 0) - 1);
    expect((endTime ?? Date.now()) - startTime).toBeLessThan(7 * DAY_MS);
  }
});

test("times are asked for in whole ms, which Bybit takes and no others", async () => {
  const client = createClient(options);
  const asked: unknown[] = [];
  client.privateGetV5ExecutionList = async ({ startTime, endTime }: Record<string, unknown>) => {
    asked.push([startTime, endTime]);
    return { retCode: 0, result: { list: [] } };
  };
  const sinceMs = Date.now() - 60_000;
  const window = { sinceMs: sinceMs + 0.7, untilMs: sinceMs + 1_000.2 };
  await lookUps(client).executions({ symbol: "BTC/USDT:USDT", ...window });
  expect(asked).toEqual([[sinceMs, sinceMs + 1_001]]);
});

test("an execution that two pages show is there once, and all are oldest first", async () => {
  const client = createClient(options);
  // Newest first; one more has happened before the second page was asked for.
  const pages = [
    Array.from({ length: PAGE }, (_, index) => row(PAGE + 2 - index)),
    [row(3), row(2), row(1)],
  ];
  let asked = 0;
  client.privateGetV5ExecutionList = async () => {
    const list = pages[asked] ?? [];
    asked += 1;
    return { retCode: 0, result: { list, nextPageCursor: asked < 2 ? "next" : "" } };
  };
  const query = { symbol: "BTC/USDT:USDT", sinceMs: Date.now() };
  const found = await lookUps(client).executions(query);
  expect(found.map(({ executionId }) => executionId)).toEqual(
    Array.from({ length: PAGE + 2 }, (_, index) => `x${index + 1}`),
  );
});

/** What a row with these changes is taken for. */
const executionOf = async (change: Partial<ReturnType<typeof row>>) => {
  const client = createClient(options);
  const list = [{ ...row(1), ...change }];
  client.privateGetV5ExecutionList = async () => ({ retCode: 0, result: { list } });
  const query = { symbol: "BTC/USDT:USDT", sinceMs: Date.now() };
  const [execution] = await lookUps(client).executions(query);
  return execution;
};

describe("an execution's type says what it did to the position", () => {
  test.each([
    [{ execType: "Trade" }, "order"],
    [{ execType: "Trade", stopOrderType: "StopLoss" }, "stop"],
    [{ execType: "Trade", stopOrderType: "PartialTakeProfit" }, "target"],
    [{ execType: "BlockTrade" }, "order"],
    [{ execType: "MovePosition" }, "order"],
    [{ execType: "FutureSpread" }, "order"],
    [{ execType: "AdlTrade", stopOrderType: "StopLoss" }, "adl"],
    [{ execType: "BustTrade" }, "liquidation"],
    [{ execType: "Delivery" }, "delisting"],
    [{ execType: "Settle" }, "delisting"],
    [{ execType: "Funding" }, "funding"],
    [{ execType: "Dividend", side: "Sell" }, "funding"],
  ])("%o: %s", async (change, cause) => {
    expect((await executionOf(change))?.cause).toBe(cause);
  });

  const unexplained = Object.entries(BYBIT_EXECUTION_TYPES).filter(
    ([, { cause }]) => cause === "unknown",
  );
  test.each([...unexplained.map(([type]) => type), "UNKNOWN", "OfTomorrow", ""])(
    "of type %j nobody can tell, and it is named",
    async (execType) => {
      const { cause, unexplained: name } = (await executionOf({ execType })) ?? {};
      expect(cause).toBe("unknown");
      expect(name).toContain(`execution x1 is of type ${execType} (`);
    },
  );

  test("one of a new type may have no side and no price: it is named, and holds up no other row", async () => {
    const execution = await executionOf({ execType: "OfTomorrow", side: "None", execPrice: "" });
    expect(execution).toMatchObject({ executionId: "x1", cause: "unknown" });
    expect(execution?.unexplained).toContain("OfTomorrow");
  });

  test.each(["Dividend", "Funding"])(
    "a %s moves no position: one that cannot be read holds up no other row",
    async (execType) => {
      const execution = await executionOf({ execType, side: "None", execPrice: "" });
      expect(execution).toMatchObject({ executionId: "x1", cause: "unknown" });
      expect(execution?.unexplained).toContain(`${execType} (in a form that is not known`);
    },
  );

  test("one of a new type keeps the id of the order that it is of", async () => {
    const change = { execType: "OfTomorrow", execPrice: "", orderLinkId: "by-hand" };
    expect((await executionOf(change))?.clientOrderId).toBe("by-hand");
  });

  test("one of a type that moves positions has to be readable", async () => {
    await expect(executionOf({ execPrice: "" })).rejects.toThrow("cannot be read");
  });

  test("one of a bot's order is for that bot to refuse: it says that it cannot be read", async () => {
    const orderLinkId = "11111111-1111-8111-8111-111111111111";
    const execution = await executionOf({ execType: "OfTomorrow", execPrice: "", orderLinkId });
    expect(execution).toMatchObject({ clientOrderId: orderLinkId, isUnreadable: true });
  });
});
