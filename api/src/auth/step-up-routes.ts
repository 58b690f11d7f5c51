import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { asTenant, type Database, type Queryable } from "../database.ts";
import { ApiError, invalidField } from "../errors.ts";
import { FAILURE } from "../problem.ts";
import { callerOf } from "./authenticate.ts";
import type { Identify } from "./identify.ts";
import { noteDeed } from "./note.ts";
import type { Attempt } from "./login-throttle.ts";
import type { PasskeyAnswers } from "./passkey-answer.ts";
import { type Method, Proof } from "./second-factors.ts";
import { isOlderThanPasskey, refreshProof } from "./session-store.ts";
import { sessionEnded } from "./sessions.ts";
import { findPasswordHash } from "./user-store.ts";

const StepUp = z.strictObject({
  password: z.string().max(1_024).optional().describe("Not needed with a passkey."),
  ...Proof,
});
type StepUp = z.infer<typeof StepUp>;

interface StepUpDeps {
  /** Of the auth role. */
  readonly authPool: Database;
  readonly identify: Identify;
  readonly passkeys: Pick<PasskeyAnswers, "verify">;
  readonly stepUpSeconds: number;
}

/** POST /api/auth/step-up: a fresh proof of who asks, for what `step_up_required` refused. */
export function stepUpRoutes(deps: StepUpDeps): FastifyPluginAsyncZod {
  const { authPool, stepUpSeconds } = deps;
  return async (app) => {
    app.post(
      "/step-up",
      {
        schema: {
          tags: ["auth"],
          summary: "Prove who you are once more, with every factor that you have",
          body: StepUp,
          response: {
            200: z.object({ expiresIn: z.int().describe("Seconds that the proof is good for.") }),
            ...FAILURE,
          },
        },
      },
      async (request) => {
        const { userId, sessionId: id } = callerOf(request);
        const attempt = { address: request.ip, account: userId, device: id };
        const method = await prove(deps, attempt, request.body);
        await asTenant(authPool, { userId }, async (database) => {
          const hasSecondFactor = await isTwoFactors(
            database,
            { userId, id, method },
            request.body,
          );
          if (!(await refreshProof(database, { userId, id, hasSecondFactor })))
            throw sessionEnded();
          const deed = { userId, action: "session.step_up", object: `session/${id}` };
          await noteDeed(database, request, { ...deed, details: { method } });
        });
        return { expiresIn: stepUpSeconds };
      },
    );
  };
}

interface Shown {
  readonly userId: string;
  readonly id: string;
  readonly method: Method;
}

/** A passkey without the password counts as both factors unless this session may have registered it. */
async function isTwoFactors(
  database: Queryable,
  { userId, id, method }: Shown,
  { password, passkey }: StepUp,
): Promise<boolean> {
  if (method === "password") return false;
  if (password !== undefined || passkey === undefined) return true;
  const passkeyId = passkey.credential.id;
  return !(await isOlderThanPasskey(database, { userId, id, passkeyId }));
}

async function prove(
  { authPool, identify, passkeys }: StepUpDeps,
  attempt: Attempt,
  shown: StepUp,
): Promise<Method> {
  const { account: userId } = attempt;
  const { password, ...proof } = shown;
  if (password === undefined) {
    if (proof.passkey === undefined) throw invalidField("password", "is needed without a passkey");
    if ((await passkeys.verify(proof.passkey)) === userId) return "passkey";
    throw new ApiError("passkey_invalid", "the passkey is another user's");
  }
  const passwordHash = await findPasswordHash(authPool, userId);
  const user = passwordHash === undefined ? undefined : { id: userId, passwordHash };
  const method = await identify({ ...attempt, password, user, proof });
  if (method === undefined) {
    throw new ApiError("invalid_credentials", "the current password is another");
  }
  return method;
}
