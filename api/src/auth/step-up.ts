import { asTenant, type Database, type Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";
import { isFreshSession, isTwoFactorSession } from "./session-store.ts";
import type { Caller } from "./user.ts";

interface StepUpDeps {
  readonly pool: Database;
  /** How long a proof of who one is stays good for what could do the most harm. */
  readonly stepUpSeconds: number;
}

/**
 * Answers a check for what a stolen access token must not be enough for. It asks the database: such requests are few, and the
 * answer of another process counts at once.
 */
export function createStepUp({ pool, stepUpSeconds }: StepUpDeps) {
  /**
   * `within` a transaction of the user's the answer holds until its end: what gives new ways in must not outlive a new password that
   * comes in between.
   * @throws ApiError `step_up_required`, to API tokens always
   */
  return async ({ userId, sessionId }: Caller, within?: Queryable): Promise<void> => {
    const ask = (database: Queryable) =>
      isFreshSession(database, { userId, id: sessionId, seconds: stepUpSeconds });
    const isFresh = await (within === undefined ? asTenant(pool, { userId }, ask) : ask(within));
    if (isFresh) return;
    throw new ApiError("step_up_required", "prove who you are with POST /api/auth/step-up first");
  };
}
/** Answers a check for what a password alone must not be enough for. It asks the database, as the one above. */
export function createTwoFactorCheck({ pool }: Pick<StepUpDeps, "pool">) {
  /** @throws ApiError `second_factor_required` */
  return async ({ userId, sessionId }: Caller): Promise<void> => {
    const hasShown = await asTenant(pool, { userId }, (database) =>
      isTwoFactorSession(database, { userId, id: sessionId }),
    );
    if (hasShown) return;
    throw new ApiError(
      "second_factor_required",
      "enrol an authenticator app or a passkey, then show it with POST /api/auth/step-up",
    );
  };
}
export type RequireTwoFactors = ReturnType<typeof createTwoFactorCheck>;

export type RequireStepUp = ReturnType<typeof createStepUp>;
