import { randomBytes } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { createPool, asTenant } from "../src/database.ts";
import { createMailer } from "../src/mail/mailer.ts";
import { type Message, MessageRefused } from "../src/mail/message.ts";
import { type MailFailure, sendMails } from "../src/mail/sender.ts";
import { deliverBySmtp } from "../src/mail/smtp.ts";
import { deliverByWebhook } from "../src/mail/webhook.ts";
import { createSealer } from "../src/sealer.ts";
import { startDatabase, type TestDatabase } from "./database.ts";
import { type MailSink, startMailSink } from "./mail-sink.ts";

const ANN = { userId: "00000000-0000-4000-8000-00000000000a", email: "ann@example.com" };
const LETTER = { subject: "Grüße", text: "a secret link\n" };
const MESSAGE = { id: "00000000-0000-4000-8000-00000000000b", to: ANN.email, ...LETTER };

let database: TestDatabase;
let pool: ReturnType<typeof createPool>;
let sink: MailSink;
const sealer = createSealer([randomBytes(32)]);
const mailer = createMailer({ sealer, appUrl: "https://app.example.com" });
const senders: { stop: () => Promise<void> }[] = [];

beforeAll(async () => {
  [database, sink] = await Promise.all([startDatabase(), startMailSink()]);
  pool = createPool({ url: database.authUrl, connectionsMax: 4 });
  await database.superuser.query(
    `insert into users (id, email, password_hash, namespace) values ('${ANN.userId}', '${ANN.email}', 'x', 'n')`,
  );
});
afterAll(async () => {
  await pool.end();
  await Promise.all([database.stop(), sink.stop()]);
});
beforeEach(async () => {
  await database.superuser.query("delete from mails");
});
afterEach(async () => {
  sink.refuseWith(undefined);
  sink.mails.length = 0;
  await Promise.all(senders.splice(0).map((sender) => sender.stop()));
});

const queue = (letter: Parameters<typeof mailer.queue>[2] = LETTER) =>
  asTenant(pool, ANN, (db) => mailer.queue(db, ANN, letter));
const bySmtp = () => deliverBySmtp({ url: sink.url, from: "Trading bots <noreply@example.com>" });

function start(deliver: (message: Message) => Promise<void> = bySmtp()) {
  const failures: MailFailure[] = [];
  senders.push(sendMails({ database: pool, sealer, deliver, onFailure: (f) => failures.push(f) }));
  return failures;
}

async function waiting() {
  const { rows } = await database.superuser.query<{ attempts: number; wait: number }>(
    "select attempts, extract(epoch from due_at - now())::float8 as wait from mails",
  );
  return rows;
}
const untilEmpty = () => expect.poll(waiting, { timeout: 20_000, interval: 20 }).toEqual([]);

describe("the outbox", () => {
  test("a mail lies in it sealed, arrives, and leaves nothing behind", async () => {
    await queue();
    const { rows } = await database.superuser.query("select m::text from mails m");
    expect(JSON.stringify(rows)).not.toContain(Buffer.from("secret link").toString("hex"));
    start();
    const { source } = await sink.mailTo(ANN.email, "a secret link");
    expect(source).toMatch(/^From: Trading bots <noreply@example.com>$/m);
    expect(source).toMatch(/^Auto-Submitted: auto-generated$/m);
    await untilEmpty();
  });

  test("a mail of a transaction that is rolled back never leaves", async () => {
    const failed = asTenant(pool, ANN, async (db) => {
      await mailer.queue(db, ANN, LETTER);
      throw new Error("rolled back");
    });
    await expect(failed).rejects.toThrow("rolled back");
    expect(await waiting()).toEqual([]);
  });

  test("what nobody finished sending is sent by another, after the minute that it had", async () => {
    await queue();
    await database.superuser.query(
      "update mails set attempts = 1, due_at = now() + interval '1 minute'",
    );
    start();
    await queue({ subject: "Second", text: "another\n" });
    await sink.mailTo(ANN.email, "another");
    expect(sink.mails).toHaveLength(1);
    await database.superuser.query("update mails set due_at = now()");
    await sink.mailTo(ANN.email, "a secret link");
  });

  test("two processes send each mail once", async () => {
    for (let count = 0; count < 20; count++)
      await queue({ subject: "s", text: `mail ${count};\n` });
    const sent: string[] = [];
    const deliver = async ({ id }: Message) => void sent.push(id);
    start(deliver);
    start(deliver);
    await untilEmpty();
    expect(new Set(sent).size).toBe(20);
    expect(sent).toHaveLength(20);
  });

  test("a server that is busy is asked again later", async () => {
    await queue();
    sink.refuseWith(451);
    const failures = start();
    await vi.waitUntil(() => failures[0]);
    expect(failures[0]).toMatchObject({ mail: { attempts: 1, isGivenUp: false } });
    await expect.poll(async () => (await waiting())[0]?.wait).toBeLessThanOrEqual(5);
    sink.refuseWith(undefined);
    await database.superuser.query("update mails set due_at = now()");
    await sink.mailTo(ANN.email, "a secret link");
    await untilEmpty();
  });

  test.for<[name: string, prepare: () => Promise<unknown>]>([
    ["the server refuses it for good", async () => sink.refuseWith(550)],
    [
      "it has been tried often enough",
      async () => {
        sink.refuseWith(451);
        await database.superuser.query("update mails set attempts = 9");
      },
    ],
    [
      "it comes too late",
      () => database.superuser.query("update mails set expires_at = now() - interval '1 second'"),
    ],
  ])("it is given up when %s", async ([, prepare]) => {
    await queue();
    await prepare();
    const failures = start();
    await untilEmpty();
    expect(failures).toMatchObject([{ mail: { isGivenUp: true } }]);
    expect(sink.mails).toEqual([]);
    const told = failures.map(({ error }) => String(error)).join();
    expect(told).not.toMatch(/secret|ann@/);
  });
});

describe("a webhook", () => {
  test("gets the message as JSON, and says what becomes of it", async () => {
    const requests: { headers: IncomingHttpHeaders; body: unknown }[] = [];
    let status = 200;
    const server = createServer((request, response) => {
      void (async () => {
        requests.push({ headers: request.headers, body: JSON.parse(await text(request)) });
        response.writeHead(status).end();
      })();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = z.object({ port: z.number() }).parse(server.address());
    const deliver = deliverByWebhook(`http://us%40er:pass@127.0.0.1:${port}/messages`);

    await deliver(MESSAGE);
    expect(requests).toMatchObject([
      {
        headers: {
          authorization: `Basic ${Buffer.from("us@er:pass").toString("base64")}`,
          "idempotency-key": MESSAGE.id,
        },
        body: MESSAGE,
      },
    ]);
    status = 422;
    await expect(deliver(MESSAGE)).rejects.toThrow(MessageRefused);
    for (status of [401, 429, 503]) {
      const failure = await deliver(MESSAGE).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(Error);
      expect(failure).not.toBeInstanceOf(MessageRefused);
    }
    server.close();
    server.closeAllConnections();
    await expect(deliver(MESSAGE)).rejects.toThrow("fetch failed");
  });
});

test.each([
  ["a server without STARTTLS", false, /ETLS/],
  ["a server whose certificate nobody vouches for", true, /ETLS|ESOCKET/],
])("%s gets nothing unless the URL says so", async (_name, offersTls, code) => {
  const other = await startMailSink({ offersTls });
  const url = other.url.split("?", 1)[0] ?? "";
  await expect(deliverBySmtp({ url, from: "a@example.com" })(MESSAGE)).rejects.toThrow(code);
  expect(other.mails).toEqual([]);
  await other.stop();
});
