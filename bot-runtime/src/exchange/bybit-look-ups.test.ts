import { expect, test } from "vitest";
import { createClient } from "./bybit-client.ts";
import { lookUps } from "./bybit-look-ups.ts";

const PAGE = 100;

function row(number: number) {
  return {
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

test("an execution that two pages show is there once, and all are oldest first", async () => {
  const client = createClient({
    key: { reveal: () => ({ apiKey: "key", apiSecret: "secret" }), scrub: (said) => said },
    testnet: false,
    restUrl: "http://exchange",
  });
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
