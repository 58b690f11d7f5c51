import { SessionAnswer } from "@tradingbots/crds";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { startDatabase, type TestDatabase } from "./database.ts";
import { intent, order, trade } from "./journal.ts";
import { createBot, type JournalApp, type Pod, startJournalApp } from "./journal-app.ts";

let database: TestDatabase;
/** Two replicas. */
let apps: readonly [JournalApp, JournalApp];
beforeAll(async () => {
  database = await startDatabase();
  apps = [await startJournalApp(database), await startJournalApp(database)];
});
afterAll(async () => {
  await Promise.all(apps.map((app) => app.close()));
  await database.stop();
});

let accounts = 0;
let account: string;
beforeEach(() => {
  accounts += 1;
  account = `acct-${accounts}`;
});

/** The pod of a new bot of the account, with its lease. */
async function newBot(replica: 0 | 1, of: string | undefined = account): Promise<Pod> {
  const pod = apps[replica].pod(await createBot(database, of), `pod-${replica}`, 1);
  SessionAnswer.parse((await pod.post("/v1/session", {})).body);
  expect((await pod.post("/v1/lease", { epoch: 1 })).status).toBe(200);
  return pod;
}

const enter = (pod: Pod, id: number, margin: string) => enterBeside(pod, id, [margin, "0"]);

/** Of an account with 100 of which half may be committed: a balance asked for just now that shows `committed`. */
const enterBeside = async (pod: Pod, id: number, [margin, committed]: [string, string]) => {
  const commitment = { margin, committed, balanceAgeMs: 100, limit: "50" };
  const body = { epoch: 1, intent: { ...intent(id), commitment } };
  const answer = await pod.post("/v1/intents", body);
  return answer.status === 200 ? "taken" : Refused.parse(answer.body).code;
};
const Refused = z.object({ code: z.string() });

const tell = async (pod: Pod, id: number, status: Parameters<typeof order>[1]) =>
  pod.post("/v1/records", { epoch: 1, records: [{ sequence: id, body: order(id, status) }] });

/** So much time passes for what the account's bots have committed. */
const pass = async (seconds: number) =>
  database.superuser.query(
    `update commitments set appended_at = appended_at - make_interval(secs => $2),
                            settled_at = settled_at - make_interval(secs => $2)
      where account_id = $1`,
    [account, seconds],
  );

describe("two bots of one account", () => {
  test("that enter in the same moment commit no more than the account's share together", async () => {
    for (let round = 0; round < 20; round += 1) {
      account = `acct-${accounts}-${round}`;
      const [one, other] = await Promise.all([newBot(0), newBot(1)]);
      const answers = await Promise.all([enter(one, 1, "30"), enter(other, 2, "30")]);
      expect(answers.toSorted()).toEqual(["account_committed", "taken"]);
    }
  });

  test("enter together what fits", async () => {
    const [one, other] = await Promise.all([newBot(0), newBot(1)]);
    expect(await Promise.all([enter(one, 1, "25"), enter(other, 2, "25")])).toEqual([
      "taken",
      "taken",
    ]);
    expect(await enterBeside(other, 3, ["0.00000001", "25"])).toBe("account_committed");
  });

  test.each(["filled", "refused", "cancelled"] as const)(
    "count an order that is %s until a balance was asked for since",
    async (status) => {
      const [one, other] = await Promise.all([newBot(0), newBot(1)]);
      await enter(one, 1, "30");
      await tell(one, 1, status);
      expect(await enter(other, 2, "30")).toBe("account_committed");
      await pass(3);
      expect(await enterBeside(other, 2, ["30", "20"])).toBe("taken");
    },
  );

  test("count an order that filled from its trade's first word on", async () => {
    const [one, other] = await Promise.all([newBot(0), newBot(1)]);
    await enter(one, 1, "30");
    await one.post("/v1/records", { epoch: 1, records: [{ sequence: 1, body: trade(1) }] });
    expect(await enter(other, 2, "30")).toBe("account_committed");
    await pass(3);
    expect(await enterBeside(other, 2, ["30", "20"])).toBe("taken");
  });

  test.each([false, true])("count an order for ten minutes, accepted: %j", async (isAccepted) => {
    const [one, other] = await Promise.all([newBot(0), newBot(1)]);
    await enter(one, 1, "30");
    if (isAccepted) await tell(one, 1, "accepted"); // it may fill after any balance
    await pass(599);
    expect(await enter(other, 2, "30")).toBe("account_committed");
    await pass(2);
    expect(await enter(other, 2, "30")).toBe("taken");
  });
});

test("a bot's orders for other symbols count, the very same and other accounts' do not", async () => {
  const [one, other] = await Promise.all([newBot(0), newBot(1, `${account}-other`)]);
  expect(await enter(one, 1, "30")).toBe("taken");
  expect(await enter(one, 1, "30")).toBe("taken");
  expect(await enter(one, 2, "30")).toBe("account_committed");
  await tell(one, 1, "accepted");
  expect(await enter(one, 2, "30")).toBe("account_committed");
  expect(await enter(other, 3, "30")).toBe("taken");
});

test("an entry does not wait for old orders that are being settled", async () => {
  const [one, other] = await Promise.all([newBot(0), newBot(1)]);
  await enter(one, 1, "30");
  await pass(601);
  await database.superuser.query("begin");
  try {
    await database.superuser.query(
      "update commitments set settled_at = clock_timestamp() where account_id = $1",
      [account],
    );
    expect(await enter(other, 2, "30")).toBe("taken");
  } finally {
    await database.superuser.query("rollback");
  }
});

test("what is refused for another reason commits nothing", async () => {
  const [one, other] = await Promise.all([newBot(0), newBot(1)]);
  await one.post("/v1/lease/release", { epoch: 1 });
  expect(await enter(one, 1, "30")).toBe("no_lease");
  expect(await enter(other, 2, "30")).toBe("taken");
});
