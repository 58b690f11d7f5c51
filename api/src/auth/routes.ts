import { randomInt, randomUUID } from "node:crypto";
import { bucketNamespace } from "@tradingbots/crds";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { asTenant, type Database } from "../database.ts";
import { ApiError } from "../errors.ts";
import { FAILURE } from "../problem.ts";
import { callerOf } from "./authenticate.ts";
import { type AddressLimit, limitAddress } from "./limit-address.ts";
import type { PasswordCheck } from "./password-check.ts";
import type { IsBreached } from "./breached-passwords.ts";
import { assertAcceptable, type Passwords } from "./passwords.ts";
import type { Sessions, SessionUser } from "./sessions.ts";
import { type HttpExchange, signIn } from "./sign-in.ts";
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

export interface AuthDeps extends AddressLimit {
  /** Of the auth role: it may look anybody up. */
  readonly authPool: Database;
  readonly passwords: Pick<Passwords, "hash">;
  readonly checkPassword: PasswordCheck;
  readonly isBreached: IsBreached;
  /** A hash of nobody's password: unknown addresses take as long as known ones. */
  readonly decoyHash: string;
  readonly sessions: Sessions;
  readonly buckets: number;
}

/** POST /api/auth/register, /login */
export function authRoutes(deps: AuthDeps): FastifyPluginAsyncZod {
  return async (app) => {
    app.addHook("onRequest", limitAddress(deps, "address"));

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
        const passwordHash = await deps.passwords.hash(password);
        const user = await insertUser(deps.authPool, {
          id: randomUUID(),
          email,
          passwordHash,
          namespace: bucketNamespace(randomInt(deps.buckets)),
        });
        if (user === undefined) throw new ApiError("email_taken", "log in, or use another address");
        return reply.code(201).send(await signedIn({ ...user, passwordHash }, { request, reply }));
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
        const login = await judge(request);
        if (login === undefined) {
          throw new ApiError("invalid_credentials", "check both and try again");
        }
        return signedIn(login, { request, reply });
      },
    );
  };

  /** The user whose address and password these are. An unknown address takes as long as a wrong password. */
  async function judge({ ip, body }: { ip: string; body: z.infer<typeof Credentials> }) {
    const { email, password } = body;
    const login = await findLogin(deps.authPool, email);
    const hash = login?.password_hash ?? deps.decoyHash;
    const matches = await deps.checkPassword({ address: ip, account: email, password, hash });
    return matches && login !== undefined ? { ...login, passwordHash: hash } : undefined;
  }

  async function signedIn(
    { id, email, tier, passwordHash }: SessionUser & { readonly passwordHash: string },
    exchange: HttpExchange,
  ) {
    const user = { id, email, tier };
    const { accessToken } = await signIn(deps.sessions, { ...user, passwordHash }, exchange);
    return { user, accessToken, expiresIn: ACCESS_TOKEN_SECONDS };
  }
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
