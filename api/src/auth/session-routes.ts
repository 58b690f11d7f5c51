import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { asTenant, type Database } from "../database.ts";
import { ApiError } from "../errors.ts";
import { listOf } from "../page.ts";
import { FAILURE } from "../problem.ts";
import { callerOf } from "./authenticate.ts";
import { type AddressLimit, limitAddress } from "./limit-address.ts";
import type { IsBreached } from "./breached-passwords.ts";
import type { Mailer } from "../mail/mailer.ts";
import { forgetResetToken } from "./email-token.ts";
import type { Identify } from "./identify.ts";
import { noticeLetter } from "./letters.ts";
import { noteDeed } from "./note.ts";
import { assertAcceptable, type Passwords } from "./passwords.ts";
import type { RateLimiter } from "../rate-limit.ts";
import { hashOf, readToken } from "./refresh-token.ts";
import { Proof } from "./second-factors.ts";
import { forgetSession, keepSession, refreshTokenOf } from "./session-cookies.ts";
import { signIn, type SignInDeps } from "./sign-in.ts";
import { endSession, endSessions, listDevices } from "./session-store.ts";
import { endApiTokens } from "./api-token-store.ts";
import { IDLE_DAYS_MAX, type Sessions } from "./sessions.ts";
import { ACCESS_TOKEN_SECONDS } from "./tokens.ts";
import { findPasswordHash, replacePasswordHash } from "./user-store.ts";

const tags = ["auth"];
const BY_COOKIE = { tags, security: [{ refreshCookie: [] }] };
const CsrfHeader = z.object({
  "x-csrf-token": z.string().max(64).optional().describe("Browsers send the CSRF cookie here."),
});
const Nothing = z.null().describe("Nothing.");
const Refreshed = z
  .object({ accessToken: z.string(), expiresIn: z.int().describe("Seconds.") })
  .meta({ examples: [{ accessToken: "eyJhbGciOiJFUzI1NiIs…", expiresIn: 900 }] });

/** Many people sit behind one address, and each refreshes four times an hour: it must not stop them that others guess. */
const REFRESHES_PER_ATTEMPT = 10;

/** A device refreshes four times an hour; a few tabs that start at once are a handful. */
const REFRESHES_PER_SESSION = 30;

/**
 * Counted by what all tokens of a session have in common, so that nobody who merely knows a session's id can use its share up.
 * @throws ApiError `rate_limited`
 */
async function limitSession(limiter: RateLimiter, refreshToken: string): Promise<void> {
  const token = readToken(refreshToken);
  if (token === undefined) return; // refused without asking anybody
  // Without the id: it is cut out of the cookie, and as long as it is kept V8 keeps all of the cookie.
  const key = `session ${hashOf(token.proof).toString("base64url")}`;
  const { allowed, resetSeconds } = await limiter.take(key, REFRESHES_PER_SESSION);
  if (allowed) return;
  throw new ApiError("rate_limited", `a device has ${REFRESHES_PER_SESSION} refreshes a minute`, {
    retryAfterSeconds: resetSeconds,
  });
}

interface RefreshDeps extends AddressLimit {
  readonly sessions: Pick<Sessions, "refresh" | "end">;
}

/** POST /api/auth/refresh, /logout: for whoever holds the refresh cookie. */
export function refreshRoutes(deps: RefreshDeps): FastifyPluginAsyncZod {
  const { sessions, limiter, requestsPerMinutePerAddress: attempts } = deps;
  const limit = { limiter, requestsPerMinutePerAddress: attempts * REFRESHES_PER_ATTEMPT };
  return async (app) => {
    app.addHook("onRequest", limitAddress(limit, "refresh"));

    app.post(
      "/refresh",
      {
        schema: {
          ...BY_COOKIE,
          summary: "Another access token, for the refresh cookie",
          headers: CsrfHeader,
          response: { 200: Refreshed, ...FAILURE },
        },
      },
      async (request, reply) => {
        const presented = refreshTokenOf(request);
        await limitSession(limiter, presented);
        const { accessToken, refreshToken } = await sessions
          .refresh(presented, request)
          .catch((error: unknown) => {
            if (error instanceof ApiError && error.code === "session_ended") forgetSession(reply);
            throw error;
          });
        keepSession(reply, refreshToken);
        return { accessToken, expiresIn: ACCESS_TOKEN_SECONDS };
      },
    );

    app.post(
      "/logout",
      {
        schema: {
          ...BY_COOKIE,
          summary: "Log this device out",
          headers: CsrfHeader,
          response: { 204: Nothing, ...FAILURE },
        },
      },
      async (request, reply) => {
        await sessions.end(refreshTokenOf(request), request);
        forgetSession(reply);
        return reply.code(204).send(null);
      },
    );
  };
}

