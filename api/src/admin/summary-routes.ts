import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { Tier } from "../auth/user.ts";
import type { Database } from "../database.ts";
import type { Kube } from "../kube.ts";
import { FAILURE } from "../problem.ts";
import { forRole } from "./administrator.ts";

const Summary = z
  .object({
    users: z.object({
      total: z.int(),
      disabled: z.int(),
      byTier: z.record(Tier, z.int()),
      loggedIn: z.int().describe("With a log-in that was used in the last 15 minutes."),
    }),
    accounts: z.int(),
    bots: z.object({
      total: z.int(),
      reporting: z.int().describe("Heard of in the last minute."),
    }),
    halts: z.object({ inForce: z.int(), laggards: z.int() }),
    audit: z.object({
      unchained: z.int().describe("Entries that wait for their place in the chain."),
      refusalsLastHour: z.int(),
    }),
  })
  .meta({
    examples: [
      {
        users: {
          total: 1_200,
          disabled: 3,
          byTier: { free: 900, pro: 250, enterprise: 50 },
          loggedIn: 140,
        },
        accounts: 1_100,
        bots: { total: 1_500, reporting: 1_480 },
        halts: { inForce: 1, laggards: 0 },
        audit: { unchained: 4, refusalsLastHour: 12 },
      },
    ],
  });

/** Counts, not sums of money: whoever runs the platform needs to know whether it works. */
const COUNTS = `
  select (select count(*)::int from users) as users,
         (select count(*)::int from users where disabled_at is not null) as disabled,
         (select count(*)::int from users where tier = 'free') as free,
         (select count(*)::int from users where tier = 'pro') as pro,
         (select count(*)::int from users where tier = 'enterprise') as enterprise,
         (select count(distinct user_id)::int from sessions
           where ended_at is null and rotated_at > now() - interval '15 minutes') as logged_in,
         (select count(*)::int from accounts where retired_at is null and gone_at is null) as accounts,
         (select count(*)::int from bots where retired_at is null and gone_at is null) as bots,
         (select count(*)::int from reports where received_at > now() - interval '1 minute') as reporting,
         (select count(*)::int from audit_unchained) as unchained,
         (select count(*)::int from audit
           where outcome = 'denied' and at > now() - interval '1 hour') as refusals`;

const Counts = z.object({
  users: z.int(),
  disabled: z.int(),
  free: z.int(),
  pro: z.int(),
  enterprise: z.int(),
  logged_in: z.int(),
  accounts: z.int(),
  bots: z.int(),
  reporting: z.int(),
  unchained: z.int(),
  refusals: z.int(),
});

/** GET /api/admin/summary */
export function adminSummaryRoutes({
  adminPool,
  kube,
}: {
  readonly adminPool: Database;
  readonly kube: Pick<Kube, "halts">;
}): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "",
      {
        schema: {
          ...forRole("viewer"),
          tags: ["admin"],
          summary: "The platform in numbers",
          response: { 200: Summary, ...FAILURE },
        },
      },
      async () => {
        const [{ rows }, halts] = await Promise.all([adminPool.query(COUNTS), kube.halts.list()]);
        const now = Counts.parse(rows[0]);
        const inForce = halts.filter(({ spec }) => !spec.lifted);
        return {
          users: {
            total: now.users,
            disabled: now.disabled,
            byTier: { free: now.free, pro: now.pro, enterprise: now.enterprise },
            loggedIn: now.logged_in,
          },
          accounts: now.accounts,
          bots: { total: now.bots, reporting: now.reporting },
          halts: {
            inForce: inForce.length,
            laggards: inForce.flatMap(({ status }) => status?.laggards ?? []).length,
          },
          audit: { unchained: now.unchained, refusalsLastHour: now.refusals },
        };
      },
    );
  };
}
