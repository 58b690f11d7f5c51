import { randomInt, randomUUID } from "node:crypto";
import { bucketNamespace } from "@tradingbots/crds";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { asTenant, type Database, inTransaction } from "../database.ts";
import { ApiError } from "../errors.ts";
import { FAILURE } from "../problem.ts";
import { callerOf } from "./authenticate.ts";
import { noteClaim } from "./claimed-user.ts";
import { type AddressLimit, limitAddress } from "./limit-address.ts";
import { limitRegistrations } from "./limit-registrations.ts";
import { type LetterDeps, welcome } from "./email-routes.ts";
import type { Identify } from "./identify.ts";
import type { IsBreached } from "./breached-passwords.ts";
import type { LoginThrottle } from "./login-throttle.ts";
import { assertAcceptable, type Passwords } from "./passwords.ts";
import { noteDeed } from "./note.ts";
import { scoped } from "./scopes.ts";
import { Proof } from "./second-factors.ts";
import { SignedIn, signedInBody, signIn, type SignInDeps } from "./sign-in.ts";
import { Email, Tier } from "./user.ts";
import { findLogin, findUser, insertUser } from "./user-store.ts";

const Credentials = z
  .strictObject({ email: Email, password: z.string().max(1_024) })
  .meta({ examples: [{ email: "anna@example.com", password: "correct horse battery staple" }] });
const Login = Credentials.extend(Proof).meta({
  examples: [
    { email: "anna@example.com", password: "correct horse battery staple", code: "492039" },
  ],
});

/** Needs no token. */
const OPEN = { tags: ["auth"], security: [] };

export interface AuthDeps extends AddressLimit, SignInDeps, LetterDeps {
  readonly passwords: Pick<Passwords, "hash" | "assertRoom">;
  readonly throttle: Pick<LoginThrottle, "retryAfterSeconds">;
  readonly identify: Identify;
  readonly isBreached: IsBreached;
  readonly buckets: number;
  readonly now: () => number;
}

/** POST /api/auth/register, /login */
export function authRoutes(deps: AuthDeps): FastifyPluginAsyncZod {
  return async (app) => {
    app.addHook("onRequest", limitAddress(deps, "address"));
    const countRegistration = limitRegistrations(deps);

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
        countRegistration(request.ip); // made, or told that the address is taken
        const passwordHash = await deps.passwords.hash(password);
        const namespace = bucketNamespace(randomInt(deps.buckets));
        const created = { id: randomUUID(), email, passwordHash, namespace };
        const user = await inTransaction(deps.authPool, async (database) => {
          const inserted = await insertUser(database, created);
          if (inserted === undefined) return undefined;
          await noteDeed(database, request, { userId: inserted.id, action: "user.register" });
          return inserted;
        });
        if (user === undefined) throw new ApiError("email_taken", "log in, or use another address");
        await welcome(deps, { userId: user.id, email }, request.log);
        const proven = { user, passwordHash, method: "password" } as const;
        const accessToken = await signIn(deps, proven, { request, reply });
        return reply.code(201).send(signedInBody(user, accessToken));
      },
    );

    app.post(
      "/login",
      {
        schema: {
          ...OPEN,
          summary: "Log in; with a second factor where one is enrolled",
          body: Login,
          response: { 200: SignedIn, ...FAILURE },
        },
      },
      async (request, reply) => {
        const { email, password, ...proof } = request.body;
        // A refusal costs no query when many come. Who has to wait for another reason is told that one, and the audit is too.
        const attempted = { address: request.ip, account: email };
        if (deps.throttle.retryAfterSeconds(attempted) === undefined) deps.passwords.assertRoom();
        const login = await findLogin(deps.authPool, email);
        const user = login && { id: login.id, passwordHash: login.password_hash };
        if (user !== undefined) noteClaim(request, user.id);
        const device = deps.devices.find(request, user);
        const attempt = { ...attempted, device, password, user, proof };
        const method = await deps.identify(attempt);
        if (login === undefined || method === undefined) {
          throw new ApiError("invalid_credentials", "check both and try again");
        }
        const proven = { user: login, passwordHash: login.password_hash, method };
        return signedInBody(login, await signIn(deps, proven, { request, reply }));
      },
    );
  };
}

const Me = z
  .object({
    id: z.string(),
    email: z.string(),
    emailVerified: z.boolean(),
    tier: Tier,
    createdAt: z.iso.datetime(),
  })
  .meta({
    examples: [
      {
        id: "5d0c9c3e-5b5f-4a53-9f0c-1f4f3ba1d7a2",
        email: "anna@example.com",
        emailVerified: true,
        tier: "pro",
        createdAt: "2026-01-01T12:00:00.000Z",
      },
    ],
  });

/** GET /api/me: from the row, because the tier in the token may be out of date. */
export function meRoutes({ pool }: { readonly pool: Database }): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "/me",
      {
        schema: {
          tags: ["auth"],
          ...scoped("read"),
          summary: "Who I am",
          response: { 200: Me, ...FAILURE },
        },
      },
      async (request) => {
        const { userId } = callerOf(request);
        const user = await asTenant(pool, { userId }, (database) => findUser(database, userId));
        if (user === undefined) throw new ApiError("unauthenticated", "the user is gone");
        const { id, email, tier, created_at, email_verified_at: verifiedAt } = user;
        const createdAt = created_at.toISOString();
        return { id, email, emailVerified: verifiedAt !== null, tier, createdAt };
      },
    );
  };
}
