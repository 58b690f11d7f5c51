import { type bybit, ExchangeError, InvalidNonce, RateLimitExceeded, RequestTimeout } from "ccxt";
import { afterEach, describe, expect, test } from "vitest";
import type { FaultRule } from "../faults.ts";
import type { ExchangeSimulator } from "../server.ts";
import { clientOf, KEY, startScripted, SYMBOL } from "./simulator.ts";

// What a client sees of every fault, spoken by the real ccxt client, and what then is true at the exchange.

const CREATE = "POST /v5/order/create";
/** Of requests that are never answered; all others have ccxt's own patience. */
const IMPATIENT_MS = 400;

let simulator: ExchangeSimulator;
let client: bybit;

afterEach(async () => {
  await client.close();
  await simulator.close();
});

async function start(...rules: readonly FaultRule[]): Promise<void> {
  simulator = await startScripted([]);
  client = clientOf(simulator);
  await client.loadMarkets();
  // ccxt asks for the account's kind before its first private request.
  await client.fetchBalance();
  simulator.control.setFaults(rules);
}

function buy(orderLinkId: string) {
  return client.createOrder(SYMBOL, "market", "buy", 0.1, undefined, {
    clientOrderId: orderLinkId,
  });
}

function sell(reduceOnly: boolean) {
  return client.createOrder(SYMBOL, "market", "sell", 0.1, undefined, { reduceOnly });
}

