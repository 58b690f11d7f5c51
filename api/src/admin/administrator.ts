import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { callerOf } from "../auth/authenticate.ts";
import { atMostOne, type Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";

/** Each may do what those before it may. */
export const Role = z.enum(["viewer", "operator", "admin"]);
export type Role = z.infer<typeof Role>;

/** Who acts for others. */
export interface Administrator {
  readonly userId: string;
  readonly role: Role;
}

const administrators = new WeakMap<FastifyRequest, Administrator>();

/** Who makes the request. Only for routes behind `requireRole`. */
export function administratorOf(request: FastifyRequest): Administrator {
  const administrator = administrators.get(request);
  if (administrator === undefined) throw new Error(`${request.url} is not behind requireRole`);
  return administrator;
}

/** For the schema of every route of the admin API: the least role that may use it. The description shows it. */
export function forRole(role: Role): { readonly "x-role": Role } {
  return { "x-role": role };
}

/**
 * A hook for routes that say `forRole`. The role is asked of the database each time: such requests are few, and whoever loses
 * it has lost it at once. To all others there is nothing here.
 */
export function requireRole(adminPool: Queryable) {
  return async (request: FastifyRequest): Promise<void> => {
    const { userId } = callerOf(request);
    const role = await roleOf(adminPool, userId);
    const wanted = wantedRole(request.routeOptions.schema);
    if (role === undefined) {
      throw new ApiError(
        "not_found",
        `${request.method} ${request.url.split("?", 1)[0]} is no path`,
      );
    }
    if (!suffices(role, wanted))
      throw new ApiError("role_missing", `this needs the role ${wanted}`);
    administrators.set(request, { userId, role });
  };
}

/** @throws Error for a route that does not say who may use it */
export function wantedRole(schema: unknown): Role {
  return z.object({ "x-role": Role }).parse(schema)["x-role"];
}

function suffices(role: Role, wanted: Role): boolean {
  return Role.options.indexOf(role) >= Role.options.indexOf(wanted);
}

/**
 * Waits until nobody else changes who may do what, and makes sure that the administrator still may: of two who disable each other
 * one comes first. As nobody disables themselves, an admin is left always. In the change's transaction.
 * @throws ApiError `role_missing`
 */
export async function holdRole(
  database: Queryable,
  { userId, role }: Administrator,
): Promise<void> {
  await lockRoles(database);
  if ((await roleOf(database, userId)) !== role) {
    throw new ApiError("role_missing", "your role has just been changed");
  }
}

/** One change of who may do what after the other; until the end of the transaction. */
export async function lockRoles(database: Queryable): Promise<void> {
  await database.query("select pg_advisory_xact_lock(hashtextextended('administrators', 0))");
}

async function roleOf(database: Queryable, userId: string): Promise<Role | undefined> {
  const { rows } = await database.query<{ role: Role | null }>(
    "select role from users where id = $1 and disabled_at is null",
    [userId],
  );
  return atMostOne(rows)?.role ?? undefined;
}

/** Whether the user has a role, also while disabled: whoever has one cannot be erased. */
export async function hasRole(database: Queryable, userId: string): Promise<boolean> {
  const { rowCount } = await database.query(
    "select from users where id = $1 and role is not null",
    [userId],
  );
  return rowCount !== 0;
}