const Device = z
  .object({
    id: z.string(),
    isCurrent: z.boolean().describe("Whether this request comes from it."),
    createdAt: z.iso.datetime(),
    lastUsedAt: z.iso.datetime().describe("When it last got an access token."),
    address: z.string(),
    userAgent: z.string(),
  })
  .meta({
    examples: [
      {
        id: "c1f7a2b4-0a53-4e0b-8f7e-5d1b9d0a6e33",
        isCurrent: true,
        createdAt: "2026-01-01T12:00:00.000Z",
        lastUsedAt: "2026-01-02T08:15:00.000Z",
        address: "192.0.2.44",
        userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
      },
    ],
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
          response: { 200: listOf(Device), ...FAILURE },
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
        await asTenant(pool, { userId }, (database) => endSessions(database, userId, "logout"));
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

export interface PasswordDeps extends SignInDeps {
  /** Of the auth role. */
  readonly authPool: Database;
  readonly passwords: Pick<Passwords, "hash">;
  readonly identify: Identify;
  readonly isBreached: IsBreached;
  readonly mailer: Mailer | undefined;
}

const PasswordChange = z
  .strictObject({
    currentPassword: z.string().max(1_024),
    newPassword: z.string().max(1_024),
    ...Proof,
  })
  .meta({
    examples: [
      {
        currentPassword: "correct horse battery staple",
        newPassword: "seven tall blue herons",
        code: "492039",
      },
    ],
  });

/** POST /api/auth/password: ends every log-in, also the one that asks, and every API token, and begins another log-in. */
export function passwordRoutes(deps: PasswordDeps): FastifyPluginAsyncZod {
  return async (app) => {
    app.post(
      "/password",
      {
        schema: {
          tags,
          summary:
            "Change the password; every device is logged out, this one in again, and every API token revoked",
          body: PasswordChange,
          response: { 200: Refreshed, ...FAILURE },
        },
      },
      async (request, reply) => {
        const caller = callerOf(request);
        const { userId, sessionId } = caller;
        const { currentPassword, newPassword, ...proof } = request.body;
        assertAcceptable(newPassword, deps.isBreached);
        const current = await findPasswordHash(deps.authPool, userId);
        const method = await deps.identify({
          address: request.ip,
          account: userId,
          device: sessionId,
          password: currentPassword,
          user: current === undefined ? undefined : { id: userId, passwordHash: current },
          proof,
        });
        if (current === undefined || method === undefined) throw passwordIsAnother();
        const passwordHash = await deps.passwords.hash(newPassword);
        await asTenant(deps.authPool, { userId }, async (database) => {
          const replacement = { userId, from: current, to: passwordHash };
          if (!(await replacePasswordHash(database, replacement))) throw passwordIsAnother();
          await endSessions(database, userId, "password");
          await endApiTokens(database, userId); // whoever knew the old one may have made some
          await forgetResetToken(database, userId);
          await noteDeed(database, request, { userId, action: "password.change" });
          await deps.mailer?.notify(database, caller, noticeLetter("password", deps.mailer));
        });
        const user = { id: userId, email: caller.email, tier: caller.tier };
        const proven = { user, passwordHash, method };
        const accessToken = await signIn(deps, proven, { request, reply });
        return { accessToken, expiresIn: ACCESS_TOKEN_SECONDS };
      },
    );
  };
}

function passwordIsAnother(): ApiError {
  return new ApiError("invalid_credentials", "the current password is another");
}
