import { expect, test } from "vitest";
import { createMetrics } from "../metrics.ts";
import { buildJournal } from "./app.ts";

const HOLDER = {
  subject: "system:serviceaccount:tradingbots-00:acct-a",
  namespace: "tradingbots-00",
  serviceAccount: "acct-a",
  pod: { name: "bot-a", uid: "1" },
  issuedAt: new Date(0),
};

function unused(): never {
  throw new Error("not part of this test");
}

test("more requests than can wait are sent back at once, and those under way are not disturbed", async () => {
  const frozen = Promise.withResolvers<never>();
  const journal = await buildJournal({
    pool: { connect: () => frozen.promise, query: unused },
    tokens: { verify: async () => HOLDER, ping: unused },
    podExists: unused,
    halts: unused,
    hub: { subscribe: unused, isListening: () => true, close: async () => {} },
    reported: { announce: unused },
    news: { announce: unused },
    operatorSubject: "system:serviceaccount:tradingbots:tradingbots-operator",
    requestsMax: 2,
    registry: createMetrics(),
    log: { level: "silent" },
  });
  const ask = async () =>
    journal.inject({ method: "POST", url: "/v1/session", headers: { authorization: "Bearer x" } });
  const waiting = [ask(), ask()];
  const third = await ask();
  expect(third.statusCode).toBe(503);
  expect(third.headers["retry-after"]).toBe("1");
  expect(third.json()).toMatchObject({ code: "journal_saturated" });
  frozen.reject(new Error("Connection terminated due to connection timeout"));
  const codes = (await Promise.all(waiting)).map((answer) => answer.json<{ code: string }>().code);
  expect(codes).toEqual(["database_unavailable", "database_unavailable"]);
  expect((await ask()).json()).toMatchObject({ code: "database_unavailable" }); // there is room again
  await journal.close();
});
