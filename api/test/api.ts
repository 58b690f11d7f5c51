import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { createAuditQueue } from "../src/audit/queue.ts";
import { createPasswords } from "../src/auth/passwords.ts";
import { createRevocations } from "../src/auth/revocations.ts";
import { createTokens } from "../src/auth/tokens.ts";
import { buildApp } from "../src/app.ts";
import { connectionOptions, createPool } from "../src/database.ts";
import { ApiError } from "../src/errors.ts";
import { createKube, type CustomObjects, type Kube } from "../src/kube.ts";
import { createLiveHub } from "../src/live/live-hub.ts";
import { createMailer } from "../src/mail/mailer.ts";
import { sendMails } from "../src/mail/sender.ts";
import { deliverBySmtp } from "../src/mail/smtp.ts";
import { createRateLimiter } from "../src/rate-limit.ts";
import { createMetrics } from "../src/metrics.ts";
import { createSealer } from "../src/sealer.ts";
import { z } from "zod";
import { BUCKETS, startCluster, type TestCluster } from "./cluster.ts";
import { startDatabase, type TestDatabase } from "./database.ts";
import { createFakeCredentialStore } from "./fake-credential-store.ts";

/** Cheap on purpose; the real cost is measured in passwords.test.ts. */
const BCRYPT_COST = 4;
/** As in the API's main.ts. */
const POLL_LIMIT_MS = 500;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface Call {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Where the web app would be. */
export const APP_URL = "https://app.example.com";

interface ApiOptions {
  /** Of a mail server; without it mails cannot be sent. */
  readonly smtpUrl?: string;
  readonly stepUpSeconds?: number;
  readonly statementLimitMs?: number;
  /** 0, as without it: no limit. */
  readonly requestsPerMinutePerAddress?: number;
}

/** The API over a real Postgres and a real API server; Vault is the small fake. */
export async function startApi(options: ApiOptions = {}) {
  const [database, cluster] = await Promise.all([startDatabase(), startCluster()]);
  const keys = newServiceKeys();
  const app = await startApp({ database, cluster, keys }, options);
  return {
    ...app,
    database,
    cluster,
    /** Another process of the same installation: with the same keys, and pools, caches and a poll of its own. */
    startReplica: () => startApp({ database, cluster, keys }, options),
    stop: async () => {
      await app.close();
      await Promise.all([database.stop(), cluster.stop()]);
    },
  };
}
export type TestApi = Awaited<ReturnType<typeof startApi>>;

/** What all processes of an installation share by its Secrets. */
const newServiceKeys = () => ({
  jwt: generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey,
  service: randomBytes(32),
  successor: randomBytes(32),
});

interface Installation {
  readonly database: TestDatabase;
  readonly cluster: TestCluster;
  readonly keys: ReturnType<typeof newServiceKeys>;
}

async function startApp(
  { database, cluster, keys }: Installation,
  { smtpUrl, stepUpSeconds = 300, requestsPerMinutePerAddress = 0, ...limits }: ApiOptions,
) {
  const pool = createPool({ url: database.apiUrl, connectionsMax: 8, ...limits });
  const authPool = createPool({ url: database.authUrl, connectionsMax: 2, ...limits });
  const adminPool = createPool({ url: database.adminUrl, connectionsMax: 2 });
  const audit = createAuditQueue({ database: pool, now: Date.now });
  const passwords = createPasswords({ cost: BCRYPT_COST });
  const credentials = createFakeCredentialStore();
  const sealer = createSealer([keys.service]);
  const connection = { fault: "none" as Fault };
  const logs: string[] = [];
  const tokens = await createTokens([keys.jwt], Date.now);
  const pollPool = createPool({
    url: database.authUrl,
    connectionsMax: 1,
    statementLimitMs: POLL_LIMIT_MS,
  });
  const revocations = createRevocations({
    database: pollPool,
    clock: () => performance.now(),
    onError: (error) => void logs.push(`revocations: ${String(error)}\n`),
  });
  await revocations.start();
  const live = createLiveHub({
    pool,
    direct: connectionOptions({ url: database.apiUrl }),
    revocations,
    clock: () => performance.now(),
    onError: (error) => void logs.push(`live: ${String(error)}\n`),
  });
  const app = await buildApp({
    pool,
    authPool,
    adminPool,
    audit,
    kube: overConnection(createKube(cluster.client), connection),
    credentials,
    passwords,
    isBreached: (password) => password === "everybody uses it",
    tokens,
    revocations,
    successorKeys: [keys.successor],
    sealer,
    mailer: smtpUrl === undefined ? undefined : createMailer({ sealer, appUrl: APP_URL }),
    appUrl: APP_URL,
    stepUpSeconds,
    live,
    registry: createMetrics(),
    buckets: BUCKETS,
    limiter: createRateLimiter(Date.now),
    requestsPerMinute: {
      free: 100_000,
      pro: 200_000,
      enterprise: 0,
      address: requestsPerMinutePerAddress,
    },
    log: { level: "debug", stream: { write: (line) => void logs.push(line) } },
    now: Date.now,
  });
  const mails =
    smtpUrl === undefined
      ? undefined
      : sendMails({
          database: authPool,
          sealer,
          deliver: deliverBySmtp({ url: smtpUrl, from: "Trading bots <noreply@example.com>" }),
          onFailure: ({ error }) => void logs.push(`mails: ${String(error)}\n`),
        });
  return {
    app,
    sealer,
    authPool,
    audit,
    credentials,
    connection,
    logs,
    tokens,
    /** An access token that was good an hour ago. */
    tokenOfThePast: async (userId: string): Promise<string> => {
      const past = await createTokens([keys.jwt], () => Date.now() - 3_600_000);
      return past.issue({ userId, email: "x@example.com", tier: "free", sessionId: randomUUID() });
    },
    pool,
    close: async () => {
      revocations.stop();
      await app.close();
      await mails?.stop();
      passwords.close();
      await Promise.all([pool.end(), authPool.end(), adminPool.end(), pollPool.end()]);
    },
  };
}

/** What happens to creations on their way to the API server or back. */
type Fault = "none" | "request lost" | "answer lost" | "refused";

function overConnection(kube: Kube, connection: { readonly fault: Fault }): Kube {
  const lossy = <T>(objects: CustomObjects<T>): CustomObjects<T> => ({
    ...objects,
    create: async (object) => {
      if (connection.fault === "refused") throw new ApiError("validation_failed", "by a rule");
      if (connection.fault === "request lost") throw new ApiError("cluster_unavailable", "lost");
      const created = await objects.create(object);
      if (connection.fault === "answer lost") throw new ApiError("cluster_unavailable", "lost");
      return created;
    },
  });
  return { ...kube, bots: lossy(kube.bots), accounts: lossy(kube.accounts) };
}

const SignedUp = z.object({
  accessToken: z.string(),
  user: z.object({ id: z.string(), email: z.string() }),
});

/** Signs a user up and answers a function that makes requests as that user. */
export async function signUp({ app }: Pick<TestApi, "app">, name: string) {
  const answer = await app.inject({
    method: "POST",
    url: "/api/auth/register",
    payload: { email: `${name}@example.com`, password: "correct horse battery" },
  });
  const { accessToken, user } = SignedUp.parse(answer.json());
  return { ...user, accessToken, call: caller({ app }, accessToken) };
}
export type TestUser = Awaited<ReturnType<typeof signUp>>;

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** `call("GET /api/bots")` with an access token, or without. */
export function caller({ app }: Pick<TestApi, "app">, accessToken?: string) {
  return async (request: `${Method} ${string}`, { body, headers }: Call = {}): Promise<Answer> => {
    const [method = "", url = ""] = request.split(" ", 2);
    const answer = await app.inject({
      method: z.enum(["GET", "POST", "PUT", "PATCH", "DELETE"]).parse(method),
      url,
      headers: {
        ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
    });
    return { status: answer.statusCode, body: bodyOf(answer), headers: answer.headers };
  };
}

function bodyOf({ body, headers }: { readonly body: string; readonly headers: object }): unknown {
  if (body === "") return undefined;
  const isJson = "content-type" in headers && /json/.test(String(headers["content-type"]));
  return isJson ? JSON.parse(body) : body;
}
