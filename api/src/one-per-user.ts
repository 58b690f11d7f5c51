import { ApiError } from "./errors.ts";

/** Lets each user have one of something costly under way in this process. */
export function createOnePerUser(what: string) {
  const busy = new Set<string>();

  /**
   * Answers a function that ends the user's turn.
   * @throws ApiError `rate_limited` while another is under way
   */
  return (userId: string): (() => void) => {
    if (busy.has(userId)) {
      throw new ApiError("rate_limited", `one ${what} at a time`, { retryAfterSeconds: 1 });
    }
    busy.add(userId);
    return () => void busy.delete(userId);
  };
}
