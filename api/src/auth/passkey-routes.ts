import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { asTenant } from "../database.ts";
import { ApiError } from "../errors.ts";
import { DisplayName } from "../fields.ts";
import { listOf } from "../page.ts";
import { FAILURE } from "../problem.ts";
import { callerOf } from "./authenticate.ts";
import { type AddressLimit, limitAddress } from "./limit-address.ts";
import {
  type FactorDeps,
  noteEnrolled,
  noteRemoved,
  RECOVERY_CODES,
  RecoveryCodes,
} from "./mfa-routes.ts";
import { insertPasskey, listPasskeys, removePasskey } from "./passkey-store.ts";
import { PasskeyAnswer, type PasskeyAnswers } from "./passkey-answer.ts";
import { CREDENTIAL_EXAMPLE, STATE_EXAMPLE } from "./passkey-challenge.ts";
import {
  type PasskeyRegistrar,
  PasskeyRegistration,
  REGISTRATION_EXAMPLE,
} from "./passkey-registration.ts";
import { ensureFactors } from "./second-factor-store.ts";
import { SignedIn, signedInBody, signIn, type SignInDeps } from "./sign-in.ts";
import { findLoginById, lockUser } from "./user-store.ts";

const tags = ["auth"];
/** More than anybody has devices. */
const PASSKEYS_MAX = 20;

const Options = z
  .object({
    state: z.string().describe("Send it back with the answer."),
    options: z.record(z.string(), z.unknown()).describe("For `navigator.credentials`, as JSON."),
  })
  .meta({
    examples: [
      {
        state: STATE_EXAMPLE,
        options: {
          challenge: "xN2v7QmT0dKp3sYc8hWbEg",
          rpId: "app.example.com",
          timeout: 60_000,
          userVerification: "required",
        },
      },
    ],
  });
const PasskeyId = z.object({ id: z.string().max(1_400) });
const PASSKEY_EXAMPLE = {
  id: CREDENTIAL_EXAMPLE.id,
  name: "Phone",
  createdAt: "2026-01-01T12:00:00.000Z",
  lastUsedAt: null,
};
const Passkey = z
  .object({
    id: z.string(),
    name: z.string(),
    createdAt: z.iso.datetime(),
    lastUsedAt: z.iso.datetime().nullable(),
  })
  .meta({ examples: [PASSKEY_EXAMPLE] });
const NewPasskey = PasskeyRegistration.extend({ name: DisplayName }).meta({
  examples: [{ ...REGISTRATION_EXAMPLE, name: PASSKEY_EXAMPLE.name }],
});
const AddedPasskey = Passkey.extend({ recoveryCodes: RecoveryCodes }).meta({
  examples: [{ ...PASSKEY_EXAMPLE, recoveryCodes: RECOVERY_CODES }],
});

const SCHEMAS = {
  challenge: {
    tags,
    security: [],
    summary: "A challenge for a passkey, whosever",
    response: { 200: Options, ...FAILURE },
  },
  login: {
    tags,
    security: [],
    summary: "Log in with a passkey alone",
    body: PasskeyAnswer,
    response: { 200: SignedIn, ...FAILURE },
  },
  list: {
    tags,
    summary: "My passkeys",
    response: { 200: listOf(Passkey), ...FAILURE },
  },
  offer: {
    tags,
    summary: "What the browser needs to make a passkey",
    response: { 200: Options, ...FAILURE },
  },
  add: {
    tags,
    summary:
      "Add the passkey that the browser has made: from now on a log-in by password needs a second factor",
    body: NewPasskey,
    response: { 201: AddedPasskey, ...FAILURE },
  },
  remove: {
    tags,
    summary: "Forget a passkey",
    params: PasskeyId,
    response: { 204: z.null().describe("Nothing."), ...FAILURE },
  },
} as const;

interface PasskeyLoginDeps extends AddressLimit, SignInDeps, Pick<FactorDeps, "authPool"> {
  readonly passkeys: PasskeyAnswers;
}

/** POST /api/auth/passkey-challenge, /passkey-login */
export function passkeyLoginRoutes(deps: PasskeyLoginDeps): FastifyPluginAsyncZod {
  return async (app) => {
    app.addHook("onRequest", limitAddress(deps, "address"));

    app.post("/passkey-challenge", { schema: SCHEMAS.challenge }, async () => {
      const { state, options } = await deps.passkeys.challenge();
      return { state, options: { ...options } };
    });

    app.post("/passkey-login", { schema: SCHEMAS.login }, async (request, reply) => {
      const { userId, isVouched } = await deps.passkeys.verify(request.body);
      const user = await findLoginById(deps.authPool, userId);
      if (user === undefined) throw new ApiError("passkey_invalid", "its user is gone");
      const method = isVouched ? "passkey" : "new_passkey";
      const proven = { user, passwordHash: user.password_hash, method } as const;
      return signedInBody(user, await signIn(deps, proven, { request, reply }));
    });
  };
}

interface PasskeyDeps extends FactorDeps {
  readonly registrar: PasskeyRegistrar;
}

/** /api/passkeys */
export function passkeyRoutes(deps: PasskeyDeps): FastifyPluginAsyncZod {
  const { authPool, registrar, requireStepUp } = deps;
  return async (app) => {
    app.get("", { schema: SCHEMAS.list }, async (request) => {
      const { userId } = callerOf(request);
      const rows = await asTenant(authPool, { userId }, (database) =>
        listPasskeys(database, userId),
      );
      const items = rows.map(({ id, name, created_at, last_used_at }) => ({
        id,
        name,
        createdAt: created_at.toISOString(),
        lastUsedAt: last_used_at?.toISOString() ?? null,
      }));
      return { items };
    });

    app.post("/options", { schema: SCHEMAS.offer }, async (request) => {
      const caller = callerOf(request);
      await requireStepUp(caller);
      const { state, options } = await registrar.offer(caller);
      return { state, options: { ...options } };
    });

    app.post("", { schema: SCHEMAS.add }, async (request, reply) => {
      const caller = callerOf(request);
      await requireStepUp(caller);
      const { name, ...registration } = request.body;
      const passkey = await registrar.accept(caller.userId, registration);
      const recoveryCodes = await asTenant(authPool, caller, async (database) => {
        await lockUser(database, caller.userId);
        await ensureFactors(database, caller.userId);
        if ((await listPasskeys(database, caller.userId)).length >= PASSKEYS_MAX) {
          throw new ApiError("too_many_passkeys", `at most ${PASSKEYS_MAX}: remove one first`);
        }
        if (!(await insertPasskey(database, { ...passkey, name }))) {
          throw new ApiError("passkey_invalid", "this passkey is registered already");
        }
        return noteEnrolled(deps, database, { caller, origin: request, factor: "passkey" });
      });
      const createdAt = new Date().toISOString();
      return reply
        .code(201)
        .send({ id: passkey.id, name, createdAt, lastUsedAt: null, recoveryCodes });
    });

    app.delete("/:id", { schema: SCHEMAS.remove }, async (request, reply) => {
      const caller = callerOf(request);
      await requireStepUp(caller);
      await asTenant(authPool, caller, async (database) => {
        await lockUser(database, caller.userId);
        const isRemoved = await removePasskey(database, {
          userId: caller.userId,
          id: request.params.id,
        });
        if (!isRemoved) throw new ApiError("not_found", "there is no such passkey");
        await noteRemoved(deps, database, { caller, origin: request, factor: "passkey" });
      });
      return reply.code(204).send(null);
    });
  };
}
