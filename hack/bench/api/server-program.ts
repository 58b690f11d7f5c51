import { createPrivateKey } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { z } from "zod";
import { buildApp } from "../../../api/src/app.ts";
import { createAuditQueue } from "../../../api/src/audit/queue.ts";
import { auditAttempts, auditEnds } from "../../../api/src/audit/requests.ts";
import { createApiTokens } from "../../../api/src/auth/api-tokens.ts";
import { authenticate } from "../../../api/src/auth/authenticate.ts";
import { createPasswords } from "../../../api/src/auth/passwords.ts";
import { createRevocations } from "../../../api/src/auth/revocations.ts";
import { createTokens } from "../../../api/src/auth/tokens.ts";
import { connectionOptions, createPool } from "../../../api/src/database.ts";
import { IdParams } from "../../../api/src/fields.ts";
import { createLiveHub } from "../../../api/src/live/live-hub.ts";
import { createMetrics, observeRequests } from "../../../api/src/metrics.ts";
import { nothingBehind } from "../../../api/src/openapi/document.ts";
import { PageQuery } from "../../../api/src/page.ts";
import { FAILURE } from "../../../api/src/problem.ts";
import { createRateLimiter } from "../../../api/src/rate-limit.ts";
import { BACKLOG, createServer, type Server } from "../../../api/src/server.ts";
import { weightAfterCollection } from "./weight.ts";

/**
 * What is measured, in a process of its own: a bare server; the API's server with one route that asks for a token and its twin that
 * does not; and the API itself, whose log-ins run in the same process. Tells its parent the ports.
 */
const Settings = z.object({
  apiUrl: z.string(),
  authUrl: z.string(),
  /** PEM, so that the parent can make tokens. */
  privateKey: z.string(),
  /** Of the API, so that one that is started again is found; 0 for any. */
  apiPort: z.int(),
  /** Which of the twins is made first, and so met first by V8's compiler. */
  first: z.enum(["open", "secured"]),
});
/** As in the API's main.ts. */
const CONNECTIONS_MAX = 10;
const AUTH_CONNECTIONS_MAX = 4;
const BCRYPT_COST = 12;

const settings = Settings.parse(JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")));

const Order = z.object({
  id: z.string(),
  symbol: z.string(),
  side: z.enum(["buy", "sell"]),
  quantity: z.string(),
  price: z.string().nullable(),
  at: z.string(),
  fills: z.array(z.object({ price: z.string(), quantity: z.string() })),
});
const ORDER: z.infer<typeof Order> = {
  id: "order-1",
  symbol: "BTC/USDT:USDT",
  side: "buy",
  quantity: "0.010",
  price: "60000.10",
  at: "2026-01-02T03:04:05.678Z",
  fills: [
    { price: "60000.10", quantity: "0.004" },
    { price: "60000.20", quantity: "0.006" },
  ],
};

function orderRoute(server: Server, prefix: string): void {
  const schema = { params: IdParams, querystring: PageQuery, response: { 200: Order, ...FAILURE } };
  server.get(`${prefix}/orders/:id`, { schema }, async ({ params }) => ({
    ...ORDER,
    id: params.id,
  }));
}

async function startBare(): Promise<number> {
  const text = JSON.stringify(ORDER);
  const server = createHttpServer(({ headers }, response) => {
    response.writeHead(headers.authorization === undefined ? 401 : 200, {
      "content-type": "application/json; charset=utf-8",
      "content-length": Buffer.byteLength(text),
    });
    response.end(text);
  });
  return portOf(server);
}

async function portOf(server: HttpServer, port = 0): Promise<number> {
  await once(server.listen({ port, host: "127.0.0.1", backlog: BACKLOG }), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not a TCP server");
  return address.port;
}

const pool = createPool({ url: settings.apiUrl, connectionsMax: CONNECTIONS_MAX });
const authPool = createPool({ url: settings.authUrl, connectionsMax: AUTH_CONNECTIONS_MAX });
const passwords = createPasswords({ cost: BCRYPT_COST });
const tokens = await createTokens([createPrivateKey(settings.privateKey)], Date.now);
const revocations = createRevocations({
  database: createPool({ url: settings.authUrl, connectionsMax: 1 }),
  clock: () => performance.now(),
  onError: (error) => console.error(error),
});
await revocations.start();
// Counted as ever, and never reached.
const requestsPerMinute = { free: 1e9, pro: 1e9, enterprise: 1e9, address: 1e9 };

async function openTwin(app: Server): Promise<void> {
  orderRoute(app, "/open");
}

async function startRoutes(): Promise<number> {
  const server = createServer({ log: { level: "info" }, bodyBytesMax: 1_024 * 1_024 });
  observeRequests(server, createMetrics());
  auditEnds(server, nothingBehind().audit);
  const limiter = createRateLimiter(Date.now);
  const apiTokens = createApiTokens({ authPool, now: Date.now });
  const secured = async (app: Server) => {
    app.addHook(
      "onRequest",
      authenticate({ tokens, apiTokens, revocations, limiter, requestsPerMinute }),
    );
    app.addHook("preHandler", auditAttempts(pool));
    orderRoute(app, "/secured");
  };
  const twins = settings.first === "open" ? [openTwin, secured] : [secured, openTwin];
  for (const twin of twins) await server.register(twin);
  await server.ready();
  return portOf(server.server);
}

async function startApi(): Promise<number> {
  const app = await buildApp({
    ...nothingBehind(),
    audit: createAuditQueue({ database: pool, now: Date.now }),
    pool,
    authPool,
    passwords,
    tokens,
    revocations,
    live: createLiveHub({
      pool,
      direct: connectionOptions({ url: settings.apiUrl }),
      revocations,
      clock: () => performance.now(),
      onError: (error) => console.error(error),
    }),
    requestsPerMinute,
    log: { level: "info" },
    trustedProxies: ["127.0.0.1"], // every log-in comes from another address
  });
  await app.ready();
  return portOf(app.server, settings.apiPort);
}

process.send?.({ bare: await startBare(), routes: await startRoutes(), api: await startApi() });
process.on("disconnect", () => process.exit());
// What is left after a collection is what is held: asked for by whoever weighs connections.
process.on("message", () => {
  process.send?.(weightAfterCollection());
});
