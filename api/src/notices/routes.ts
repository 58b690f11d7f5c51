import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { callerOf } from "../auth/authenticate.ts";
import { scoped } from "../auth/scopes.ts";
import { asTenant, type Database } from "../database.ts";
import { cutPage, decodeCursor, pageOf, PageQuery, TimePosition } from "../page.ts";
import { FAILURE } from "../problem.ts";
import { pageOfNotices } from "./notice-store.ts";

const NoticeView = z
  .object({
    id: z.string(),
    kind: z.string().describe("subscription_ended, bot_paused; others may come."),
    message: z.string(),
    createdAt: z.iso.datetime(),
  })
  .meta({
    id: "Notice",
    examples: [
      {
        id: "a5d3e8f1-6c2b-4d79-9e04-3b8f1c7a2d65",
        kind: "subscription_ended",
        message: "The subscription has ended: the tier is free again.",
        createdAt: "2026-01-01T12:00:00.000Z",
      },
    ],
  });

/** GET /api/notices: what was done without the user. */
export function noticeRoutes({ pool }: { readonly pool: Database }): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "",
      {
        schema: {
          tags: ["notices"],
          ...scoped("read"),
          summary: "What I should know, the newest first",
          querystring: PageQuery,
          response: { 200: pageOf(NoticeView), ...FAILURE },
        },
      },
      async (request) => {
        const { userId } = callerOf(request);
        const { cursor, limit } = request.query;
        const before = cursor === undefined ? undefined : decodeCursor(cursor, TimePosition);
        const rows = await asTenant(pool, { userId }, (database) =>
          pageOfNotices(database, { userId, before, limit }),
        );
        const { items, next } = cutPage(rows, limit, ({ created_at, id }) => [
          created_at.toISOString(),
          id,
        ]);
        return {
          items: items.map(({ created_at, ...notice }) => ({
            ...notice,
            createdAt: created_at.toISOString(),
          })),
          next,
        };
      },
    );
  };
}
