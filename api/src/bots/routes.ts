import { DnsLabel } from "@tradingbots/crds";
import type { FastifyReply } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { READS_AT_ONCE } from "../accounts/routes.ts";
import { callerOf } from "../auth/authenticate.ts";
import { scoped } from "../auth/scopes.ts";
import { mapLimited } from "../concurrency.ts";
import { asTenant } from "../database.ts";
import { IdParams } from "../fields.ts";
import { newId } from "../id.ts";
import { IdempotencyHeaders, once } from "../idempotency.ts";
import { loadOwned, pageOfOwned } from "../owned-objects.ts";
import { cutPage, decodeCursor, pageOf, PageQuery } from "../page.ts";
import { FAILURE } from "../problem.ts";
import { findBot, patchBot, retireBot, setState } from "./change-bot.ts";
import { type BotDeps, createBot } from "./create-bot.ts";
import { BotPatch, NewBot } from "./settings.ts";
import { botView, BotView, etagOf } from "./view.ts";

const tags = ["bots"];

const SCHEMAS = {
  create: {
    tags,
    ...scoped("trade"),
    summary: "Create a bot",
    headers: IdempotencyHeaders,
    body: NewBot,
    response: { 201: BotView, ...FAILURE },
  },
  list: {
    tags,
    ...scoped("read"),
    summary: "My bots",
    querystring: PageQuery,
    response: { 200: pageOf(BotView), ...FAILURE },
  },
  read: {
    tags,
    ...scoped("read"),
    summary: "One bot",
    params: IdParams,
    response: { 200: BotView, ...FAILURE },
  },
  patch: {
    tags,
    ...scoped("trade"),
    summary: "Change a bot (JSON merge patch)",
    params: IdParams,
    headers: z.object({
      "if-match": z
        .string()
        .max(512)
        .optional()
        .describe("An ETag: refuse when the bot has changed."),
    }),
    body: BotPatch,
    response: { 200: BotView, ...FAILURE },
  },
  retire: {
    tags,
    ...scoped("trade"),
    summary: "Close the bot's positions, then remove it",
    params: IdParams,
    response: { 202: BotView, ...FAILURE },
  },
} as const;

const CreatedBot = z.object({ view: BotView, etag: z.string() });

const ACTIONS = { start: "Running", pause: "Paused", stop: "Stopped" } as const;

/** /api/bots */
export function botRoutes(deps: BotDeps): FastifyPluginAsyncZod {
  return async (app) => {
    app.post("", { schema: SCHEMAS.create }, async (request, reply) => {
      const caller = callerOf(request);
      const { body, headers } = request;
      const key = headers["idempotency-key"];
      const intended = {
        userId: caller.userId,
        key,
        path: "POST /api/bots",
        body,
        newId: newId("bot"),
        answer: CreatedBot,
      };
      const { view, etag } = await once(deps.pool, intended, async (id) => {
        const bot = await createBot(deps, caller, { ...body, id });
        return { view: botView(bot), etag: etagOf(bot) };
      });
      return reply.code(201).header("etag", etag).send(view);
    });

    app.get("", { schema: SCHEMAS.list }, async (request) =>
      listBots(deps, callerOf(request).userId, request.query),
    );

    app.get("/:id", { schema: SCHEMAS.read }, async (request, reply) => {
      const bot = await findBot(deps, callerOf(request), request.params.id);
      return withEtag(reply, bot).send(botView(bot));
    });

    app.patch("/:id", { schema: SCHEMAS.patch }, async (request, reply) => {
      const change = {
        id: request.params.id,
        patch: request.body,
        ifMatch: request.headers["if-match"],
      };
      const bot = await patchBot(deps, callerOf(request), change);
      return withEtag(reply, bot).send(botView(bot));
    });

    app.delete("/:id", { schema: SCHEMAS.retire }, async (request, reply) => {
      const bot = await retireBot(deps, callerOf(request), request.params.id);
      return reply.code(202).send(botView(bot));
    });

    for (const action of ["start", "pause", "stop"] as const) {
      const schema = {
        tags,
        ...scoped("trade"),
        summary: `Make the bot ${ACTIONS[action]}`,
        params: IdParams,
        response: { 202: BotView, ...FAILURE },
      };
      app.post(`/:id/${action}`, { schema }, async (request, reply) => {
        const wanted = { id: request.params.id, state: ACTIONS[action] };
        const bot = await setState(deps, callerOf(request), wanted);
        return reply.code(202).send(botView(bot));
      });
    }
  };
}

function withEtag<Reply extends FastifyReply>(
  reply: Reply,
  bot: Parameters<typeof etagOf>[0],
): Reply {
  reply.header("etag", etagOf(bot));
  return reply;
}

/** Names come from the rows and each object is read by name: no replica keeps everybody's bots in memory. */
async function listBots({ pool, kube }: BotDeps, userId: string, query: PageQuery) {
  const after = query.cursor === undefined ? "" : decodeCursor(query.cursor, DnsLabel);
  const rows = await asTenant(pool, { userId }, (database) =>
    pageOfOwned(database, "bots", { userId, after, limit: query.limit }),
  );
  const { items, next } = cutPage(rows, query.limit, ({ id }) => id);
  const source = { pool, table: "bots", objects: kube.bots } as const;
  const bots = await mapLimited(items, READS_AT_ONCE, (row) => loadOwned(source, userId, row));
  return { items: bots.filter((bot) => bot !== undefined).map(botView), next };
}
