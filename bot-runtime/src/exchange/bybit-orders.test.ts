import { expect, test } from "vitest";
import { price, quantity } from "../money.ts";
import { createClient } from "./bybit-client.ts";
import { protect, setLeverage, submitEntry, submitExit } from "./bybit-orders.ts";

const levels = { stopLoss: price("99"), takeProfit: price("102") };
const order = {
  symbol: "BTC/USDT:USDT",
  clientOrderId: "11111111-1111-8111-8111-111111111111",
  side: "sell",
  quantity: quantity("1"),
} as const;

test.each<[string, (client: ReturnType<typeof createClient>, madeMs: number) => Promise<unknown>]>([
  ["an entry", (client, madeMs) => submitEntry(client, { ...order, ...levels, madeMs })],
  ["an exit", (client, madeMs) => submitExit(client, { ...order, madeMs })],
  [
    "a change of the leverage",
    (client, madeMs) => setLeverage(client, { symbol: order.symbol, leverage: 5, madeMs }),
  ],
  ["a stop", (client, madeMs) => protect(client, order.symbol, { ...levels, madeMs })],
])("%s is signed with the time of what it goes by", async (...[, send]) => {
  const client = createClient({
    key: { reveal: () => ({ apiKey: "key", apiSecret: "secret" }), scrub: (said) => said },
    testnet: false,
    restUrl: "http://exchange",
  });
  client.options["timeDifference"] = 100;
  const signed: unknown[] = [];
  client.fetchImplementation = async (_address: string, request: { readonly headers: object }) => {
    signed.push(request.headers);
    throw new Error("not sent");
  };
  await expect(send(client, 1_750_000_000_000)).rejects.toThrow("not sent");
  expect(signed).toMatchObject([{ "X-BAPI-TIMESTAMP": "1749999999900" }]);
});
