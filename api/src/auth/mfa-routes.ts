import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { asTenant, type Database, type Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";
import type { Mailer } from "../mail/mailer.ts";
import { FAILURE } from "../problem.ts";
import type { Sealer } from "../sealer.ts";
import { callerOf } from "./authenticate.ts";
import { noticeLetter } from "./letters.ts";
import { noteDeed, type Origin } from "./note.ts";
import { removeRecoveryCodes, replaceRecoveryCodes } from "./recovery-codes.ts";
import { findFactors, offerTotp, removeTotp } from "./second-factor-store.ts";
import { forgetSecondFactor, lockSessions } from "./session-store.ts";
import { lockUser } from "./user-store.ts";
import { isEnrolled, type SecondFactors, totpPurpose } from "./second-factors.ts";
import type { RequireStepUp } from "./step-up.ts";
import { base32, newTotpSecret, provisioningUri } from "./totp.ts";
import type { Caller } from "./user.ts";

const tags = ["auth"];
const Nothing = z.null().describe("Nothing.");
export const RecoveryCodes = z
  .array(z.string())
  .describe(
    "Each serves once in place of a code; shown now and never again. Empty: the earlier ones stay.",
  );

export const RECOVERY_CODES = ["ABCDEF-GHIJKL-MNOPQR-STUVWX", "YZ2345-…"];
const Renewed = z
  .object({ recoveryCodes: RecoveryCodes })
  .meta({ examples: [{ recoveryCodes: RECOVERY_CODES }] });
const Factors = z
  .object({ totp: z.boolean(), passkeys: z.int(), recoveryCodesLeft: z.int() })
  .meta({ examples: [{ totp: true, passkeys: 1, recoveryCodesLeft: 9 }] });
const Offer = z
  .object({
    secret: z.string().describe("Base32, for typing in."),
    uri: z.string().describe("For a QR code."),
  })
  .meta({
    examples: [
      {
        secret: "JBSWY3DPEHPK3PXP…",
        uri: "otpauth://totp/Trading%20bots:anna%40example.com?secret=JBSWY3DPEHPK3PXP…",
      },
    ],
  });
const FirstCode = z
  .strictObject({ code: z.string().max(64) })
  .meta({ examples: [{ code: "492039" }] });

const SCHEMAS = {
  read: {
    tags,
    summary: "My second factors",
    response: { 200: Factors, ...FAILURE },
  },
  offer: {
    tags,
    summary: "A secret for an authenticator app; it counts when a first code has confirmed it",
    response: { 201: Offer, ...FAILURE },
  },
  confirm: {
    tags,
    summary: "The first code of the offered secret: from now on a log-in needs one",
    body: FirstCode,
    response: { 200: Renewed, ...FAILURE },
  },
  remove: {
    tags,
    summary: "Forget the authenticator app",
    response: { 204: Nothing, ...FAILURE },
  },
  renew: {
    tags,
    summary: "Ten new recovery codes in place of those before",
    response: { 201: Renewed, ...FAILURE },
  },
} as const;

export interface FactorDeps {
  /** Of the auth role. */
  readonly authPool: Database;
  readonly mailer: Mailer | undefined;
  readonly requireStepUp: RequireStepUp;
}

interface MfaDeps extends FactorDeps {
  readonly secondFactors: Pick<SecondFactors, "confirm">;
  readonly sealer: Pick<Sealer, "seal">;
}

/** /api/auth/mfa: codes of an authenticator app, and recovery codes. */
export function mfaRoutes(deps: MfaDeps): FastifyPluginAsyncZod {
  const { authPool, secondFactors, sealer, requireStepUp } = deps;
  return async (app) => {
    app.get("", { schema: SCHEMAS.read }, async (request) => {
      const { userId } = callerOf(request);
      const factors = await asTenant(authPool, { userId }, (database) =>
        findFactors(database, userId),
      );
      const { has_totp: totp, passkeys, recovery_codes: recoveryCodesLeft } = factors;
      return { totp, passkeys, recoveryCodesLeft };
    });

    app.post("/totp", { schema: SCHEMAS.offer }, async (request, reply) => {
      const { userId, email } = await freshCaller(request);
      const secret = newTotpSecret();
      const sealed = sealer.seal(secret.toString("base64"), totpPurpose(userId));
      const isOffered = await asTenant(authPool, { userId }, (database) =>
        offerTotp(database, { userId, sealed }),
      );
      if (!isOffered) throw new ApiError("mfa_enrolled", "remove the authenticator app first");
      return reply.code(201).send({ secret: base32(secret), uri: provisioningUri(secret, email) });
    });

    app.post("/totp/confirm", { schema: SCHEMAS.confirm }, async (request) => {
      const caller = await freshCaller(request);
      const enrolled = (database: Queryable) =>
        noteEnrolled(deps, database, { caller, origin: request, factor: "totp" });
      const { code } = request.body;
      const recoveryCodes = await secondFactors.confirm(caller.userId, code, enrolled);
      return { recoveryCodes };
    });

    app.delete("/totp", { schema: SCHEMAS.remove }, async (request, reply) => {
      const caller = await freshCaller(request);
      await asTenant(authPool, caller, async (database) => {
        await lockUser(database, caller.userId);
        if (!(await removeTotp(database, caller.userId))) {
          throw new ApiError("not_found", "there is no authenticator app");
        }
        await noteRemoved(deps, database, { caller, origin: request, factor: "totp" });
      });
      return reply.code(204).send(null);
    });

    app.post("/recovery-codes", { schema: SCHEMAS.renew }, async (request, reply) => {
      const caller = callerOf(request);
      const { userId } = caller;
      const recoveryCodes = await asTenant(authPool, { userId }, async (database) => {
        await lockUser(database, userId);
        await requireStepUp(caller, database);
        if (!isEnrolled(await findFactors(database, userId))) {
          throw new ApiError("not_found", "there is no second factor that they could stand in for");
        }
        await noteDeed(database, request, { userId, action: "recovery_codes.renew" });
        return replaceRecoveryCodes(database, userId);
      });
      return reply.code(201).send({ recoveryCodes });
    });
  };

  async function freshCaller(request: Parameters<typeof callerOf>[0]): Promise<Caller> {
    const caller = callerOf(request);
    await requireStepUp(caller);
    return caller;
  }
}

interface FactorChange {
  readonly caller: Caller;
  readonly origin: Origin;
  /** `totp`, or `passkey`. */
  readonly factor: string;
}

/** Audits and mails that a second factor was added, and answers recovery codes for the first. @throws ApiError `step_up_required` */
export async function noteEnrolled(
  { mailer, requireStepUp }: FactorDeps,
  database: Queryable,
  { caller, origin, factor }: FactorChange,
): Promise<string[]> {
  const { userId } = caller;
  await lockUser(database, userId); // two at once would each make the first codes
  await requireStepUp(caller, database);
  await noteDeed(database, origin, { userId, action: `${factor}.enrol` });
  await mailer?.notify(database, caller, noticeLetter("factorAdded", mailer));
  const { recovery_codes: left } = await findFactors(database, userId);
  return left > 0 ? [] : replaceRecoveryCodes(database, userId);
}

/** The same when one was removed; after the last, recovery codes stand in for nothing. */
export async function noteRemoved(
  { mailer, requireStepUp }: Pick<FactorDeps, "mailer" | "requireStepUp">,
  database: Queryable,
  { caller, origin, factor }: FactorChange,
): Promise<void> {
  const { userId } = caller;
  await lockSessions(database, userId); // before the next line holds one of them
  await requireStepUp(caller, database);
  await noteDeed(database, origin, { userId, action: `${factor}.remove` });
  await mailer?.notify(database, caller, noticeLetter("factorRemoved", mailer));
  if (isEnrolled(await findFactors(database, userId))) return;
  await removeRecoveryCodes(database, userId);
  await forgetSecondFactor(database, userId);
}
