import { Readable } from "node:stream";
import {
  DnsLabel,
  IntentAnswer,
  IntentRequest,
  LeaseAnswer,
  LeaseLeft,
  LeaseReleaseAnswer,
  LeaseRequest,
  RecordAnswer,
  RecordBatch,
  SessionAnswer,
} from "@tradingbots/crds";
import type { FastifyReply, FastifyRequest } from "fastify";
import { DatabaseError } from "pg";
import type { Registry } from "prom-client";
import { z } from "zod";
import type { Database } from "../database.ts";
import { ApiError, invalidField } from "../errors.ts";
import { healthRoutes } from "../health.ts";
import type { LogSettings } from "../logger.ts";
import { observeRequests } from "../metrics.ts";
import { onceOver } from "../once-over.ts";
import { createServer, type Server } from "../server.ts";
import type { Announcer } from "./announcer.ts";
import { assertRead, type Halts } from "./halts.ts";
import { appendIntent } from "./intents.ts";
import { renewLeasesTogether } from "./lease-renewals.ts";
import { grantLease, LEASE_TTL_MS, leaseLeftMs, releaseLease, renewLeases } from "./leases.ts";
import { appendRecords, appendRequestResults } from "./records.ts";
import type { ReportHub } from "./report-hub.ts";
import { openSession } from "./sessions.ts";
import { asSpeaker, podOf } from "./speaker.ts";
import type { TokenHolder, TokenVerifier } from "./tokens.ts";

/** 500 records, each a report with eight positions and long reasons. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

export interface JournalDeps {
  readonly pool: Database;
  readonly tokens: TokenVerifier;
  /** Whether the pod that a token is bound to exists, or did seconds ago. */
  readonly podExists: (token: string) => Promise<boolean>;
  /** What this replica knows of halts: what they concern is not entered, whether its bot has heard of them or not. */
  readonly halts: Halts;
  readonly hub: Pick<ReportHub, "subscribe" | "isListening" | "close">;
  /** Told of a bot with a new report. */
  readonly reported: Pick<Announcer, "announce">;
  /** Told of a user who has something new to hear. */
  readonly news: Pick<Announcer, "announce">;
  /** Who may read the reports of all bots: `system:serviceaccount:<namespace>:<name>`. */
  readonly operatorSubject: string;
  /** Requests that may wait for a connection or use one; more are told to come back. */
  readonly requestsMax: number;
  readonly registry: Registry;
  readonly log: LogSettings;
}

/** The journal without a port: what bots tell, kept, and their latest reports, streamed to the operator. */
export async function buildJournal(deps: JournalDeps): Promise<Server> {
  const server = createServer({ log: deps.log, bodyBytesMax: BODY_BYTES_MAX });
  observeRequests(server, deps.registry);
  server.addHook("preClose", deps.hub.close); // open streams end, or closing would wait for them
  healthRoutes(server, {
    database: { check: () => deps.pool.query("select 1"), isRequired: true },
    cluster: { check: () => deps.tokens.ping(), isRequired: true },
    halts: { check: async () => assertRead(deps.halts), isRequired: true },
    listening: { check: () => assertListening(deps.hub), isRequired: false },
  });
  server.get("/metrics", { logLevel: "warn" }, async (_, reply) =>
    reply.type(deps.registry.contentType).send(await deps.registry.metrics()),
  );
  void server.register(
    async (secured) => {
      secured.addHook("onRequest", authenticateHolder(deps.tokens));
      await secured.register(async (bots) => botRoutes(bots, deps));
      await secured.register(async (operator) => operatorRoutes(operator, deps));
    },
    { prefix: "/v1" },
  );
  await server.ready();
  return server;
}

async function assertListening(hub: Pick<ReportHub, "isListening">): Promise<void> {
  if (!hub.isListening()) throw new Error("no listening connection");
}

const holders = new WeakMap<FastifyRequest, TokenHolder>();

function holderOf(request: FastifyRequest): TokenHolder {
  const holder = holders.get(request);
  if (holder === undefined) throw new Error(`${request.url} is not behind authentication`);
  return holder;
}

function authenticateHolder(tokens: Pick<TokenVerifier, "verify">) {
  return async (request: FastifyRequest): Promise<void> => {
    holders.set(request, await tokens.verify(bearerOf(request)));
  };
}

