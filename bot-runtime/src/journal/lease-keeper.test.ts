import type { Intent } from "@tradingbots/crds";
import { expect, test } from "vitest";
import { JournalModel } from "../../test/journal-model.ts";
import type { Clock } from "../clock.ts";
import type { HttpClient } from "../http-client.ts";
import { JournalClient } from "./journal-client.ts";

/** A clock that stands until it is told to go on: sleepers wake in the order of their times. */
class ManualClock implements Pick<Clock, "sleep" | "after" | "monotonicMs"> {
  #nowMs = 0;
  readonly #sleepers = new Set<{ readonly atMs: number; readonly wake: () => void }>();

  readonly monotonicMs = () => this.#nowMs;

  readonly sleep = (ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve) => {
      const sleeper = { atMs: this.#nowMs + ms, wake: () => end() };
      const end = () => {
        this.#sleepers.delete(sleeper);
        resolve();
      };
      if (signal?.aborted === true) resolve();
      else this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", end, { once: true });
    });

  readonly after = (ms: number, run: () => void) => {
    const due = { atMs: this.#nowMs + ms, wake: () => end(run) };
    const end = (then: () => void) => {
      this.#sleepers.delete(due);
      then();
    };
    this.#sleepers.add(due);
    return () => end(() => undefined);
  };

  async go(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      await settle();
      const due = [...this.#sleepers]
        .filter(({ atMs }) => atMs <= endMs)
        .toSorted((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#nowMs = due.atMs;
      due.wake();
    }
    this.#nowMs = endMs;
    await settle();
  }
}

/** Lets everything that waits for nothing but promises run. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 3; turns += 1) await new Promise((resolve) => setImmediate(resolve));
}

const at = "2025-06-18T00:00:00Z";
const intent = (last: number): Intent => ({
  clientOrderId: `11111111-1111-8111-8111-11111111111${last}`,
  attempt: 0,
  symbol: "BTC/USDT:USDT",
  side: "buy",
  quantity: "1",
  leverage: 1,
  stopLoss: "99",
  takeProfit: "101",
  candleOpenTime: at,
  confidence: 50,
  at,
});

/** Requests that are held back do not arrive; `hold` decides when. */
type Hold = (path: string) => "arrives" | "is lost" | "is answered late" | "loses its answer";

function createWorld() {
  const clock = new ManualClock();
  const journal = new JournalModel({ nowMs: clock.monotonicMs });
  const running: JournalClient[] = [];
  function startPod(podUid: string, hold: { now: Hold } = { now: () => "arrives" }) {
    const send: HttpClient = async (url, call) => {
      const how = hold.now(new URL(url).pathname);
      if (how === "is lost") throw new Error("connect ECONNREFUSED");
      const answer = await journal.send(url, call);
      if (how === "loses its answer") throw new Error("socket hang up");
      if (how === "is answered late") await clock.sleep(2_900);
      return answer;
    };
    const client = new JournalClient({
      url: "http://journal",
      exchange: "bybit",
      send,
      readToken: async () => podUid,
      log: { info: () => {}, warn: () => {}, error: () => {} },
      clock,
      random: () => 0.5,
      onSession: () => {},
    });
    running.push(client);
    void client.run();
    return client;
  }
  return { clock, journal, startPod };
}

test("the lease comes with the session and is renewed for as long as the bot runs", async () => {
  const { clock, startPod } = createWorld();
  const bot = startPod("pod-1");
  expect(bot.leaseRemainingMs()).toBe(0);
  await clock.go(0);
  expect(bot.leaseRemainingMs()).toBe(15_000);
  for (let seconds = 0; seconds < 60; seconds += 1) {
    await clock.go(1_000);
    expect(bot.leaseRemainingMs()).toBeGreaterThanOrEqual(10_000);
  }
  expect(await bot.appendIntent(intent(1))).toBe("appended");
});

test("validity counts from the sending: an answer that comes late is worth less", async () => {
  const { clock, journal, startPod } = createWorld();
  const hold: { now: Hold } = {
    now: (path) => (path === "/v1/lease" ? "is answered late" : "arrives"),
  };
  const bot = startPod("pod-1", hold);
  await clock.go(2_900);
  expect(bot.leaseRemainingMs()).toBe(12_100);
  expect(journal.leaseholder?.untilMs).toBe(15_000);
});

test.for<["is lost" | "loses its answer"]>([["is lost"], ["loses its answer"]])(
  "a bot whose every request %s never believes longer in its lease than the journal",
  async ([fault]) => {
    const { clock, journal, startPod } = createWorld();
    const hold: { now: Hold } = { now: () => "arrives" };
    const bot = startPod("pod-1", hold);
    await clock.go(7_000);
    hold.now = () => fault;
    for (let steps = 0; steps < 200; steps += 1) {
      await clock.go(100);
      const journalMs = (journal.leaseholder?.untilMs ?? 0) - clock.monotonicMs();
      expect(bot.leaseRemainingMs()).toBeLessThanOrEqual(Math.max(journalMs, 0));
    }
    expect(bot.leaseRemainingMs()).toBe(0);
    hold.now = () => "arrives";
    await clock.go(2_100);
    expect(bot.leaseRemainingMs()).toBeGreaterThan(10_000);
  },
);

test("a second pod waits until the first one's lease has run out, and the first gets none again", async () => {
  const { clock, startPod } = createWorld();
  const old = startPod("pod-1");
  await clock.go(4_000);
  const young = startPod("pod-2");
  await clock.go(0);
  expect([old.leaseRemainingMs(), young.leaseRemainingMs()]).toEqual([11_000, 0]);
  expect(await old.appendIntent(intent(1))).toBe("stale");
  expect(await young.appendIntent(intent(2))).toBe("refused");
  await clock.go(10_900); // at 14.9 s; the renewal of 5 s was refused
  expect([old.standing, old.leaseRemainingMs(), young.leaseRemainingMs()]).toEqual(["stale", 0, 0]);
  await clock.go(2_000);
  expect(young.leaseRemainingMs()).toBeGreaterThan(12_000);
  expect(await young.appendIntent(intent(3))).toBe("appended");
});

test("a pod that ends gives its lease back, and the next one has it within moments", async () => {
  const { clock, journal, startPod } = createWorld();
  const old = startPod("pod-1");
  await clock.go(1_000);
  const ending = old.end();
  await clock.go(0);
  await ending;
  expect([old.leaseRemainingMs(), journal.leaseholder]).toEqual([0, undefined]);
  const young = startPod("pod-2");
  await clock.go(0);
  expect(young.leaseRemainingMs()).toBe(15_000);
});

test("a pod that ends just after an intent keeps the next one waiting: its order may be on the way", async () => {
  const { clock, journal, startPod } = createWorld();
  const old = startPod("pod-1");
  await clock.go(1_000);
  expect(await old.appendIntent(intent(1))).toBe("appended");
  const ending = old.end();
  await clock.go(0);
  await ending;
  expect(old.leaseRemainingMs()).toBe(0);
  expect(journal.leaseholder).toMatchObject({ podUid: "pod-1", untilMs: 15_000 });
});

test.each([
  ["is on its way the lease is not given back", 10_900, true],
  ["can not arrive any more it is", 11_001, false],
])("while a late exit %s", async (_, passedMs, isKept) => {
  const { clock, journal, startPod } = createWorld();
  const old = startPod("pod-1");
  await clock.go(1_000);
  old.keepLeaseFor(8_000);
  await clock.go(passedMs);
  const ending = old.end();
  await clock.go(0);
  await ending;
  expect(journal.leaseholder !== undefined).toBe(isKept);
});

test("a release overtakes no renewal that is under way", async () => {
  const { clock, journal, startPod } = createWorld();
  const hold: { now: Hold } = { now: () => "arrives" };
  const bot = startPod("pod-1", hold);
  await clock.go(4_999);
  hold.now = (path) => (path === "/v1/lease" ? "is answered late" : "arrives");
  await clock.go(500);
  const ending = bot.end();
  await clock.go(3_000);
  await ending;
  expect(journal.leaseholder).toBeUndefined();
});

test("a session that the journal forgot brings a new lease under the new epoch", async () => {
  const { clock, journal, startPod } = createWorld();
  const bot = startPod("pod-1");
  await clock.go(2_000);
  journal.forgetSessions();
  expect(await bot.appendIntent(intent(1))).toBe("refused");
  expect(bot.leaseRemainingMs()).toBe(0);
  await clock.go(1_000);
  expect([bot.epoch, journal.leaseholder?.epoch]).toEqual([2, 2]);
  expect(await bot.appendIntent(intent(2))).toBe("appended");
});

test("a lease that only the journal lost is asked for at once", async () => {
  const { clock, journal, startPod } = createWorld();
  const bot = startPod("pod-1");
  await clock.go(2_000);
  journal.expireLease();
  expect(await bot.appendIntent(intent(1))).toBe("refused");
  await clock.go(0);
  expect(await bot.appendIntent(intent(2))).toBe("appended");
});

test("an intent that is over is refused, and nothing else changes", async () => {
  const { clock, startPod } = createWorld();
  const bot = startPod("pod-1");
  await clock.go(2_000);
  const { clientOrderId, symbol, side, quantity } = intent(1);
  bot.record({
    type: "order",
    clientOrderId,
    exchangeOrderId: null,
    symbol,
    purpose: "entry",
    side,
    quantity,
    status: "cancelled",
    code: "IntentUnconfirmed",
    message: null,
    at,
  });
  await clock.go(1_000);
  expect(await bot.appendIntent(intent(1))).toBe("refused");
  expect([bot.standing, bot.epoch, bot.leaseRemainingMs() > 0]).toEqual(["ready", 1, true]);
  expect(await bot.appendIntent(intent(2))).toBe("appended");
});

test("a holder that was frozen sees no lease when it wakes, and its late intent is refused", async () => {
  const { clock, journal, startPod } = createWorld();
  const hold: { now: Hold } = { now: () => "arrives" };
  const frozen = startPod("pod-1", hold);
  await clock.go(1_000);
  hold.now = () => "is lost"; // nothing of it moves while the others go on
  await clock.go(14_000);
  const young = startPod("pod-2");
  await clock.go(3_000);
  expect(young.leaseRemainingMs()).toBeGreaterThan(0);
  hold.now = () => "arrives";
  expect(frozen.leaseRemainingMs()).toBe(0);
  expect(await frozen.appendIntent(intent(1))).toBe("stale");
  expect(journal.intents.size).toBe(0);
});