async function control(method: string, body?: object) {
  const answer = await fetch(`${simulator.url}/control/faults`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  const parsed: unknown = text === "" ? undefined : JSON.parse(text);
  return { status: answer.status, body: parsed };
}

function linkIds(): readonly string[] {
  return (simulator.control.account(KEY.apiKey)?.orders ?? []).map((order) => order.orderLinkId);
}

/** The outcome of a request: its error, or what it gave. */
async function outcomeOf(request: Promise<unknown>): Promise<unknown> {
  return request.catch((error: unknown) => error);
}

/** Places an order and gives up soon. */
async function impatiently(orderLinkId: string): Promise<unknown> {
  const { timeout } = client;
  client.timeout = IMPATIENT_MS;
  const outcome = await outcomeOf(buy(orderLinkId));
  client.timeout = timeout;
  return outcome;
}

/** How often the first rule has struck: a request that was given up may still be on its way. */
function strikes(): number | undefined {
  return simulator.control.faults()[0]?.hits;
}

const onCreate = (fault: FaultRule["fault"]): FaultRule => ({ match: { endpoint: CREATE }, fault });

describe("faults of one order", () => {
  test.for<[name: string, fault: FaultRule["fault"], seen: RegExp, accepted: boolean]>([
    ["hang before", { kind: "hang", when: "before" }, /^RequestTimeout/, false],
    ["hang after", { kind: "hang", when: "after" }, /^RequestTimeout/, true],
    ["reset before", { kind: "reset", when: "before" }, /ECONNRESET|other side closed/, false],
    ["reset after", { kind: "reset", when: "after" }, /ECONNRESET|other side closed/, true],
    ["truncated", { kind: "truncate" }, /terminated|other side closed|aborted/, true],
    [
      "10000 before",
      { kind: "retCode", retCode: 10000, when: "before" },
      /"retCode":10000,"retMsg":"Server Timeout"/,
      false,
    ],
    ["10000 after", { kind: "retCode", retCode: 10000, when: "after" }, /10000/, true],
    [
      "10006 before",
      { kind: "retCode", retCode: 10006, when: "before" },
      /^RateLimitExceeded/,
      false,
    ],
    ["10006 after", { kind: "retCode", retCode: 10006, when: "after" }, /^RateLimitExceeded/, true],
    ["10016 before", { kind: "retCode", retCode: 10016, when: "before" }, /^ExchangeError/, false],
    ["10016 after", { kind: "retCode", retCode: 10016, when: "after" }, /^ExchangeError/, true],
    ["403", { kind: "http", status: 403, when: "before" }, /403/, false],
    ["429", { kind: "http", status: 429, when: "before" }, /^RateLimitExceeded/, false],
    ["500 after", { kind: "http", status: 500, when: "after" }, /500/, true],
    ["503 before", { kind: "http", status: 503, when: "before" }, /503/, false],
    ["twice", { kind: "twice" }, /110072/, true],
  ])("%s", async ([, fault, seen, accepted]) => {
    await start(onCreate(fault));
    const outcome = await (fault.kind === "hang" ? impatiently("entry") : outcomeOf(buy("entry")));
    await expect.poll(strikes).toBe(1);
    expect(described(outcome)).toMatch(seen);
    expect(linkIds()).toEqual(accepted ? ["entry"] : []);
    // Once was asked for: the next order goes through.
    await buy("next");
    expect(linkIds()).toEqual(accepted ? ["entry", "next"] : ["next"]);
  });

  test("a stalled answer begins and does not end", async () => {
    await start({ match: { endpoint: "GET /v5/market/time" }, fault: { kind: "stall" } });
    const signal = AbortSignal.timeout(400);
    const answer = await fetch(`${simulator.url}/v5/market/time`, { signal });
    expect(answer.status).toBe(200);
    await expect(answer.text()).rejects.toMatchObject({ name: "TimeoutError" });
  });

  test("an empty answer looks like success without an id", async () => {
    await start(onCreate({ kind: "empty", when: "after" }));
    expect(await buy("entry")).toMatchObject({ id: undefined });
    expect(linkIds()).toEqual(["entry"]);
  });

  test("a delayed answer comes, and so does the answer to a delayed request", async () => {
    await start(onCreate({ kind: "delay", ms: 150, when: "after" }));
    const answered = buy("answered-late");
    await expect.poll(linkIds).toEqual(["answered-late"]);
    expect(await answered).toMatchObject({ clientOrderId: "answered-late" });
    simulator.control.setFaults([onCreate({ kind: "delay", ms: 150, when: "before" })]);
    expect(await buy("accepted-late")).toMatchObject({ clientOrderId: "accepted-late" });
    expect(linkIds()).toEqual(["answered-late", "accepted-late"]);
  });

  test("a hidden order is not found by any look-up until its time has come", async () => {
    await start(onCreate({ kind: "hang", when: "after", hideMs: 60_000 }));
    expect(await impatiently("hidden")).toBeInstanceOf(RequestTimeout);
    await expect.poll(strikes).toBe(1);
    const lookUps = async () => [
      ...(await client.fetchOpenOrders(SYMBOL, undefined, undefined, { orderLinkId: "hidden" })),
      ...(await client.fetchCanceledAndClosedOrders(SYMBOL, undefined, undefined, {
        orderLinkId: "hidden",
      })),
      ...(await client.fetchMyTrades(SYMBOL)),
    ];
    expect(await lookUps()).toEqual([]);
    simulator.control.step();
    expect(await lookUps()).toEqual([]);
    expect((await client.fetchPositions([SYMBOL]))[0]?.contracts).toBe(0.1);
    // A minute later by the server's clock; the client's follows it.
    simulator.control.setSkew(60_000);
    client.nonce = () => Date.now() + 60_000;
    const found = await lookUps();
    expect(found.map(({ id }) => typeof id)).toEqual(["string", "string", "string"]);
  });
});

describe("rules", () => {
  test("match by side, reduce-only and n-th time", async () => {
    const fault = { kind: "retCode", retCode: 10016, when: "before" } as const;
    await start(
      { match: { endpoint: CREATE, side: "Sell", reduceOnly: true }, fault, times: null },
      { match: { endpoint: CREATE, side: "Buy" }, fault, after: 1, times: 2 },
    );
    const outcomes: string[] = [];
    for (const index of [0, 1, 2, 3]) {
      const outcome = await outcomeOf(buy(`buy-${index}`));
      outcomes.push(outcome instanceof Error ? "refused" : "taken");
    }
    expect(outcomes).toEqual(["taken", "refused", "refused", "taken"]);
    simulator.control.step();
    expect(await outcomeOf(sell(true))).toBeInstanceOf(ExchangeError);
    expect(await outcomeOf(sell(false))).not.toBeInstanceOf(Error);
    expect(simulator.control.faults()).toMatchObject([
      { seen: 1, hits: 1 },
      { seen: 4, hits: 2 },
    ]);
  });

  test("a share strikes about as often as it says, and the same requests for the same seed", async () => {
    const struckOnes = async () => {
      await start({
        match: { endpoint: "GET /v5/*" },
        fault: { kind: "http", status: 503, when: "before" },
        times: null,
        share: 0.2,
      });
      const struck: boolean[] = [];
      for (let index = 0; index < 200; index += 1) {
        const answer = await fetch(`${simulator.url}/v5/market/time`);
        struck.push(answer.status === 503);
      }
      return struck;
    };
    const first = await struckOnes();
    const hits = first.filter(Boolean).length;
    expect(hits).toBeGreaterThan(20);
    expect(hits).toBeLessThan(60);
    await client.close();
    await simulator.close();
    expect(await struckOnes()).toEqual(first);
  });

  test("over HTTP: set, read, end; what makes no sense is refused", async () => {
    await start();
    const rule = { match: { endpoint: CREATE }, fault: { kind: "hang", when: "after" } };
    expect(await control("POST", { rules: [rule] })).toMatchObject({ status: 200 });
    expect(await impatiently("entry")).toBeInstanceOf(RequestTimeout);
    await expect.poll(strikes).toBe(1);
    expect((await control("GET")).body).toEqual({
      rules: [{ ...rule, after: 0, times: 1, share: 1, seen: 1, hits: 1 }],
    });
    expect((await control("DELETE")).status).toBe(204);
    expect((await control("GET")).body).toEqual({ rules: [] });
    for (const wrong of [
      { match: {}, fault: { kind: "explode" } },
      { match: {}, fault: { kind: "hang" } },
      { match: {}, fault: { kind: "silence" } },
      { match: { stream: "public" }, fault: { kind: "empty", when: "after" } },
      { match: { endpiont: CREATE }, fault: { kind: "truncate" } },
      { match: {}, fault: { kind: "truncate" }, times: 0 },
    ]) {
      const answer = await control("POST", { rules: [wrong] });
      expect({ wrong, status: answer.status }).toEqual({ wrong, status: 400 });
    }
  });

  test("a rate limit answer carries Bybit's headers", async () => {
    await start({
      match: { endpoint: "GET /v5/market/time" },
      fault: { kind: "retCode", retCode: 10006, when: "before" },
    });
    const sentMs = Date.now();
    const answer = await fetch(`${simulator.url}/v5/market/time`);
    expect(answer.headers.get("x-bapi-limit-status")).toBe("0");
    const resetMs = Number(answer.headers.get("x-bapi-limit-reset-timestamp"));
    expect(resetMs).toBeGreaterThanOrEqual(sentMs + 1_000);
    expect(resetMs).toBeLessThanOrEqual(Date.now() + 1_000);
  });
});

describe("the exchange's clock and limits", () => {
  test.for([5_000, -5_000])(
    "a clock wrong by %i ms, until the client has asked for it",
    async (skewMs) => {
      await start();
      // Bybit takes what is as old as the window: with ccxt's own 5 s a request that was sent at once would be just in time.
      client.options["recvWindow"] = 4_000;
      simulator.control.setSkew(skewMs);
      const outcome = await outcomeOf(buy("by-own-clock"));
      expect(outcome).toBeInstanceOf(InvalidNonce);
      expect(described(outcome)).toMatch(/"retCode":10002/);
      expect(linkIds()).toEqual([]);
      await client.loadTimeDifference();
      await buy("by-its-clock");
      expect(linkIds()).toEqual(["by-its-clock"]);
    },
  );

  test("more than its limit of a second is refused, and taken in the next", async () => {
    await start();
    simulator.control.changeSettings({ requestsPerSecond: 1 });
    await buy("first");
    const outcome = await outcomeOf(buy("second"));
    expect(outcome).toBeInstanceOf(RateLimitExceeded);
    expect(described(outcome)).toMatch(/"retCode":10006/);
    expect(linkIds()).toEqual(["first"]);
    // A second later by the server's clock; the client asks for it.
    simulator.control.setSkew(1_000);
    await client.loadTimeDifference();
    await buy("second");
    expect(linkIds()).toEqual(["first", "second"]);
  });

  test("an address that asks too often is banned, and let in again", async () => {
    await start();
    simulator.control.changeSettings({ requestsPer5Seconds: 1, banMs: 60_000 });
    await buy("first");
    expect(described(await outcomeOf(buy("second")))).toMatch(/403, access too frequent/);
    expect(linkIds()).toEqual(["first"]);
    simulator.control.setSkew(60_000);
    client.nonce = () => Date.now() + 60_000;
    await buy("second");
    expect(linkIds()).toEqual(["first", "second"]);
  });
});

/** Name and message of an error and of what caused it. */
function described(error: unknown): string {
  if (!(error instanceof Error)) return "";
  return `${error.name} ${error.message} ${described(error.cause)}`;
}
