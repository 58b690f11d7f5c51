import { asTenant, type Database } from "../database.ts";
import { ApiError } from "../errors.ts";
import { isFreshSession } from "./session-store.ts";
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
  /** @throws ApiError `step_up_required`, to API tokens always */
  return async ({ userId, sessionId }: Caller): Promise<void> => {
    const isFresh = await asTenant(pool, { userId }, (database) =>
      isFreshSession(database, { userId, id: sessionId, seconds: stepUpSeconds }),
    );
    if (isFresh) return;
    throw new ApiError("step_up_required", "prove who you are with POST /api/auth/step-up first");
  };
}
export type RequireStepUp = ReturnType<typeof createStepUp>;
