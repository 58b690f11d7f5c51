import { expect, test } from "vitest";
import Bybit from "../../../node_modules/ccxt/js/src/bybit.js";
import { createClient } from "./bybit-client.ts";

const key = { apiKey: "the-key", apiSecret: "the secret, söme of it not in ASCII" };
const NOW_MS = 1_750_000_000_123;

function signed(client: Bybit, ...request: [path: string, method: string, params: object]) {
  client.milliseconds = () => NOW_MS;
  const [path, method, params] = request;
  const answer: unknown = client.sign(path, "private", method, params);
  return answer;
}

test.each<[string, string, object]>([
  ["v5/order/create", "POST", { category: "linear", symbol: "BTCUSDT", qty: "0.001" }],
  ["v5/order/realtime", "GET", { category: "linear", orderLinkId: "a/b ü" }],
  ["v5/user/query-api", "GET", {}],
])("%s is signed as ccxt signs it", (path, method, params) => {
  const ours = createClient({
    key: { reveal: () => key, scrub: (said) => said },
    testnet: false,
    restUrl: undefined,
  });
  const theirs = new Bybit({ apiKey: key.apiKey, secret: key.apiSecret });
  const request = signed(ours, path, method, params);
  expect(request).toEqual(signed(theirs, path, method, params));
  expect(JSON.stringify(request)).toMatch(/"X-BAPI-SIGN":"[0-9a-f]{64}"/);
});

test("a request that says when it was decided is signed with that time and its own window, and does not send them", () => {
  const client = createClient({
    key: { reveal: () => key, scrub: (said) => said },
    testnet: false,
    restUrl: undefined,
  });
  client.options["timeDifference"] = 100;
  const params = { symbol: "BTCUSDT" };
  const dated = { madeMs: NOW_MS - 500, receiveWindowMs: 12_000 };
  const timed = signed(client, "v5/order/create", "POST", { ...params, ...dated });
  expect(timed).toMatchObject({
    headers: { "X-BAPI-TIMESTAMP": `${NOW_MS - 600}`, "X-BAPI-RECV-WINDOW": "12000" },
    body: JSON.stringify(params),
  });
  expect(signed(client, "v5/order/create", "POST", params)).toMatchObject({
    headers: { "X-BAPI-TIMESTAMP": `${NOW_MS - 100}`, "X-BAPI-RECV-WINDOW": "5000" },
    body: JSON.stringify(params),
  });
});
