import { randomUUID } from "node:crypto";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { asTenant, type Database } from "../database.ts";
import { ApiError } from "../errors.ts";
import { DisplayName } from "../fields.ts";
import type { Mailer } from "../mail/mailer.ts";
import { listOf } from "../page.ts";
import { FAILURE } from "../problem.ts";
import { type ApiTokenRow, endApiToken, insertApiToken, listApiTokens } from "./api-token-store.ts";
import { hashOfApiToken, newApiToken } from "./api-tokens.ts";
import { callerOf } from "./authenticate.ts";
import { noticeLetter } from "./letters.ts";
import { noteDeed } from "./note.ts";
import { Scope } from "./scopes.ts";
import type { RequireStepUp } from "./step-up.ts";
import { lockUser } from "./user-store.ts";

const tags = ["auth"];
const TOKENS_MAX = 20;
const DAYS_MAX = 365;

const NewToken = z
  .strictObject({
    name: DisplayName,
    scopes: z
      .array(Scope)
      .min(1)
      .max(Scope.options.length)
      .refine((scopes) => new Set(scopes).size === scopes.length, "names a scope twice"),
    expiresInDays: z.int().min(1).max(DAYS_MAX).default(90),
  })
  .meta({ examples: [{ name: "Reports", scopes: ["read"], expiresInDays: 30 }] });
const TOKEN_EXAMPLE = {
  id: "e4b1c7d2-9a3f-4c65-8b0e-2f7d6a5c1b90",
  name: "Reports",
  scopes: ["read"],
  createdAt: "2026-01-01T12:00:00.000Z",
  expiresAt: "2026-01-31T12:00:00.000Z",
  lastUsedAt: null,
};
const ApiToken = z
  .object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(Scope),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime(),
    lastUsedAt: z.iso.datetime().nullable(),
  })
  .meta({ examples: [TOKEN_EXAMPLE] });
const MadeToken = ApiToken.extend({
  token: z.string().describe("Shown now and never again."),
}).meta({ examples: [{ ...TOKEN_EXAMPLE, token: "tbt_…" }] });

const SCHEMAS = {
  list: {
    tags,
    summary: "My API tokens",
    response: { 200: listOf(ApiToken), ...FAILURE },
  },
  make: {
    tags,
    summary: "Make an API token for a script",
    body: NewToken,
    response: { 201: MadeToken, ...FAILURE },
  },
  revoke: {
    tags,
    summary: "Revoke an API token",
    params: z.object({ id: z.uuid() }),
    response: { 204: z.null().describe("Nothing."), ...FAILURE },
  },
} as const;

interface ApiTokenRouteDeps {
  /** Of the auth role. */
  readonly authPool: Database;
  readonly mailer: Mailer | undefined;
  readonly requireStepUp: RequireStepUp;
}

/** /api/tokens */
export function apiTokenRoutes(deps: ApiTokenRouteDeps): FastifyPluginAsyncZod {
  const { authPool, mailer, requireStepUp } = deps;
  return async (app) => {
    app.get("", { schema: SCHEMAS.list }, async (request) => {
      const { userId } = callerOf(request);
      const rows = await asTenant(authPool, { userId }, (database) =>
        listApiTokens(database, userId),
      );
      return { items: rows.map(apiTokenView) };
    });

    app.post("", { schema: SCHEMAS.make }, async (request, reply) => {
      const caller = callerOf(request);
      const { userId } = caller;
      const token = newApiToken();
      const id = randomUUID();
      const made = { ...request.body, userId, id, hash: hashOfApiToken(token) };
      const row = await asTenant(authPool, caller, async (database) => {
        await lockUser(database, userId);
        await requireStepUp(caller, database);
        if ((await listApiTokens(database, userId)).length >= TOKENS_MAX) {
          throw new ApiError("too_many_tokens", `at most ${TOKENS_MAX}: revoke one first`);
        }
        const details = { scopes: made.scopes.join(" ") };
        await noteDeed(database, request, {
          userId,
          action: "token.create",
          object: `token/${id}`,
          details,
        });
        await mailer?.notify(database, caller, noticeLetter("apiToken", mailer));
        return insertApiToken(database, made);
      });
      return reply.code(201).send({ ...apiTokenView(row), token });
    });

    app.delete("/:id", { schema: SCHEMAS.revoke }, async (request, reply) => {
      const { userId } = callerOf(request);
      const { id } = request.params;
      await asTenant(authPool, { userId }, async (database) => {
        if (!(await endApiToken(database, { userId, id }))) {
          throw new ApiError("not_found", "there is no such API token");
        }
        await noteDeed(database, request, {
          userId,
          action: "token.revoke",
          object: `token/${id}`,
        });
      });
      return reply.code(204).send(null);
    });
  };
}

function apiTokenView({ created_at, expires_at, last_used_at, ...row }: ApiTokenRow) {
  return {
    ...row,
    scopes: [...row.scopes],
    createdAt: created_at.toISOString(),
    expiresAt: expires_at.toISOString(),
    lastUsedAt: last_used_at?.toISOString() ?? null,
  };
}
