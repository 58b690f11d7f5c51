import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { asTenant, type Database } from "../database.ts";
import { ApiError } from "../errors.ts";
import { FAILURE } from "../problem.ts";
import { callerOf } from "./authenticate.ts";
import type { IsBreached } from "./breached-passwords.ts";
import { assertAcceptable, type Passwords } from "./passwords.ts";
import { forgetSession, keepSession, refreshTokenOf } from "./session-cookies.ts";
import { endSession, endSessions, listDevices } from "./session-store.ts";
import { IDLE_DAYS_MAX, type Sessions } from "./sessions.ts";
import { ACCESS_TOKEN_SECONDS } from "./tokens.ts";
import { findPasswordHash, setPasswordHash } from "./user-store.ts";

const tags = ["auth"];
const OPEN = { tags, security: [] };
const CsrfHeader = z.object({
  "x-csrf-token": z.string().max(64).optional().describe("Browsers send the CSRF cookie here."),
});
const Nothing = z.null().describe("Nothing.");
const Refreshed = z.object({ accessToken: z.string(), expiresIn: z.int().describe("Seconds.") });

/** POST /api/auth/refresh, /logout: for whoever holds the refresh cookie. */
export function refreshRoutes({
  sessions,
}: {
  readonly sessions: Pick<Sessions, "refresh" | "end">;
}): FastifyPluginAsyncZod {
  return async (app) => {
    app.post(
      "/refresh",
      {
        schema: {
          ...OPEN,
          summary: "Another access token, for the refresh cookie",
          headers: CsrfHeader,
          response: { 200: Refreshed, ...FAILURE },
        },
      },
      async (request, reply) => {
        const { accessToken, refreshToken } = await sessions.refresh(refreshTokenOf(request));
        keepSession(reply, refreshToken);
        return { accessToken, expiresIn: ACCESS_TOKEN_SECONDS };
      },
    );

    app.post(
      "/logout",
      {
        schema: {
          ...OPEN,
          summary: "Log this device out",
          headers: CsrfHeader,
          response: { 204: Nothing, ...FAILURE },
        },
      },
      async (request, reply) => {
        await sessions.end(refreshTokenOf(request));
        forgetSession(reply);
        return reply.code(204).send(null);
      },
    );
  };
}

const Device = z.object({
  id: z.string(),
  isCurrent: z.boolean().describe("Whether this request comes from it."),
  createdAt: z.iso.datetime(),
  lastUsedAt: z.iso.datetime().describe("When it last got an access token."),
  address: z.string(),
  userAgent: z.string(),
});

/** GET and DELETE /api/sessions: the devices that are logged in. */
export function deviceRoutes({ pool }: { readonly pool: Database }): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "",
      {
        schema: {
          tags,
          summary: "Devices that are logged in",
          response: { 200: z.object({ items: z.array(Device) }), ...FAILURE },
        },
      },
      async (request) => {
        const { userId, sessionId } = callerOf(request);
        const devices = await asTenant(pool, { userId }, (database) =>
          listDevices(database, userId, IDLE_DAYS_MAX),
        );
        const items = devices.map(({ id, created_at, rotated_at, address, user_agent }) => ({
          id,
          isCurrent: id === sessionId,
          createdAt: created_at.toISOString(),
          lastUsedAt: rotated_at.toISOString(),
          address,
          userAgent: user_agent,
        }));
        return { items };
      },
    );

    app.delete(
      "",
      { schema: { tags, summary: "Log out everywhere", response: { 204: Nothing, ...FAILURE } } },
      async (request, reply) => {
        const { userId } = callerOf(request);
        await asTenant(pool, { userId }, (database) =>
          endSessions(database, { userId, except: null }, "logout"),
        );
        return reply.code(204).send(null);
      },
    );

    app.delete(
      "/:id",
      {
        schema: {
          tags,
          summary: "Log one device out",
          params: z.object({ id: z.uuid() }),
          response: { 204: Nothing, ...FAILURE },
        },
      },
      async (request, reply) => {
        const { userId } = callerOf(request);
        const { id } = request.params;
        const isEnded = await asTenant(pool, { userId }, (database) =>
          endSession(database, { userId, id }, "logout"),
        );
        if (!isEnded) throw new ApiError("not_found", "no such device is logged in");
        return reply.code(204).send(null);
      },
    );
  };
}

export interface PasswordDeps {
  /** Of the auth role. */
  readonly authPool: Database;
  readonly passwords: Pick<Passwords, "hash" | "compare">;
  readonly isBreached: IsBreached;
}

const PasswordChange = z.strictObject({
  currentPassword: z.string().max(1_024),
  newPassword: z.string().max(1_024),
});

/** POST /api/auth/password: logs every other device out. */
export function passwordRoutes({
  authPool,
  passwords,
  isBreached,
}: PasswordDeps): FastifyPluginAsyncZod {
  return async (app) => {
    app.post(
      "/password",
      {
        schema: {
          tags,
          summary: "Change the password; other devices are logged out",
          body: PasswordChange,
          response: { 204: Nothing, ...FAILURE },
        },
      },
      async (request, reply) => {
        const { userId, sessionId } = callerOf(request);
        const { currentPassword, newPassword } = request.body;
        assertAcceptable(newPassword, isBreached);
        const current = await findPasswordHash(authPool, userId);
        if (current === undefined || !(await passwords.compare(currentPassword, current))) {
          throw new ApiError("invalid_credentials", "the current password is another");
        }
        const hash = await passwords.hash(newPassword);
        await asTenant(authPool, { userId }, async (database) => {
          await setPasswordHash(database, { userId, hash });
          await endSessions(database, { userId, except: sessionId }, "password");
        });
        return reply.code(204).send(null);
      },
    );
  };
}
