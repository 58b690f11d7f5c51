import type { FastifyRequest } from "fastify";
import { recordAudit } from "../audit/record.ts";
import type { Queryable } from "../database.ts";

/** Where a request comes from. */
export type Origin = Pick<FastifyRequest, "id" | "ip">;

export interface Deed {
  readonly userId: string;
  /** Such as `password.change`. */
  readonly action: string;
  /** Such as `session/…`. */
  readonly object?: string | undefined;
  readonly details?: Readonly<Record<string, string | number | boolean>> | undefined;
}

/** Writes what users did with their own log-in into the audit; in the transaction of the deed. */
export async function noteDeed(database: Queryable, { id, ip }: Origin, deed: Deed): Promise<void> {
  const { userId } = deed;
  await recordAudit(database, {
    ...deed,
    actorKind: "user",
    actorId: userId,
    outcome: "done",
    address: ip,
    requestId: id,
  });
}
