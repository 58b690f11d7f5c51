import { ApiError } from "../errors.ts";
import { clientOf } from "../network.ts";
import { createRateLimiter } from "../rate-limit.ts";

const HOUR_MS = 3_600_000;
/** A class of pupils behind one address, and no army: each user may have bots. Also how fast it can be asked which addresses are taken. */
const REGISTRATIONS_PER_HOUR = 20;

/**
 * Counts who signs up from one address, or asks whether an e-mail address is taken, per process; none are counted where addresses have no limit.
 * @throws ApiError `rate_limited`
 */
export function limitRegistrations({
  now,
  requestsPerMinutePerAddress,
}: {
  readonly now: () => number;
  readonly requestsPerMinutePerAddress: number;
}) {
  const limiter = createRateLimiter(now, HOUR_MS);
  const limit = requestsPerMinutePerAddress === 0 ? 0 : REGISTRATIONS_PER_HOUR;
  return (address: string): void => {
    const { allowed, resetSeconds } = limiter.take(clientOf(address), limit);
    if (allowed) return;
    throw new ApiError("rate_limited", `an address may sign up ${limit} users an hour`, {
      retryAfterSeconds: resetSeconds,
    });
  };
}
