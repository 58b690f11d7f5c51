import { systemClock } from "../clock.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { type JournalRecord, type RecordBody } from "@tradingbots/crds";
import { afterEach, expect, test } from "vitest";
import type { HttpClient } from "../http-client.ts";
import { JournalClient } from "./journal-client.ts";

const at = "2025-06-18T00:00:00Z";
const event = (message: string): RecordBody => ({ type: "event", kind: "test", message, at });
const messageOf = ({ body }: JournalRecord) => (body.type === "event" ? body.message : body.type);

const intent = {
  clientOrderId: "11111111-1111-8111-8111-111111111111",
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
} as const;

interface Call {
  readonly epoch: number;
  readonly records: readonly JournalRecord[];
}

/** One pod's end of the journal: refuses a batch with a message that starts with "bad", as Postgres' types would. */
class Journal {
  /** 0: the session is not known. */
  epoch = 0;
  granted = 0;
  newestIsAnothers = false;
  replaced = false;
  readonly stored: string[] = [];
  calls = 0;

  readonly send: HttpClient = async (url, { body }) => {
    const { status, answer } = this.#answer(new URL(url).pathname, JSON.parse(body ?? ""));
    const text = async () => JSON.stringify(answer);
    return { status, statusText: "", headers: {}, text };
  };

  forget(): void {
    this.epoch = 0;
  }

  #answer(path: string, call: Call): { status: number; answer: unknown } {
    this.calls += 1;
    const isStale = path === "/v1/session" ? this.replaced : this.newestIsAnothers;
    if (isStale && path !== "/v1/records") return { status: 409, answer: { code: "stale_epoch" } };
    if (path === "/v1/session") {
      this.granted += 1;
      this.epoch = this.granted;
      const nothing = { openTrades: [], openIntents: [], dayBaseline: null };
      return { status: 200, answer: { epoch: this.epoch, lastSequence: 0, ...nothing } };
    }
    if (call.epoch !== this.epoch) return { status: 409, answer: { code: "unknown_session" } };
    if (path.startsWith("/v1/lease")) return { status: 200, answer: { ttlMs: 15_000 } };
    if (path === "/v1/intents") return { status: 200, answer: { accepted: true } };
    const { records } = call;
    if (records.some((record) => messageOf(record).startsWith("bad")))
      return { status: 422, answer: { code: "validation_failed", detail: "records.0" } };
    for (const record of records)
      this.stored.push(`${this.epoch}/${record.sequence} ${messageOf(record)}`);
    return { status: 200, answer: { lastSequence: records.at(-1)?.sequence ?? 0 } };
  }
}

let client: JournalClient | undefined;
afterEach(async () => client?.end());

function connect(journal: Journal) {
  const errors: string[] = [];
  const sessions: [epoch: number, isFirst: boolean][] = [];
  const connected = new JournalClient({
    url: "http://journal",
    exchange: "bybit",
    send: journal.send,
    readToken: async () => "token",
    log: { info: () => {}, warn: () => {}, error: (name) => errors.push(name) },
    clock: systemClock,
    random: () => 0,
    onSession: ({ epoch }, isFirst) => sessions.push([epoch, isFirst]),
  });
  client = connected;
  void connected.run();
  return { client: connected, errors, sessions };
}

test("a session that the journal lost is opened anew, and what waited is numbered from its start", async () => {
  const journal = new Journal();
  const { client: bot, sessions } = connect(journal);
  bot.record(event("one"));
  bot.record(event("two"));
  expect(await bot.flush(2_000)).toBe(true);
  journal.forget();
  bot.record(event("three"));
  bot.record(event("four"));
  expect(await bot.flush(2_000)).toBe(true);
  expect(journal.stored).toEqual(["1/1 one", "1/2 two", "2/1 three", "2/2 four"]);
  expect([bot.standing, bot.epoch, sessions]).toEqual([
    "ready",
    2,
    [
      [1, true],
      [2, false],
    ],
  ]);
});

test("an intent notices it as well, and the next one is taken", async () => {
  const journal = new Journal();
  const { client: bot } = connect(journal);
  bot.record(event("one"));
  await bot.flush(2_000);
  journal.forget();
  expect(await bot.appendIntent(intent)).toBe("refused");
  await expect.poll(() => bot.standing).toBe("ready");
  expect(await bot.appendIntent(intent)).toBe("appended");
});

test("a pod that was replaced does not take over by a new session", async () => {
  const journal = new Journal();
  const { client: bot } = connect(journal);
  bot.record(event("one"));
  await bot.flush(2_000);
  journal.newestIsAnothers = true;
  expect(await bot.appendIntent(intent)).toBe("stale");
  journal.forget();
  bot.record(event("two"));
  await sleep(500);
  expect([journal.granted, bot.standing]).toEqual([1, "stale"]);
});

test("a pod that was replaced before it was heard says that it is stale", async () => {
  const journal = new Journal();
  journal.replaced = true;
  const { client: bot, sessions } = connect(journal);
  await expect.poll(() => bot.standing).toBe("stale");
  expect([await bot.appendIntent(intent), sessions]).toEqual(["refused", []]);
});

test("of a batch that is refused only the bad records are dropped, with an error each", async () => {
  const journal = new Journal();
  const { client: bot, errors } = connect(journal);
  const names = Array.from({ length: 300 }, (_, index) =>
    index === 7 || index === 250 ? `bad ${index}` : `${index}`,
  );
  for (const name of names) bot.record(event(name));
  expect(await bot.flush(5_000)).toBe(true);
  const good = names.filter((name) => !name.startsWith("bad"));
  expect(journal.stored).toEqual(good.map((name, index) => `1/${index + 1} ${name}`));
  expect([bot.refused, bot.dropped, bot.standing]).toEqual([2, 0, "ready"]);
  expect(errors).toEqual(["record-refused", "record-refused"]);
  expect(journal.calls).toBeLessThan(60);
});
