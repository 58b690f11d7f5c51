import type { FastifyBaseLogger } from "fastify";
import { ApiError } from "../errors.ts";

/** Each takes two or three queries. */
const UNDER_WAY_MAX = 64;
const RETRY_AFTER_SECONDS = 5;

/**
 * Does work after its request has been answered, so that the time until the answer tells nothing about the work: not whether an
 * address is known.
 */
export function createAfterwards() {
  const underWay = new Set<Promise<void>>();

  return {
    /** @throws ApiError `login_overloaded` when too much is under way, whatever the work is about */
    run: (log: Pick<FastifyBaseLogger, "warn">, work: () => Promise<void>): void => {
      if (underWay.size >= UNDER_WAY_MAX) {
        const options = { retryAfterSeconds: RETRY_AFTER_SECONDS };
        throw new ApiError("login_overloaded", "try again in a few seconds", options);
      }
      const done = new Promise((resolve) => setImmediate(resolve))
        .then(work)
        .catch((error: unknown) => log.warn({ err: error }, "work after an answer failed"))
        .finally(() => underWay.delete(done));
      underWay.add(done);
    },
    /** Resolves when nothing is under way any more. */
    end: async (): Promise<void> => void (await Promise.all(underWay)),
  };
}
