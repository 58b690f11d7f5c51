import { generateKeyPairSync, sign } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import type { TestDatabase } from "../../../api/test/database.ts";
import { startProgram } from "./server-process.ts";

const NAMESPACE = "tradingbots-00";
const ISSUER = "https://kubernetes.default.svc.cluster.local";

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const HEADER = { alg: "ES256", kid: "bench" };

/** A bot of its user, with a session at the journal. */
export interface BenchBot {
  readonly id: string;
  readonly userId: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly epoch: number;
  /** Of the last record that it told. */
  sequence: number;
}

/** The journal as a process of its own. */
export async function startJournal(database: TestDatabase, directory: string) {
  const settings = {
    journalUrl: database.journalUrl,
    issuer: ISSUER,
    jwks: { keys: [{ ...publicKey.export({ format: "jwk" }), ...HEADER }] },
  };
  const log = join(directory, "journal.log");
  const { told, pid, stop } = await startProgram(
    "journal-program.ts",
    JSON.stringify(settings),
    log,
  );
  return { pid, stop, ...z.object({ port: z.int() }).parse(told) };
}

/** Paper bots, `perUser` of each of `users` users. */
export async function createBots(
  { superuser }: TestDatabase,
  { users, perUser }: { readonly users: number; readonly perUser: number },
): Promise<readonly { readonly id: string; readonly userId: string }[]> {
  const { rows } = await superuser.query<{ id: string; userId: string }>(
    `with owners as (
       insert into users (id, email, password_hash, namespace)
       select gen_random_uuid(), 'bench-' || gen_random_uuid() || '@example.com', 'x', $3
         from generate_series(1, $1::int) returning id)
     insert into bots (user_id, id, namespace)
     select id, 'bot-' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 20), $3
       from owners, generate_series(1, $2::int)
     returning id, user_id as "userId"`,
    [users, perUser, NAMESPACE],
  );
  return rows;
}

/** Opens the bot's session. */
export async function openSession(
  port: number,
  { id, userId }: { readonly id: string; readonly userId: string },
): Promise<BenchBot> {
  const serviceAccount = `paper-${id}`;
  const issuedAt = Math.floor(Date.now() / 1_000);
  const token = signed({
    iss: ISSUER,
    aud: ["journal"],
    sub: `system:serviceaccount:${NAMESPACE}:${serviceAccount}`,
    iat: issuedAt,
    exp: issuedAt + 3_600,
    "kubernetes.io": {
      namespace: NAMESPACE,
      serviceaccount: { name: serviceAccount, uid: "1" },
      pod: { name: id, uid: `pod-of-${id}` },
    },
  });
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const url = `http://127.0.0.1:${port}/v1/session`;
  const answer = await fetch(url, { method: "POST", headers, body: "{}" });
  const { epoch } = z.object({ epoch: z.int() }).parse(await answer.json());
  return { id, userId, headers, epoch, sequence: 0 };
}

/** As the cluster would sign it (RFC 7515 with ES256). */
function signed(claims: object): string {
  const parts = [HEADER, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString("base64url"),
  );
  const signature = sign("sha256", Buffer.from(parts.join(".")), {
    key: privateKey,
    dsaEncoding: "ieee-p1363",
  });
  return [...parts, signature.toString("base64url")].join(".");
}
