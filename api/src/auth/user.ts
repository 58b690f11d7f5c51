import { z } from "zod";
import type { Scope } from "./scopes.ts";

export const Tier = z.enum(["free", "pro", "enterprise"]);
export type Tier = z.infer<typeof Tier>;

/** Addresses are compared without case, as every large provider does. */
export const Email = z.string().trim().toLowerCase().max(254).pipe(z.email());

/** Who makes a request, as the access token says. The tier is a hint: what it is now stands in the user's row. */
export interface Caller {
  readonly userId: string;
  readonly email: string;
  readonly tier: Tier;
  /** The log-in that the token belongs to, or the API token itself. */
  readonly sessionId: string;
  /** What an API token may do; undefined for a log-in, which may do everything. */
  readonly scopes?: readonly Scope[];
}
