import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { AUDIT_COLUMNS, type AuditRow } from "../audit/chain.ts";
import type { Database } from "../database.ts";
import { cutPage, decodeCursor, pageOf, PageQuery, TimePosition } from "../page.ts";
import { FAILURE } from "../problem.ts";
import { forRole } from "./administrator.ts";

const AuditSearch = PageQuery.extend({
  userId: z.uuid().optional().describe("Whose things it is about."),
  actorId: z.uuid().optional().describe("Who did it."),
  action: z.string().min(1).max(200).optional().describe("All of it, or its beginning and `*`."),
  outcome: z.enum(["attempted", "done", "denied", "failed"]).optional(),
  from: z.iso.datetime().optional(),
  to: z.iso.datetime().optional().describe("Not included."),
});
type AuditSearch = z.infer<typeof AuditSearch>;

const EntryView = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    actorKind: z.string(),
    actorId: z.string().nullable(),
    userId: z.string().nullable(),
    action: z.string(),
    object: z.string().nullable(),
    outcome: z.string(),
    code: z.string().nullable(),
    network: z.string().nullable(),
    requestId: z.string().nullable(),
    details: z.record(z.string(), z.unknown()),
  })
  .meta({
    id: "AuditEntry",
    examples: [
      {
        id: "b7c8d9e0-2f3a-4b5c-9d6e-7f8091a2b3c4",
        at: "2026-01-01T12:00:00.000Z",
        actorKind: "user",
        actorId: "5d0c9c3e-5b5f-4a53-9f0c-1f4f3ba1d7a2",
        userId: "5d0c9c3e-5b5f-4a53-9f0c-1f4f3ba1d7a2",
        action: "PATCH /api/bots/:id",
        object: "bots/bot-4h7n2d9s5b1f8j3k6p0r",
        outcome: "done",
        code: null,
        network: "192.0.2.0/24",
        requestId: "9e107d9d-372b-4b68-8f1e-7a2c5d0b3f41",
        details: {},
      },
    ],
  });

const Details = z.record(z.string(), z.unknown());

/** GET /api/admin/audit: the newest first. */
export function adminAuditRoutes({
  adminPool,
}: {
  readonly adminPool: Database;
}): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "",
      {
        schema: {
          ...forRole("viewer"),
          tags: ["admin"],
          summary: "Who did what, and who was refused what",
          querystring: AuditSearch,
          response: { 200: pageOf(EntryView), ...FAILURE },
        },
      },
      async ({ query }) => {
        const rows = await search(adminPool, query);
        const { items, next } = cutPage(rows, query.limit, ({ at, id }) => [at.toISOString(), id]);
        return { items: items.map(entryView), next };
      },
    );
  };
}

async function search(adminPool: Database, query: AuditSearch): Promise<readonly AuditRow[]> {
  const { userId, actorId, action, outcome, from, to, cursor, limit } = query;
  const [at, id] = cursor === undefined ? [null, null] : decodeCursor(cursor, TimePosition);
  const isPrefix = action?.endsWith("*") ?? false;
  const { rows } = await adminPool.query<AuditRow>(
    `select ${AUDIT_COLUMNS} from audit a
      where ($1::uuid is null or a.user_id = $1) and ($2::uuid is null or a.actor_id = $2)
        and ($3::text is null or a.action = $3) and ($4::text is null or starts_with(a.action, $4))
        and ($5::text is null or a.outcome = $5)
        and ($6::timestamptz is null or a.at >= $6) and ($7::timestamptz is null or a.at < $7)
        and ($8::timestamptz is null or (a.at, a.id) < ($8, $9::uuid))
      order by a.at desc, a.id desc limit $10`,
    [
      userId ?? null,
      actorId ?? null,
      isPrefix ? null : (action ?? null),
      isPrefix ? (action?.slice(0, -1) ?? null) : null,
      outcome ?? null,
      dateOf(from),
      dateOf(to),
      at,
      id,
      limit + 1,
    ],
  );
  return rows;
}

const dateOf = (text: string | undefined) => (text === undefined ? null : new Date(text));

function entryView(row: AuditRow): z.infer<typeof EntryView> {
  const { actor_kind, actor_id, user_id, request_id, at, details, ...same } = row;
  return {
    ...same,
    at: at.toISOString(),
    actorKind: actor_kind,
    actorId: actor_id,
    userId: user_id,
    requestId: request_id,
    details: Details.parse(details),
  };
}
