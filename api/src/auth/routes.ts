import { randomInt, randomUUID } from "node:crypto";
import { bucketNamespace } from "@tradingbots/crds";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { asTenant, type Database } from "../database.ts";
import { ApiError } from "../errors.ts";
import { FAILURE } from "../problem.ts";
import { rateLimitHeaders, type RateLimiter } from "../rate-limit.ts";
import { callerOf } from "./authenticate.ts";
import type { LoginThrottle } from "./login-throttle.ts";
import type { IsBreached } from "./breached-passwords.ts";
import { assertAcceptable, PASSWORD_BYTES_MAX, type Passwords } from "./passwords.ts";
import { refreshRoutes } from "./session-routes.ts";
import { keepSession } from "./session-cookies.ts";
import type { Sessions, SessionUser } from "./sessions.ts";
import { ACCESS_TOKEN_SECONDS } from "./tokens.ts";
import { Email, Tier } from "./user.ts";
import { findLogin, findUser, insertUser } from "./user-store.ts";

const Credentials = z.strictObject({ email: Email, password: z.string().max(1_024) });

/** Needs no token. */
const OPEN = { tags: ["auth"], security: [] };

const SignedIn = z.object({
  user: z.object({ id: z.string(), email: z.string(), tier: Tier }),
  accessToken: z.string(),
  expiresIn: z.int().describe("Seconds."),
});

export interface AuthDeps {
  /** Of the auth role: it may look anybody up. */
  readonly authPool: Database;
  readonly passwords: Pick<Passwords, "hash" | "compare">;
  readonly isBreached: IsBreached;
  /** A hash of nobody's password: unknown addresses take as long as known ones. */
  readonly decoyHash: string;
  readonly sessions: Sessions;
  readonly throttle: LoginThrottle;
  readonly limiter: RateLimiter;
  readonly requestsPerMinutePerAddress: number;
  readonly buckets: number;
}

/** POST /api/auth/register, /login, /refresh, /logout */
export function authRoutes(deps: AuthDeps): FastifyPluginAsyncZod {
  return async (app) => {
    app.addHook("onRequest", limitAddress(deps));
    await app.register(refreshRoutes(deps));

    app.post(
      "/register",
      {
        schema: {
          ...OPEN,
          summary: "Sign up",
          body: Credentials,
          response: { 201: SignedIn, ...FAILURE },
        },
      },
      async (request, reply) => {
        const { email, password } = request.body;
        assertAcceptable(password, deps.isBreached);
        const user = await insertUser(deps.authPool, {
          id: randomUUID(),
          email,
          passwordHash: await deps.passwords.hash(password),
          namespace: bucketNamespace(randomInt(deps.buckets)),
        });
        if (user === undefined) throw new ApiError("email_taken", "log in, or use another address");
        return reply.code(201).send(await signIn(deps.sessions, user, { request, reply }));
      },
    );

    app.post(
      "/login",
      {
        schema: {
          ...OPEN,
          summary: "Log in",
          body: Credentials,
          response: { 200: SignedIn, ...FAILURE },
        },
      },
      async (request, reply) => {
        const { email } = request.body;
        const waitSeconds = deps.throttle.retryAfterSeconds(request.ip, email);
        if (waitSeconds !== undefined) {
          throw new ApiError("too_many_attempts", `try again in ${waitSeconds} seconds`, {
            retryAfterSeconds: waitSeconds,
          });
        }
        deps.throttle.begin(request.ip, email);
        const login = await judge(request.body).catch((error: unknown) => {
          deps.throttle.withdraw(request.ip, email);
          throw error;
        });
        if (login === undefined) {
          throw new ApiError("invalid_credentials", "check both and try again");
        }
        deps.throttle.succeeded(request.ip, email);
        return signIn(deps.sessions, login, { request, reply });
      },
    );
  };

  /** The user whose address and password these are. An unknown address takes as long as a wrong password. */
  async function judge({ email, password }: z.infer<typeof Credentials>) {
    const login = await findLogin(deps.authPool, email);
    const hash = login?.password_hash ?? deps.decoyHash;
    const matches = await deps.passwords.compare(password, hash);
    // bcrypt would ignore what exceeds its limit, and no stored password does.
    const isTooLong = Buffer.byteLength(password) > PASSWORD_BYTES_MAX;
    return matches && !isTooLong ? login : undefined;
  }
}

interface HttpExchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** Begins a session on the device that asks. */
async function signIn(
  sessions: Pick<Sessions, "begin">,
  { id, email, tier }: SessionUser,
  { request, reply }: HttpExchange,
) {
  const client = { address: request.ip, userAgent: request.headers["user-agent"] ?? "" };
  const { accessToken, refreshToken } = await sessions.begin({ id, email, tier }, client);
  keepSession(reply, refreshToken);
  return { user: { id, email, tier }, accessToken, expiresIn: ACCESS_TOKEN_SECONDS };
}

function limitAddress({ limiter, requestsPerMinutePerAddress: limit }: AuthDeps) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const state = limiter.take(`address ${request.ip}`, limit);
    if (limit > 0) reply.headers(rateLimitHeaders("address", state));
    if (!state.allowed) {
      throw new ApiError("rate_limited", `an address has ${limit} attempts a minute`, {
        retryAfterSeconds: state.resetSeconds,
      });
    }
  };
}

const Me = z.object({ id: z.string(), email: z.string(), tier: Tier, createdAt: z.iso.datetime() });

/** GET /api/me: from the row, because the tier in the token may be out of date. */
export function meRoutes({ pool }: { readonly pool: Database }): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "/me",
      { schema: { tags: ["auth"], summary: "Who I am", response: { 200: Me, ...FAILURE } } },
      async (request) => {
        const { userId } = callerOf(request);
        const user = await asTenant(pool, { userId }, (database) => findUser(database, userId));
        if (user === undefined) throw new ApiError("unauthenticated", "the user is gone");
        const { id, email, tier, created_at } = user;
        return { id, email, tier, createdAt: created_at.toISOString() };
      },
    );
  };
}
