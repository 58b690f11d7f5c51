import type { TradingHalt } from "@tradingbots/crds";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type KnownHalts, shareHalts } from "../src/journal/known-halts.ts";
import { startDatabase, type TestDatabase } from "./database.ts";
import { intent } from "./journal.ts";
import { createBot, type JournalApp, NO_HALTS, type Pod, startJournalApp } from "./journal-app.ts";

/** The user of `createBot`. */
const USER = "00000000-0000-4000-8000-00000000000a";

let database: TestDatabase;
let app: JournalApp;
let botId: string;
let pod: Pod;
/** All that the replica has heard of; undefined while the journal has not read them. */
let halts: KnownHalts | undefined;
beforeAll(async () => {
  database = await startDatabase();
  app = await startJournalApp(database, { halts: () => halts });
  botId = await createBot(database, "halted");
  pod = app.pod(botId, "pod-1", 1);
  await pod.post("/v1/session", {});
});
afterAll(async () => {
  await app.close();
  await database.stop();
});
beforeEach(async () => {
  await database.superuser.query("delete from known_halts");
  halts = NO_HALTS;
  await pod.post("/v1/lease", { epoch: 1 });
});

type Spec = TradingHalt["spec"];

interface HaltsAsOf {
  readonly asOf: number;
  readonly isHalted?: boolean;
}

function halt(spec: Partial<Spec>): void {
  const common = { action: "BlockEntries", reason: "why", lifted: false } as const;
  halts = { asOf: 1, halts: [{ name: "h", spec: { scope: { type: "all" }, ...common, ...spec } }] };
}

const enter = async (exchange: string | undefined = "bybit") =>
  (await pod.post("/v1/intents", { epoch: 1, exchange, intent: intent(1) })).body;

test.each<readonly [Spec["scope"]["type"], () => string | undefined]>([
  ["all", () => undefined],
  ["user", () => USER],
  ["bot", () => botId],
  ["exchange", () => "bybit"],
  ["symbol", () => intent(1).symbol],
])("a halt of its %s keeps an entry out", async (type, value) => {
  halt({ scope: { type, value: value() } });
  expect(await enter()).toMatchObject({ code: "halted", detail: "h: why" });
});

test.each<Spec["scope"]>([
  { type: "user", value: "00000000-0000-4000-8000-00000000000b" },
  { type: "bot", value: "another" },
  { type: "exchange", value: "kraken" },
  { type: "symbol", value: "XRP/USDT:USDT" },
])("a halt of another $type does not", async (scope) => {
  halt({ scope });
  expect(await enter()).toEqual({ accepted: true });
});

test("a bot that does not say where it trades is concerned by a halt of any exchange", async () => {
  halt({ scope: { type: "exchange", value: "kraken" } });
  const answer = await pod.post("/v1/intents", { epoch: 1, intent: intent(1) });
  expect(answer).toMatchObject({ status: 409, body: { code: "halted" } });
});

test.each<Partial<Spec>>([{ lifted: true }, { expiresAt: "2026-01-01T00:00:00Z" }])(
  "a halt with %j keeps nothing out",
  async (spec) => {
    halt(spec);
    expect(await enter()).toEqual({ accepted: true });
  },
);

/** What was said of halts, by this replica and by another that wrote it down, as of two versions: who has the later one is right. */
test.each<readonly [own: HaltsAsOf, shared: HaltsAsOf, answer: string]>([
  [{ asOf: 10 }, { asOf: 20, isHalted: true }, "halted"],
  [{ asOf: 20, isHalted: true }, { asOf: 10 }, "halted"],
  [{ asOf: 10, isHalted: true }, { asOf: 20 }, "accepted"],
  [{ asOf: 20 }, { asOf: 10, isHalted: true }, "accepted"],
  [{ asOf: 20, isHalted: true }, { asOf: 20, isHalted: true }, "halted"],
])("knowing %j itself, and %j from another replica: %s", async (own, shared, answer) => {
  halt({ scope: { type: "user", value: USER } });
  const known = ({ asOf, isHalted }: HaltsAsOf) => ({
    asOf,
    halts: isHalted === true ? (halts?.halts ?? []) : [],
  });
  await shareHalts(database.superuser, known(shared), "-1");
  halts = known(own);
  expect(await enter()).toMatchObject(
    answer === "halted" ? { code: "halted" } : { accepted: true },
  );
});

test("nothing is entered before halts were read", async () => {
  halts = undefined;
  expect(await enter()).toMatchObject({ code: "cluster_unavailable" });
});
