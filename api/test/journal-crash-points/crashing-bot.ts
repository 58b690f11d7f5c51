import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { type ClientRequest, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { RecordBody } from "@tradingbots/crds";
import type { Pool } from "pg";
import {
  dayBaseline,
  equity,
  event,
  fill,
  funding,
  intent,
  order,
  report,
  requestResult,
  trade,
} from "../journal.ts";
import type { JournalProcess } from "./journal-process.ts";

const NAMESPACE = "tradingbots-00";
const ENTRY = 1;
const CLOSED = { exitPrice: "61000", pnl: "9.5", closedAt: "2026-01-02T03:09:05.678Z" };

/** What a bot tells first, and then, with something of everything that there is to tell. */
const BATCHES: readonly (readonly RecordBody[])[] = [
  [trade(2), fill("execution-1", 2), event("first"), report()],
  [
    order(ENTRY, "filled"),
    fill("execution-2", ENTRY),
    funding("funding-1", 2),
    trade(ENTRY),
    trade(2, CLOSED),
    equity("1000"),
    event("second"),
    event("third"),
    dayBaseline("1000"),
    report({ state: "Paused", positions: [], halts: ["a-halt"] }),
    requestResult(3),
  ],
];
/** Sequence of the last record of each batch. */
export const LAST = { first: 4, second: 15 };

/** A bot of its own user, with an account, a session, a lease and an entry that is under way. */
export async function startBot(journal: JournalProcess, pool: Pool) {
  const [userId, bot] = [randomUUID(), `bot-${randomUUID()}`];
  const account = `acct-${bot}`;
  await pool.query(
    "insert into users (id, email, password_hash, namespace) values ($1, $2, 'x', $3)",
    [userId, `${bot}@example.com`, NAMESPACE],
  );
  await pool.query("insert into accounts (user_id, id, namespace) values ($1, $2, $3)", [
    userId,
    account,
    NAMESPACE,
  ]);
  await pool.query(
    "insert into bots (user_id, id, namespace, account_id) values ($1, $2, $3, $4)",
    [userId, bot, NAMESPACE, account],
  );
  const token = await journal.tokenOf({ bot, namespace: NAMESPACE, account });
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };

  async function ask(path: string, body: object): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${journal.port}/v1/${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    await answer.arrayBuffer();
    return answer.status;
  }

  const commitment = { margin: "10", committed: "0", balanceAgeMs: 100, limit: "50" };
  const opening = [
    await ask("session", {}),
    await ask("lease", { epoch: 1 }),
    await ask("intents", { epoch: 1, intent: { ...intent(ENTRY), commitment } }),
  ];
  if (opening.some((status) => status !== 200)) throw new Error(`no session: ${String(opening)}`);

  return {
    userId,
    bot,
    /** As a bot does: the same again and again until it is acknowledged. Answers what it heard. */
    tell: async (batch: keyof typeof LAST): Promise<readonly number[]> => {
      const heard: number[] = [];
      while (heard.at(-1) !== 200) {
        if (heard.length > 0) await sleep(PAUSE_MS);
        const status = await ask("records", batchOf(batch)).catch(() => NOBODY);
        if (![200, 503, NOBODY].includes(status)) throw new Error(`records: ${status}`);
        heard.push(status);
      }
      return heard;
    },
    /** Tells half of the second batch; gives back once the journal asks for the body. */
    tellHalf: () => tellHalf(journal.port, headers, JSON.stringify(batchOf("second"))),
  };
}
export type CrashingBot = Awaited<ReturnType<typeof startBot>>;

/** In place of a status: the connection ended without one. */
export const NOBODY = 0;
const PAUSE_MS = 20;

function batchOf(batch: keyof typeof LAST) {
  const [bodies = [], before] = batch === "first" ? [BATCHES[0], 0] : [BATCHES[1], LAST.first];
  return {
    epoch: 1,
    records: bodies.map((body, index) => ({ sequence: before + index + 1, body })),
  };
}

async function tellHalf(
  port: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<ClientRequest> {
  const asked = request({
    port,
    host: "127.0.0.1",
    method: "POST",
    path: "/v1/records",
    headers: { ...headers, "content-length": Buffer.byteLength(body), expect: "100-continue" },
  });
  asked.on("error", () => {}); // the journal is killed, as is the plan
  asked.flushHeaders();
  await once(asked, "continue");
  asked.write(body.slice(0, body.length / 2));
  return asked;
}
