import type { RecordBody } from "@tradingbots/crds";
import {
  IntentAnswer,
  LeaseAnswer,
  RecordAnswer,
  REQUESTS_REMEMBERED,
  SessionAnswer,
} from "@tradingbots/crds";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { Commitments } from "../../bot-runtime/test/commitments.ts";
import { JournalModel, type ModelHalt } from "../../bot-runtime/test/journal-model.ts";
import { type Halt, shareHalts } from "../src/journal/known-halts.ts";
import { startDatabase, type TestDatabase } from "./database.ts";
import {
  type Answer,
  dayBaseline,
  event,
  fill,
  funding,
  intent,
  order,
  report,
  requestResult,
  trade,
} from "./journal.ts";
import { createBot, type JournalApp, type Pod, startJournalApp } from "./journal-app.ts";

/** The journal of one bot, whichever it is. */
interface Journal {
  /** A pod that is made now, after all others. */
  newPod(): Pod;
  /** So much time passes for leases and commitments, by the journal's own clock. */
  pass(ms: number): Promise<void>;
  /** From now on these halts are in force; without symbols one is of all. */
  halt(halts: readonly ModelHalt[]): Promise<void>;
  /** Of another bot of the same account. */
  twin(): Promise<Journal>;
}

let database: TestDatabase;
let app: JournalApp;
/** Bots of which a new report was announced. */
const reported: string[] = [];
beforeAll(async () => {
  database = await startDatabase();
  app = await startJournalApp(database, { reported: (botId) => void reported.push(botId) });
});
afterAll(async () => {
  await app.close();
  await database.stop();
});

/** As a replica that hears of halts: the one that is asked does not. */
let version = 0;
const share = (halts: readonly Halt[]) =>
  shareHalts(database.superuser, { asOf: (version += 1), halts }, "0");
afterEach(() => share([]));

let accounts = 0;

async function onPostgres(): Promise<Journal> {
  accounts += 1;
  return ofAccount(`contract-${accounts}`);
}

async function ofAccount(account: string): Promise<Journal> {
  const botId = await createBot(database, account);
  let pods = 0;
  return {
    newPod: () => {
      pods += 1;
      return app.pod(botId, `${botId}-pod-${pods}`, pods);
    },
    pass: async (ms) => {
      await database.superuser.query(
        `update journal_leases set expires_at = expires_at - make_interval(secs => $2)
          where bot_id in (select id from bots where account_id = $1)`,
        [account, ms / 1_000],
      );
      await database.superuser.query(
        `update commitments set appended_at = appended_at - make_interval(secs => $2),
                                settled_at = settled_at - make_interval(secs => $2)
          where account_id = $1`,
        [account, ms / 1_000],
      );
    },
    halt: (wanted) => share(wanted.flatMap(({ symbols }) => (symbols ?? [undefined]).map(haltOf))),
    twin: async () => ofAccount(account),
  };
}

function haltOf(symbol: string | undefined): Halt {
  const scope =
    symbol === undefined
      ? ({ type: "all" } as const)
      : ({ type: "symbol", value: symbol } as const);
  const spec = { scope, action: "BlockEntries", reason: "test", lifted: false } as const;
  return { name: "halt", spec };
}

async function inMemory(): Promise<Journal> {
  let nowMs = 0;
  const commitments = new Commitments();
  const ofBot = (): Journal => {
    let pods = 0;
    const model = new JournalModel({ nowMs: () => nowMs, commitments });
    return {
      newPod: () => {
        pods += 1;
        const uid = `pod-${pods}`;
        model.addPod(uid);
        return { uid, post: async (path, body) => model.handle(path, uid, body) };
      },
      pass: async (ms) => void (nowMs += ms),
      halt: async (wanted) => model.halt(wanted),
      twin: async () => ofBot(),
    };
  };
  return ofBot();
}

const codeOf = ({ status, body }: Answer) => `${status} ${CodeOf.parse(body).code ?? "ok"}`;
const CodeOf = z.object({ code: z.string().optional() });

const sessionOf = async (pod: Pod) => {
  const answer = await pod.post("/v1/session", {});
  expect(answer.status).toBe(200);
  return SessionAnswer.parse(answer.body);
};
const lease = (pod: Pod, epoch: number) => pod.post("/v1/lease", { epoch });
const release = (pod: Pod, epoch: number) => pod.post("/v1/lease/release", { epoch });
const append = (pod: Pod, epoch: number, id: number) =>
  pod.post("/v1/intents", { epoch, intent: intent(id) });
