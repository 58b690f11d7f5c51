import { afterEach, expect, test, vi } from "vitest";
import { createClient } from "./bybit-client.ts";

// Before ccxt is loaded, which keeps the Date.now and the setTimeout that it finds.
vi.hoisted(() =>
  vi.useFakeTimers({ toFake: ["Date", "performance", "setTimeout", "clearTimeout"] }),
);
afterEach(() => vi.clearAllTimers());

/** Weight of ccxt's for a look-up and for an order. */
const LOOK_UP = 5;
const ORDER = 2.5;

/** Asks a client for its leave so often; gives how many have it so far. */
function asks(count: number, weight: number, client = newClient()) {
  let left = 0;
  for (let asked = 0; asked < count; asked += 1)
    void client.throttle(weight).then(() => (left += 1));
  return { client, left: () => left };
}

function newClient() {
  const key = { reveal: () => ({ apiKey: "k", apiSecret: "s" }), scrub: (said: string) => said };
  return createClient({ key, testnet: false, restUrl: undefined });
}

test("20 look-ups or 40 orders a second leave, counted over any 5 s, and at once while there is room", async () => {
  const looks = asks(120, LOOK_UP);
  const orders = asks(240, ORDER);
  await vi.advanceTimersByTimeAsync(0);
  expect([looks.left(), orders.left()]).toEqual([100, 200]);
  await vi.advanceTimersByTimeAsync(4_990);
  expect([looks.left(), orders.left()]).toEqual([100, 200]);
  await vi.advanceTimersByTimeAsync(20);
  expect([looks.left(), orders.left()]).toEqual([120, 240]);
});

test("requests leave in the order in which they came, a light one not before a heavy one", async () => {
  const { client } = asks(99, LOOK_UP);
  const left: string[] = [];
  void client.throttle(2 * LOOK_UP).then(() => left.push("heavy"));
  void client.throttle(ORDER).then(() => left.push("light"));
  await vi.advanceTimersByTimeAsync(4_990);
  expect(left).toEqual([]);
  await vi.advanceTimersByTimeAsync(20);
  expect(left).toEqual(["heavy", "light"]);
});

test.each([
  ["back by a minute", -60_000],
  ["back by an hour", -3_600_000],
  ["forth by an hour", 3_600_000],
])("a wall clock that is set %s makes no request wait, and lets none out early", async (_, ms) => {
  const { client } = asks(20, LOOK_UP);
  await vi.advanceTimersByTimeAsync(0);
  vi.setSystemTime(Date.now() + ms);
  const rest = asks(100, LOOK_UP, client);
  await vi.advanceTimersByTimeAsync(4_990);
  expect(rest.left()).toBe(80);
  await vi.advanceTimersByTimeAsync(20);
  expect(rest.left()).toBe(100);
});
