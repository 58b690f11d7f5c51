import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as fc from "fast-check";
import { z } from "zod";
import { buildApp } from "../../src/app.ts";
import { createTokens } from "../../src/auth/tokens.ts";
import { createPool } from "../../src/database.ts";
import { nothingBehind } from "../../src/openapi/document.ts";
import { createSealer } from "../../src/sealer.ts";
import type { TestDatabase } from "../database.ts";
import { createFakeCredentialStore } from "../fake-credential-store.ts";
import { readDescription } from "./description.ts";
import { type Input, inputs } from "./inputs.ts";
import { createKubeInMemory } from "./kube-in-memory.ts";

/** It never ends. */
const LEFT_OUT = new Set(["GET /api/events"]);
/** Honest answers with a status of 5xx: nothing has been reported yet, nobody sends mails here. */
const NOT_YET = new Set(["balance_pending", "mail_unavailable"]);
/** Longer than a run lasts: with older log-ins most changes would be refused before they are looked at. */
const STEP_UP_SECONDS = 86_400;
/** How often memory is looked at. */
const LOOKS = 4;

export interface Fuzzed {
  /** Requests that are as described, and those that are not. */
  readonly good: number;
  readonly bad: number;
  /** Between the first quarter and the end, after a collection. */
  readonly heapGrowthBytes: number;
}

/**
 * Sends so many batches of requests, made from the description, most of them wrong in one place. The database is real; what only makes
 * requests slow (an API server, bcrypt) is not.
 * @throws Error with the first batch that has an answer of 5xx, or one that is not as described
 */
export async function fuzz(database: TestDatabase, batches: number): Promise<Fuzzed> {
  const api = await startApi(database);
  try {
    const { routes, components, faultOf, isGood } = readDescription(api.app.swagger());
    const asked = routes.filter(({ method, path }) => !LEFT_OUT.has(`${method} ${path}`));
    const heaps: number[] = [];
    let [ran, good, bad] = [0, 0, 0];
    await fc.assert(
      fc.asyncProperty(inputs(asked, components), async (batch) => {
        const found = await Promise.all(batch.map((input) => ask(api, input, faultOf)));
        const faults = found.filter((fault) => fault !== undefined);
        if (faults.length > 0) throw new Error(faults.join("\n"));
        ran += 1;
        const asDescribed = batch.filter(({ route, sent }) => isGood(route, sent)).length;
        good += asDescribed;
        bad += batch.length - asDescribed;
        if (ran % Math.floor(batches / LOOKS) === 0) heaps.push(heapUsed());
      }),
      { numRuns: batches, endOnFailure: true },
    );
    return { good, bad, heapGrowthBytes: (heaps.at(-1) ?? 0) - (heaps[0] ?? 0) };
  } finally {
    await api.close();
  }
}

async function startApi(database: TestDatabase) {
  const pools = {
    pool: createPool({ url: database.apiUrl, connectionsMax: 8 }),
    authPool: createPool({ url: database.authUrl, connectionsMax: 4 }),
    adminPool: createPool({ url: database.adminUrl, connectionsMax: 4 }),
  };
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const tokens = await createTokens([privateKey], Date.now);
  const app = await buildApp({
    ...nothingBehind(),
    ...pools,
    audit: { push: () => {}, refuse: () => {} },
    kube: createKubeInMemory(),
    credentials: createFakeCredentialStore(),
    passwords: {
      hash: async () => "a hash",
      compare: async () => false,
      decoy: "nobody's hash",
      assertRoom: () => {},
      isAlive: () => true,
    },
    isBreached: () => false,
    tokens,
    revocations: { isFresh: () => true, hasEnded: () => false, tierOf: () => undefined },
    successorKeys: [randomBytes(32)],
    sealer: createSealer([randomBytes(32)]),
    appUrl: "https://app.example.com",
    stepUpSeconds: STEP_UP_SECONDS,
  });
  const callers = await Promise.all([null, "admin"].map((role) => signIn(role)));

  async function signIn(role: string | null): Promise<string> {
    const [userId, sessionId] = [randomUUID(), randomUUID()];
    const email = `${userId}@example.com`;
    await database.superuser.query(
      `insert into users (id, email, password_hash, namespace, role)
       values ($1, $2, 'x', 'tradingbots-00', $3)`,
      [userId, email, role],
    );
    await database.superuser.query(
      `insert into sessions (user_id, id, proof_hash, refresh_hash, address, user_agent, has_second_factor)
       values ($1, $2, sha256(''), sha256(''), '192.0.2.1', '', true)`,
      [userId, sessionId],
    );
    return tokens.issue({ userId, email, tier: "free", sessionId });
  }

  let asked = 0;
  return {
    app,
    /** In turns, whatever is asked: by its length, cursors of one list were all sent by the same. */
    nextCaller: () => callers[asked++ % callers.length] ?? "",
    close: async () => {
      await app.close();
      await Promise.all(Object.values(pools).map((pool) => pool.end()));
    },
  };
}

const Code = z.object({ code: z.string() });

async function ask(
  api: Awaited<ReturnType<typeof startApi>>,
  { route, url, headers, body }: Input,
  judge: ReturnType<typeof readDescription>["faultOf"],
): Promise<string | undefined> {
  const caller = api.nextCaller();
  const answer = await api.app.inject({
    method: z.enum(["GET", "POST", "PUT", "PATCH", "DELETE"]).parse(route.method),
    url,
    headers: { authorization: `Bearer ${caller}`, ...headers },
    ...(body === undefined ? {} : { payload: body }),
  });
  const { statusCode: status, body: text } = answer;
  const contentType = z.string().optional().parse(answer.headers["content-type"]);
  const fault = judge(route, { status, contentType, text });
  const isOurs = status >= 500 && !NOT_YET.has(Code.parse(JSON.parse(text)).code);
  if (fault === undefined && !isOurs) return undefined;
  return `${route.method} ${url} ${body ?? ""}: ${status} ${fault ?? ""} ${text.slice(0, 500)}`;
}

function heapUsed(): number {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect();
  return process.memoryUsage().heapUsed;
}
