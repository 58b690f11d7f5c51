import type { FastifyRequest } from "fastify";
import { z } from "zod";

/** What an API token may do. */
export const Scope = z.enum(["read", "trade", "accounts"]);
export type Scope = z.infer<typeof Scope>;

/**
 * For the schema of a route that API tokens of a scope may use: `{ tags, ...scoped("read"), … }`. Without it they may not, so that a
 * new route is closed to them until somebody opens it. What is described is what is checked.
 */
export function scoped(scope: Scope) {
  return { security: [{ accessToken: [] }, { apiToken: [scope] }] };
}

/** The scope that a route wants of API tokens; undefined where they may not go. */
export function scopeOf(request: Pick<FastifyRequest, "routeOptions">): Scope | undefined {
  const security = request.routeOptions.schema?.security ?? [];
  const wanted = security.flatMap((way) => way["apiToken"] ?? []);
  return Scope.safeParse(wanted[0]).data;
}