const tell = (pod: Pod, epoch: number, records: readonly [sequence: number, RecordBody][]) =>
  pod.post("/v1/records", {
    epoch,
    records: records.map(([sequence, body]) => ({ sequence, body })),
  });

/** Half of the account's 100 may be committed; the balance showed `committed` just now. */
const enterBeside = async (pod: Pod, id: number, [margin, committed]: [string, string]) => {
  const commitment = { margin, committed, balanceAgeMs: 100, limit: "50" };
  const body = { epoch: 1, intent: { ...intent(id), commitment } };
  return codeOf(await pod.post("/v1/intents", body));
};

/** What both the real journal and its model must answer. */
describe.each([
  ["on Postgres", onPostgres],
  ["in memory", inMemory],
])("the journal %s", (_, create) => {
  let journal: Journal;
  beforeEach(async () => {
    journal = await create();
  });

  test("a session is a new epoch, and tells nothing of a bot that has done nothing", async () => {
    const pod = journal.newPod();
    expect(await sessionOf(pod)).toEqual({
      epoch: 1,
      lastSequence: 0,
      openTrades: [],
      openIntents: [],
      dayBaseline: null,
      realised: "0",
      errors: null,
      requests: [],
    });
    expect((await sessionOf(pod)).epoch).toBe(2);
  });

  test("of a request it is kept that it has begun, then its end and no later word but that it was done; the next process is told", async () => {
    const [first, second] = [journal.newPod(), journal.newPod()];
    await sessionOf(first);
    const done = requestResult(1, { reason: null });
    await tell(first, 1, [
      [1, requestResult(1, { status: "begun" })],
      [2, requestResult(2, { status: "begun", action: "Order", side: "long" })],
    ]);
    const began = (await sessionOf(first)).requests;
    expect(began.map(({ id, status }) => `${id.at(-1)} ${status}`)).toEqual(["1 begun", "2 begun"]);
    await tell(first, 2, [
      [1, requestResult(1, { status: "begun" })],
      [2, done],
    ]);
    await sessionOf(second);
    await tell(second, 3, [
      [1, requestResult(1, { status: "begun" })],
      [2, requestResult(1, { status: "refused", reason: "Halted", message: "too late" })],
      [3, requestResult(3, { status: "expired" })],
      [4, requestResult(4, { status: "refused", reason: "JournalUnavailable" })],
    ]);
    await tell(second, 3, [[5, requestResult(4, { status: "begun" })]]);
    await tell(second, 3, [[6, requestResult(4)]]);
    const { requests } = await sessionOf(second);
    expect(requests.map(({ id, status }) => `${id.at(-1)} ${status}`)).toEqual([
      "1 done",
      "2 begun",
      "3 expired",
      "4 done",
    ]);
    expect(requests[0]).toEqual(done.type === "request" && done.result);
    expect(requests[1]).toMatchObject({ action: "Order", side: "long" });
  });

  test("a request whose end nobody has told is told of, however many came after it", async () => {
    const pod = journal.newPod();
    await sessionOf(pod);
    await tell(pod, 1, [[1, requestResult(1, { status: "begun" })]]);
    for (let id = 2; id <= REQUESTS_REMEMBERED + 2; id += 1) {
      await tell(pod, 1, [[id, requestResult(id)]]);
    }
    const { requests } = await sessionOf(pod);
    expect(requests).toHaveLength(REQUESTS_REMEMBERED);
    expect(requests.slice(0, 2)).toMatchObject(
      [requestResult(1, { status: "begun" }), requestResult(4)].map(
        (told) => told.type === "request" && { id: told.result.id, status: told.result.status },
      ),
    );
  });

  test("a pod that was replaced gets no session, whether it had one or not", async () => {
    const [heard, unheard, young] = [journal.newPod(), journal.newPod(), journal.newPod()];
    await sessionOf(heard);
    await sessionOf(young);
    expect(codeOf(await heard.post("/v1/session", {}))).toBe("409 stale_epoch");
    expect(codeOf(await unheard.post("/v1/session", {}))).toBe("409 stale_epoch");
    expect((await sessionOf(young)).epoch).toBe(3);
  });

  test("nothing is taken under an epoch that was granted to another pod, or to none", async () => {
    const [mine, theirs] = [journal.newPod(), journal.newPod()];
    await sessionOf(mine);
    for (const epoch of [1, 2]) {
      expect(codeOf(await lease(theirs, epoch))).toBe("409 unknown_session");
      expect(codeOf(await append(theirs, epoch, 1))).toBe("409 unknown_session");
      expect(codeOf(await tell(theirs, epoch, [[1, event("x")]]))).toBe("409 unknown_session");
    }
  });

  test("a lease is granted for 15 s and renewed; an intent needs it", async () => {
    const pod = journal.newPod();
    await sessionOf(pod);
    expect(codeOf(await append(pod, 1, 1))).toBe("409 no_lease");
    expect(LeaseAnswer.parse((await lease(pod, 1)).body)).toEqual({ ttlMs: 15_000 });
    expect(IntentAnswer.parse((await append(pod, 1, 1)).body)).toEqual({ accepted: true });
    await journal.pass(10_000);
    expect(LeaseAnswer.parse((await lease(pod, 1)).body)).toEqual({ ttlMs: 15_000 });
    await journal.pass(10_000);
    expect((await append(pod, 1, 2)).status).toBe(200);
    await journal.pass(5_100);
    expect(codeOf(await append(pod, 1, 3))).toBe("409 no_lease");
    expect((await lease(pod, 1)).status).toBe(200); // nobody else wanted it
    expect((await append(pod, 1, 3)).status).toBe(200);
  });

  test("a second pod waits for the end of the first one's lease, and the first renews no more", async () => {
    const [old, young] = [journal.newPod(), journal.newPod()];
    await sessionOf(old);
    await lease(old, 1);
    await sessionOf(young);
    const refused = await lease(young, 2);
    expect(codeOf(refused)).toBe("409 lease_held");
    const { retryAfterMs } = z.object({ retryAfterMs: z.int() }).parse(refused.body);
    expect(retryAfterMs).toBeGreaterThan(10_000);
    expect(retryAfterMs).toBeLessThanOrEqual(15_000);
    expect(codeOf(await lease(old, 1))).toBe("409 stale_epoch");
    expect(codeOf(await append(old, 1, 1))).toBe("409 stale_epoch");
    expect(codeOf(await append(young, 2, 1))).toBe("409 no_lease");
    await journal.pass(14_000);
    expect(codeOf(await lease(young, 2))).toBe("409 lease_held");
    await journal.pass(1_100);
    expect((await lease(young, 2)).status).toBe(200);
    expect((await append(young, 2, 1)).status).toBe(200);
    expect(codeOf(await lease(old, 1))).toBe("409 stale_epoch");
  });

  test("a release lets the second pod in at once; repeating it changes nothing", async () => {
    const [old, young] = [journal.newPod(), journal.newPod()];
    await sessionOf(old);
    await lease(old, 1);
    await sessionOf(young);
    for (let times = 0; times < 2; times += 1) expect((await release(old, 1)).status).toBe(200);
    expect((await lease(young, 2)).status).toBe(200);
    expect((await release(old, 1)).status).toBe(200); // late: the lease is another's
    expect((await release(old, 2)).status).toBe(200);
    expect((await append(young, 2, 1)).status).toBe(200);
    expect((await release(young, 2)).status).toBe(200);
    expect(codeOf(await append(young, 2, 2))).toBe("409 no_lease");
  });

  test("a new process of the same pod has the lease at once, and a late release does not end it", async () => {
    const pod = journal.newPod();
    await sessionOf(pod);
    await lease(pod, 1);
    await sessionOf(pod);
    expect(codeOf(await append(pod, 2, 1))).toBe("409 no_lease"); // that lease is the old process's
    expect((await lease(pod, 2)).status).toBe(200);
    await release(pod, 1);
    expect((await append(pod, 2, 1)).status).toBe(200);
    expect(codeOf(await lease(pod, 1))).toBe("409 unknown_session");
  });

  test("a session that was granted after its pod gave up waiting is replaced by another", async () => {
    const pod = journal.newPod();
    await sessionOf(pod);
    await sessionOf(pod); // nobody waits for this answer any more
    expect(codeOf(await lease(pod, 1))).toBe("409 unknown_session");
    expect(codeOf(await append(pod, 1, 1))).toBe("409 unknown_session");
    expect((await sessionOf(pod)).epoch).toBe(3);
    expect((await lease(pod, 3)).status).toBe(200);
    expect((await append(pod, 3, 1)).status).toBe(200);
  });

  test("a frozen holder's late intent is refused, with a successor or without", async () => {
    const [frozen, young] = [journal.newPod(), journal.newPod()];
    await sessionOf(frozen);
    await lease(frozen, 1);
    await journal.pass(15_100);
    expect(codeOf(await append(frozen, 1, 1))).toBe("409 no_lease");
    await sessionOf(young);
    await lease(young, 2);
    expect(codeOf(await append(frozen, 1, 1))).toBe("409 stale_epoch");
    expect((await sessionOf(young)).openIntents).toEqual([]);
  });

  test("records need neither the newest epoch nor a lease", async () => {
    const [old, young] = [journal.newPod(), journal.newPod()];
    await sessionOf(old);
    await sessionOf(young);
    const answer = await tell(old, 1, [[1, trade(1)]]);
    expect(RecordAnswer.parse(answer.body)).toEqual({ lastSequence: 1 });
    expect((await sessionOf(young)).openTrades.map(({ id }) => id)).toEqual([
      intent(1).clientOrderId,
    ]);
  });

  test("a session tells of what is open, of the day, of all results and of the last errors", async () => {
    const pod = journal.newPod();
    await sessionOf(pod);
    await lease(pod, 1);
    for (const id of [1, 2, 3]) await append(pod, 1, id);
    await append(pod, 1, 1);
    const closedAt = "2026-01-02T04:00:00.000Z";
    const batch: [number, RecordBody][] = [
      [1, order(1, "accepted")],
      [2, order(1, "filled")],
      [3, order(2, "refused")],
      [4, fill("exec-1", 1)],
      [5, fill("exec-1", 1)],
      [6, funding("exec-2", 1)],
      [7, trade(1, { funding: "-0.25" })],
      [8, trade(4)],
      [9, trade(4, { pnl: "11.674000000000000001", closedAt })],
      [10, trade(5, { pnl: "-1", closedAt })],
      [11, dayBaseline("1000")],
      [12, dayBaseline("2000")],
      [13, report({ generation: 2, consecutiveErrors: 4 })],
    ];
    for (let times = 0; times < 2; times += 1) {
      const answer = await tell(pod, 1, batch);
      expect(RecordAnswer.parse(answer.body)).toEqual({ lastSequence: 13 });
    }
    const { openTrades, openIntents, ...told } = await sessionOf(pod);
    expect(openTrades).toMatchObject([{ id: intent(1).clientOrderId, funding: "-0.25" }]);
    expect(openIntents).toEqual([intent(3)]);
    expect(told).toEqual({
      epoch: 2,
      lastSequence: 0,
      dayBaseline: { day: "2026-01-02", equity: "1000", startsFrom: "-1.5" },
      realised: "10.674000000000000001",
      errors: { generation: 2, count: 4 },
      requests: [],
    });
  });

  test("what is over is not appended again, also when its intent comes after the word of its end", async () => {
    const pod = journal.newPod();
    await sessionOf(pod);
    await lease(pod, 1);
    await append(pod, 1, 1);
    await tell(pod, 1, [
      [1, order(1, "filled")],
      [2, order(2, "cancelled")],
      [3, order(3, "refused")],
      [4, trade(4, { pnl: "1", closedAt: "2026-01-02T04:00:00.000Z" })],
      [5, order(5, "accepted")],
      [6, trade(6)],
    ]);
    for (const id of [1, 2, 3, 4])
      expect(codeOf(await append(pod, 1, id))).toBe("409 intent_closed");
    for (const id of [5, 6]) expect((await append(pod, 1, id)).status).toBe(200);
    const { openIntents } = await sessionOf(pod);
    expect(openIntents.map(({ clientOrderId: id }) => id).toSorted()).toEqual(
      [5, 6].map((id) => intent(id).clientOrderId),
    );
  });

  test.for<object>([
    { quantity: "0.011" },
    { side: "sell" },
    { stopLoss: "59399.9" },
    { attempt: 1 },
    { at: "2026-01-02T03:04:05.679Z" },
  ])("an intent is repeated with the same contents or not at all: %j", async (change) => {
    const pod = journal.newPod();
    await sessionOf(pod);
    await lease(pod, 1);
    const changed = { epoch: 1, intent: { ...intent(1), ...change } };
    expect((await append(pod, 1, 1)).status).toBe(200);
    expect(codeOf(await pod.post("/v1/intents", changed))).toBe("409 intent_closed");
    expect((await append(pod, 1, 1)).status).toBe(200);
    expect((await sessionOf(pod)).openIntents).toEqual([intent(1)]);
  });

  test("the end of a trade closes its intent, whatever became known of the order", async () => {
    const pod = journal.newPod();
    await sessionOf(pod);
    await lease(pod, 1);
    for (const id of [1, 2]) await append(pod, 1, id);
    await tell(pod, 1, [
      [1, trade(1)],
      [2, trade(2)],
      [3, trade(1, { pnl: "1", closedAt: "2026-01-02T04:00:00.000Z" })],
    ]);
    expect((await sessionOf(pod)).openIntents).toEqual([intent(2)]);
  });

  test("a clock that steps back lets a dead pod's lease last no longer than a new one", async () => {
    const [dead, young] = [journal.newPod(), journal.newPod()];
    await sessionOf(dead);
    await lease(dead, 1);
    await sessionOf(young);
    await journal.pass(-3_600_000);
    const refused = await lease(young, 2);
    const { retryAfterMs } = z.object({ retryAfterMs: z.int() }).parse(refused.body);
    expect([codeOf(refused), retryAfterMs <= 15_000]).toEqual(["409 lease_held", true]);
    await journal.pass(15_100);
    expect((await lease(young, 2)).status).toBe(200);
  });

  test("an older word changes nothing, also one of an older epoch that comes late", async () => {
    const pod = journal.newPod();
    await sessionOf(pod);
    await sessionOf(pod);
    await tell(pod, 2, [
      [2, trade(1, { pnl: "5", closedAt: "2026-01-02T05:00:00.000Z" })],
      [3, report({ generation: 3, consecutiveErrors: 1 })],
    ]);
    await tell(pod, 2, [[1, trade(1)]]);
    await tell(pod, 1, [
      [7, trade(1)],
      [8, report({ generation: 2, consecutiveErrors: 9 })],
    ]);
    const { openTrades, realised, errors } = await sessionOf(pod);
    expect([openTrades, realised, errors]).toEqual([[], "5", { generation: 3, count: 1 }]);
  });

  test("what an older pod has closed is closed, though the newer one gave it up as dust", async () => {
    const pod = journal.newPod();
    await sessionOf(pod);
    await sessionOf(pod);
    const dust = { pnl: "-1", closedAt: "2026-01-02T05:00:00.000Z", reason: "dust" };
    const stopped = { pnl: "-3", closedAt: "2026-01-02T05:00:01.000Z", reason: "stop" };
    await tell(pod, 2, [[1, trade(1, dust)]]);
    expect((await sessionOf(pod)).realised).toBe("-1");
    await tell(pod, 1, [[7, trade(1, stopped)]]);
    await tell(pod, 2, [[2, trade(1, dust)]]);
    await tell(pod, 2, [[3, trade(1)]]);
    const { openTrades, realised } = await sessionOf(pod);
    expect([openTrades, realised]).toEqual([[], "-3"]);
  });

  test("what was given up as dust is open again when a newer word says so", async () => {
    const pod = journal.newPod();
    await sessionOf(pod);
    await tell(pod, 1, [
      [1, trade(1, { pnl: "-1", closedAt: "2026-01-02T05:00:00.000Z", reason: "dust" })],
      [2, trade(1)],
    ]);
    const { openTrades, realised } = await sessionOf(pod);
    expect([openTrades.length, realised]).toEqual([1, "0"]);
  });

  test.for<[path: string, body: unknown]>([
    ["/v1/lease", {}],
    ["/v1/lease", { epoch: 0 }],
    ["/v1/lease/release", { epoch: "1" }],
    ["/v1/intents", { epoch: 1 }],
    ["/v1/records", { epoch: 1, records: [] }],
    ["/v1/records", { epoch: 1, records: [{ sequence: 1, body: { type: "gift" } }] }],
  ])("%s refuses a body that is none: %j", async ([path, body]) => {
    const pod = journal.newPod();
    await sessionOf(pod);
    expect(codeOf(await pod.post(path, body))).toBe("422 validation_failed");
  });

  test("no intent is taken that a halt concerns, and one after it is lifted", async () => {
    const pod = journal.newPod();
    const { epoch } = await sessionOf(pod);
    await lease(pod, epoch);
    const { symbol } = intent(1);
    await journal.halt([{ symbols: null }]);
    expect(codeOf(await append(pod, epoch, 1))).toBe("409 halted");
    await journal.halt([{ symbols: ["XRP/USDT:USDT", symbol] }]);
    expect(codeOf(await append(pod, epoch, 1))).toBe("409 halted");
    await journal.halt([{ symbols: ["XRP/USDT:USDT"] }]);
    expect(codeOf(await append(pod, epoch, 1))).toBe("200 ok");
    await journal.halt([]);
    expect(codeOf(await append(pod, epoch, 2))).toBe("200 ok");
  });

  test("under a halt too a pod hears first that it was replaced or has no lease, and an intent that is refused leaves nothing", async () => {
    const [old, young] = [journal.newPod(), journal.newPod()];
    await sessionOf(old);
    await lease(old, 1);
    await journal.halt([{ symbols: null }]);
    expect(await enterBeside(old, 1, ["30", "0"])).toBe("409 halted");
    await release(old, 1);
    expect(codeOf(await append(old, 1, 1))).toBe("409 no_lease");
    expect(codeOf(await append(young, 1, 1))).toBe("409 unknown_session");
    const { epoch, openIntents } = await sessionOf(young);
    expect(openIntents).toEqual([]);
    expect(codeOf(await append(old, 1, 1))).toBe("409 stale_epoch");
    await lease(young, epoch);
    await journal.halt([]);
    const commitment = { margin: "50", committed: "0", balanceAgeMs: 100, limit: "50" };
    const beside = { epoch, intent: { ...intent(2), commitment } };
    expect(codeOf(await young.post("/v1/intents", beside))).toBe("200 ok");
  });

  describe("of an account with two bots", () => {
    let [one, other]: Pod[] = [];
    beforeEach(async () => {
      [one, other] = [journal.newPod(), (await journal.twin()).newPod()];
      for (const pod of [one, other]) {
        await sessionOf(pod);
        await lease(pod, 1);
      }
    });
    const bots = (): [Pod, Pod] => {
      if (one === undefined || other === undefined) throw new Error("no bots");
      return [one, other];
    };

    test.each([
      ["filled", order(1, "filled")],
      ["refused", order(1, "refused")],
      ["cancelled", order(1, "cancelled")],
      ["told of as a trade", trade(1)],
    ])("an entry counts until a balance was asked for since it was %s", async (_name, end) => {
      const [mine, theirs] = bots();
      expect(await enterBeside(mine, 1, ["30", "0"])).toBe("200 ok");
      expect(await enterBeside(mine, 1, ["30", "10"])).toBe("200 ok"); // the very same
      expect(await enterBeside(theirs, 2, ["30", "0"])).toBe("409 account_committed");
      expect(await enterBeside(theirs, 2, ["20", "0"])).toBe("200 ok");
      await tell(mine, 1, [[1, end]]);
      expect(await enterBeside(theirs, 3, ["0.01", "0"])).toBe("409 account_committed");
      await journal.pass(3_000);
      expect(await enterBeside(theirs, 3, ["0.01", "30"])).toBe("409 account_committed");
      expect(await enterBeside(theirs, 3, ["0.01", "29.99"])).toBe("200 ok");
    });

    test.each([false, true])(
      "an entry counts for ten minutes, accepted: %j",
      async (isAccepted) => {
        const [mine, theirs] = bots();
        await enterBeside(mine, 1, ["30", "0"]);
        if (isAccepted) await tell(mine, 1, [[1, order(1, "accepted")]]);
        await journal.pass(599_000);
        await lease(theirs, 1);
        expect(await enterBeside(theirs, 2, ["30", "0"])).toBe("409 account_committed");
        await journal.pass(2_000);
        expect(await enterBeside(theirs, 2, ["30", "0"])).toBe("200 ok");
      },
    );

    test("what is refused for another reason commits nothing", async () => {
      const [mine, theirs] = bots();
      await release(mine, 1);
      expect(await enterBeside(mine, 1, ["30", "0"])).toBe("409 no_lease");
      expect(await enterBeside(theirs, 2, ["30", "0"])).toBe("200 ok");
    });
  });
});

test("what a batch has told is announced, also when what became of requests in it could not be stored", async () => {
  const { superuser } = database;
  const botId = await createBot(database);
  const pod = app.pod(botId, "pod", 1);
  await sessionOf(pod);
  const batch = {
    epoch: 1,
    records: [report(), requestResult(1)].map((body, index) => ({ sequence: index + 1, body })),
  };
  const results = "execute on function append_request_results";
  await superuser.query(`revoke ${results} from tradingbots_journal`);
  const failed = await pod.post("/v1/records", batch);
  await superuser.query(`grant ${results} to tradingbots_journal`);
  expect(failed.status).toBe(500);
  expect(reported.filter((each) => each === botId)).toHaveLength(1);
  expect((await pod.post("/v1/records", batch)).status).toBe(200);
  expect((await sessionOf(pod)).requests).toMatchObject([{ status: "done" }]);
});
