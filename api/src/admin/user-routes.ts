import { DnsLabel } from "@tradingbots/crds";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { type AuditEntry, recordAudit } from "../audit/record.ts";
import { endSessions } from "../auth/session-store.ts";
import { Tier } from "../auth/user.ts";
import { botView, BotView } from "../bots/view.ts";
import { mapLimited } from "../concurrency.ts";
import { asTenant, type Database, type Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";
import type { Kube } from "../kube.ts";
import { cutPage, decodeCursor, pageOf, PageQuery } from "../page.ts";
import { FAILURE } from "../problem.ts";
import { type Administrator, administratorOf, forRole, holdRole, Role } from "./administrator.ts";
import {
  botsOfUser,
  disableUser,
  enableUser,
  isBeingErased,
  findKnownUser,
  type KnownUser,
  replaceSubscription,
  searchUsers,
} from "./user-store.ts";

const READS_AT_ONCE = 8;
const FIRST_ID = "00000000-0000-0000-0000-000000000000";
const tags = ["admin"];
const UserParams = z.object({ id: z.uuid() });

const UserView = z
  .object({
    id: z.string(),
    email: z.string(),
    tier: Tier,
    role: Role.nullable(),
    createdAt: z.iso.datetime(),
    disabledAt: z.iso.datetime().nullable(),
    subscriptionExpiresAt: z.iso.datetime().nullable(),
    accounts: z.int(),
    bots: z.int(),
  })
  .meta({
    id: "KnownUser",
    examples: [
      {
        id: "5d0c9c3e-5b5f-4a53-9f0c-1f4f3ba1d7a2",
        email: "anna@example.com",
        tier: "pro",
        role: null,
        createdAt: "2026-01-01T12:00:00.000Z",
        disabledAt: null,
        subscriptionExpiresAt: "2027-01-01T00:00:00.000Z",
        accounts: 1,
        bots: 2,
      },
    ],
  });

const UserSearch = PageQuery.extend({
  email: z.string().min(1).max(254).optional().describe("A part of the address."),
  tier: Tier.optional(),
  disabled: z.stringbool().optional(),
});

const SubscriptionPatch = z
  .strictObject({
    tier: Tier.optional(),
    subscriptionExpiresAt: z.iso
      .datetime()
      .nullable()
      .optional()
      .describe("When the tier falls back to free; null: never."),
  })
  .meta({ examples: [{ tier: "pro", subscriptionExpiresAt: "2027-01-01T00:00:00.000Z" }] });
type SubscriptionPatch = z.infer<typeof SubscriptionPatch>;

const SCHEMAS = {
  search: {
    ...forRole("viewer"),
    tags,
    summary: "Users",
    querystring: UserSearch,
    response: { 200: pageOf(UserView), ...FAILURE },
  },
  read: {
    ...forRole("viewer"),
    tags,
    summary: "One user",
    params: UserParams,
    response: { 200: UserView, ...FAILURE },
  },
  bots: {
    ...forRole("viewer"),
    tags,
    summary: "A user's bots",
    params: UserParams,
    querystring: PageQuery,
    response: { 200: pageOf(BotView), ...FAILURE },
  },
  patch: {
    ...forRole("admin"),
    tags,
    summary: "Change a user's tier and its end; the bots follow within a minute",
    params: UserParams,
    body: SubscriptionPatch,
    response: { 200: UserView, ...FAILURE },
  },
  disable: {
    ...forRole("operator"),
    tags,
    summary: "Keep a user from logging in; every log-in ends, bots go on",
    params: UserParams,
    response: { 200: UserView, ...FAILURE },
  },
  logOut: {
    ...forRole("operator"),
    tags,
    summary: "End every log-in of a user, who may log in again at once",
    params: UserParams,
    response: { 200: UserView, ...FAILURE },
  },
  enable: {
    ...forRole("operator"),
    tags,
    summary: "Let a user log in again",
    params: UserParams,
    response: { 200: UserView, ...FAILURE },
  },
} as const;

export interface AdminUserDeps {
  readonly adminPool: Database;
  readonly kube: Pick<Kube, "bots">;
}

/** /api/admin/users */
export function adminUserRoutes(deps: AdminUserDeps): FastifyPluginAsyncZod {
  const { adminPool } = deps;
  return async (app) => {
    app.get("", { schema: SCHEMAS.search }, async ({ query }) => {
      const { cursor, limit, ...search } = query;
      const after = cursor === undefined ? FIRST_ID : decodeCursor(cursor, z.uuid());
      const rows = await searchUsers(adminPool, { ...search, limit, after });
      const { items, next } = cutPage(rows, limit, ({ id }) => id);
      return { items: items.map(userView), next };
    });

    app.get("/:id", { schema: SCHEMAS.read }, async ({ params }) =>
      userView(await requireUser(adminPool, params.id)),
    );

    app.get("/:id/bots", { schema: SCHEMAS.bots }, async ({ params, query }) => {
      await requireUser(adminPool, params.id);
      return listBots(deps, params.id, query);
    });

    app.patch("/:id", { schema: SCHEMAS.patch }, async (request) => {
      const { params, body } = request;
      return changeUser(deps, { request, id: params.id }, async (database, user) => {
        const subscription = patched(user, body);
        await replaceSubscription(database, user.id, subscription);
        return { action: "subscription.change", details: changeOf(user, subscription) };
      });
    });

    app.post("/:id/disable", { schema: SCHEMAS.disable }, async (request) =>
      changeUser(deps, { request, id: request.params.id }, async (database, user) => {
        assertMayDisable(administratorOf(request), user);
        await disableUser(database, user.id);
        return { action: "user.disable" };
      }),
    );

    app.post("/:id/log-out", { schema: SCHEMAS.logOut }, async (request) =>
      changeUser(deps, { request, id: request.params.id }, async (database, user) => {
        assertMayDisable(administratorOf(request), user);
        await endSessions(database, user.id, "logout");
        return { action: "user.log_out" };
      }),
    );

    app.post("/:id/enable", { schema: SCHEMAS.enable }, async (request) =>
      changeUser(deps, { request, id: request.params.id }, async (database, user) => {
        assertMayDisable(administratorOf(request), user);
        if (await isBeingErased(database, user.id)) {
          throw new ApiError("erasure_under_way", "whoever is being erased is not let in again");
        }
        await enableUser(database, user.id);
        return { action: "user.enable" };
      }),
    );
  };
}

type Request = Parameters<typeof administratorOf>[0];
type Told = Pick<AuditEntry, "action" | "details">;

/** One change of one user, and what the audit is told of it, in one transaction. */
async function changeUser(
  { adminPool }: AdminUserDeps,
  { request, id }: { readonly request: Request; readonly id: string },
  change: (database: Queryable, user: KnownUser) => Promise<Told>,
): Promise<z.infer<typeof UserView>> {
  const administrator = administratorOf(request);
  return asTenant(adminPool, { userId: id }, async (database) => {
    await holdRole(database, administrator);
    const told = await change(database, await requireUser(database, id));
    await recordAudit(database, {
      ...told,
      actorKind: "admin",
      actorId: administrator.userId,
      userId: id,
      outcome: "done",
      address: request.ip,
      requestId: request.id,
    });
    return userView(await requireUser(database, id));
  });
}

/** @throws ApiError `not_found` */
async function requireUser(database: Queryable, id: string): Promise<KnownUser> {
  const user = await findKnownUser(database, id);
  if (user === undefined) throw new ApiError("not_found", `there is no user ${id}`);
  return user;
}

/** Operators must not lock out those who watch them, and nobody themselves. */
function assertMayDisable({ userId, role }: Administrator, user: KnownUser): void {
  if (user.id === userId) throw new ApiError("role_missing", "another administrator must do this");
  if (user.role !== null && role !== "admin") {
    throw new ApiError("role_missing", "a user with a role needs the role admin");
  }
}

function patched(
  { tier, subscription_expires_at }: KnownUser,
  { tier: wanted = tier, subscriptionExpiresAt: expiresAt }: SubscriptionPatch,
) {
  if (expiresAt === undefined) return { tier: wanted, expiresAt: subscription_expires_at };
  return { tier: wanted, expiresAt: expiresAt === null ? null : new Date(expiresAt) };
}

function changeOf(before: KnownUser, after: ReturnType<typeof patched>): AuditEntry["details"] {
  return {
    tierBefore: before.tier,
    tier: after.tier,
    expiresAtBefore: before.subscription_expires_at?.toISOString() ?? null,
    expiresAt: after.expiresAt?.toISOString() ?? null,
  };
}

async function listBots(
  { adminPool, kube }: AdminUserDeps,
  userId: string,
  { cursor, limit }: PageQuery,
) {
  const after = cursor === undefined ? "" : decodeCursor(cursor, DnsLabel);
  const rows = await botsOfUser(adminPool, { userId, after, limit });
  const { items, next } = cutPage(rows, limit, ({ id }) => id);
  const bots = await mapLimited(items, READS_AT_ONCE, ({ namespace, id }) =>
    kube.bots.get({ namespace, name: id }),
  );
  const own = bots.filter((bot) => bot !== undefined && bot.spec.userId === userId);
  return { items: own.filter((bot) => bot !== undefined).map(botView), next };
}

function userView(user: KnownUser): z.infer<typeof UserView> {
  const { id, email, tier, role, accounts, bots } = user;
  return {
    id,
    email,
    tier,
    role,
    createdAt: user.created_at.toISOString(),
    disabledAt: user.disabled_at?.toISOString() ?? null,
    subscriptionExpiresAt: user.subscription_expires_at?.toISOString() ?? null,
    accounts,
    bots,
  };
}