function bearerOf({ headers }: FastifyRequest): string {
  const [scheme, token] = (headers.authorization ?? "").split(" ", 2);
  if (scheme?.toLowerCase() === "bearer" && token !== undefined && token !== "") return token;
  throw new ApiError("unauthenticated", "send Authorization: Bearer <token for the journal>");
}

function botRoutes(app: Server, deps: JournalDeps): void {
  const { pool, reported, news } = deps;
  limitConcurrency(app, deps.requestsMax);

  app.post("/session", { schema: { response: { 200: SessionAnswer } } }, (request) =>
    openSession(pool, holderOf(request), () => deps.podExists(bearerOf(request))),
  );

  leaseRoutes(app, pool);

  app.post(
    "/intents",
    { schema: { body: IntentRequest, response: { 200: IntentAnswer } } },
    async (request) => {
      await storable(() => appendIntent(deps, holderOf(request), request.body));
      return { accepted: true as const };
    },
  );

  app.post(
    "/records",
    { schema: { body: RecordBatch, response: { 200: RecordAnswer } } },
    async (request) => {
      const holder = holderOf(request);
      const { lastSequence, hasNewReport, toldUser } = await storable(() =>
        appendRecords(pool, holder, request.body),
      );
      // After each commit, because others must find it, and before what may fail: the batch that is sent again has no news then.
      if (hasNewReport) reported.announce(podOf(holder).name);
      if (toldUser !== undefined) news.announce(toldUser);
      const asker = await storable(() => appendRequestResults(pool, holder, request.body));
      if (asker !== undefined) news.announce(asker);
      return { lastSequence };
    },
  );
}

function leaseRoutes(app: Server, pool: Database): void {
  const renew = renewLeasesTogether((leases) => renewLeases(pool, leases));

  app.post(
    "/lease",
    { schema: { body: LeaseRequest, response: { 200: LeaseAnswer } } },
    async (request) => {
      const holder = holderOf(request);
      const { epoch } = request.body;
      const { pod } = holder;
      const renewed =
        pod !== undefined && (await renew({ botId: pod.name, podUid: pod.uid, epoch }));
      if (renewed) return { ttlMs: LEASE_TTL_MS };
      const held = await asSpeaker(pool, holder, (database, speaker) =>
        grantLease(database, speaker, epoch),
      );
      if (held !== undefined) {
        const message = `epoch ${held.epoch} of another pod holds the lease`;
        throw new ApiError("lease_held", message, { retryAfterMs: held.leftMs });
      }
      return { ttlMs: LEASE_TTL_MS };
    },
  );

  app.post(
    "/lease/release",
    { schema: { body: LeaseRequest, response: { 200: LeaseReleaseAnswer } } },
    async (request) => {
      await asSpeaker(pool, holderOf(request), (database, speaker) =>
        releaseLease(database, speaker, request.body.epoch),
      );
      return { released: true as const };
    },
  );
}

/** Requests wait for a database connection in memory; beyond a bound they had better wait at the bot. */
function limitConcurrency(app: Server, max: number): void {
  const underWay = new Set<FastifyRequest>();
  app.addHook("onRequest", async (request, reply) => {
    if (underWay.size >= max) {
      throw new ApiError("journal_saturated", "keep the records and send them again", {
        retryAfterSeconds: 1,
      });
    }
    underWay.add(request);
    if (!onceOver(reply, () => underWay.delete(request))) reply.hijack();
  });
}

const DATA_EXCEPTION = "22";

/** A value that the database cannot hold will not fit at the tenth attempt either: the bot must hear that. */
async function storable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DatabaseError && error.code?.startsWith(DATA_EXCEPTION) === true) {
      throw invalidField("body", error.message);
    }
    throw error;
  }
}

const LeaseParams = z.object({ botId: DnsLabel });

/** What concerns all bots. */
function operatorRoutes(app: Server, deps: JournalDeps): void {
  app.addHook("onRequest", async (request) => {
    if (holderOf(request).subject === deps.operatorSubject) return;
    throw new ApiError("unknown_bot", "only the operator asks about all bots");
  });
  app.get("/reports", async (_, reply) => streamReports(deps, reply));
  app.get(
    "/leases/:botId",
    { schema: { params: LeaseParams, response: { 200: LeaseLeft } } },
    async ({ params }) => ({ leftMs: await leaseLeftMs(deps.pool, params.botId) }),
  );
}

function streamReports(deps: JournalDeps, reply: FastifyReply) {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  const lines = deps.hub.subscribe(gone.signal);
  return reply.type("application/x-ndjson").send(Readable.from(lines, { objectMode: false }));
}
