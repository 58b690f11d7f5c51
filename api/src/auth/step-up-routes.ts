import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { asTenant, type Database } from "../database.ts";
import { ApiError, invalidField } from "../errors.ts";
import { FAILURE } from "../problem.ts";
import { callerOf } from "./authenticate.ts";
import type { Identify } from "./identify.ts";
import { noteDeed } from "./note.ts";
import type { Attempt } from "./login-throttle.ts";
import type { PasskeyAnswers } from "./passkey-answer.ts";
import { anothersPasskey, isTwoFactors, type Method, Proof } from "./second-factors.ts";
import { refreshProof } from "./session-store.ts";
import { sessionEnded } from "./sessions.ts";
import { findPasswordHash } from "./user-store.ts";

const StepUp = z
  .strictObject({
    password: z
      .string()
      .max(1_024)
      .optional()
      .describe("Not needed with a passkey that was shown together with it before."),
    ...Proof,
  })
  .meta({ examples: [{ password: "correct horse battery staple", code: "492039" }] });
const SteppedUp = z
  .object({ expiresIn: z.int().describe("Seconds that the proof is good for.") })
  .meta({ examples: [{ expiresIn: 300 }] });
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
          response: { 200: SteppedUp, ...FAILURE },
        },
      },
      async (request) => {
        const { userId, sessionId: id } = callerOf(request);
        const attempt = { address: request.ip, account: userId, device: id };
        const method = await prove(deps, attempt, request.body);
        await asTenant(authPool, { userId }, async (database) => {
          const hasSecondFactor = isTwoFactors(method);
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

async function prove(
  { authPool, identify, passkeys }: StepUpDeps,
  attempt: Attempt,
  shown: StepUp,
): Promise<Method> {
  const { account: userId } = attempt;
  const { password, ...proof } = shown;
  if (password === undefined) {
    if (proof.passkey === undefined) throw invalidField("password", "is needed without a passkey");
    const answered = await passkeys.verify(proof.passkey);
    if (answered.userId !== userId) throw anothersPasskey();
    if (!answered.isVouched) throw isNewPasskey();
    return "passkey";
  }
  const passwordHash = await findPasswordHash(authPool, userId);
  const user = passwordHash === undefined ? undefined : { id: userId, passwordHash };
  const method = await identify({ ...attempt, password, user, proof });
  if (method === undefined) {
    throw new ApiError("invalid_credentials", "the current password is another");
  }
  return method;
}

/** Whoever has stolen a fresh access token may have registered it: it must not keep the account open for them. */
function isNewPasskey(): ApiError {
  return new ApiError("step_up_required", "this passkey is new: show it with the password once");
}
