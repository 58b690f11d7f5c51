import { DnsLabel } from "@tradingbots/crds";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { callerOf } from "../auth/authenticate.ts";
import { scoped } from "../auth/scopes.ts";
import { asTenant, type Database } from "../database.ts";
import { invalidField } from "../errors.ts";
import { FAILURE } from "../problem.ts";
import { equityBySteps } from "./equity-store.ts";
import { requireBot } from "./require-bot.ts";

const STEP_SECONDS = {
  "1m": 60,
  "5m": 300,
  "15m": 900,
  "1h": 3_600,
  "4h": 14_400,
  "1d": 86_400,
} as const;
/** Each costs one look at an index, whatever the bot has told: a chart is no wider. */
const POINTS_MAX = 1_000;
const POINTS_DEFAULT = 200;

const Query = z.strictObject({
  botId: DnsLabel,
  step: z.enum(["1m", "5m", "15m", "1h", "4h", "1d"]).default("1h"),
  from: z.iso
    .datetime({ offset: true })
    .optional()
    .describe(`${POINTS_DEFAULT} steps before \`to\` by default.`),
  to: z.iso.datetime({ offset: true }).optional().describe("Now by default; not part of it."),
});

const EquityCurve = z
  .object({
    from: z.string(),
    to: z.string(),
    points: z
      .array(
        z.object({
          at: z.string(),
          equity: z.string(),
          available: z.string(),
          currency: z.string(),
        }),
      )
      .describe("The last word of each step, oldest first; steps without one are left out."),
  })
  .meta({
    id: "EquityCurve",
    examples: [
      {
        from: "2026-01-01T12:00:00.000Z",
        to: "2026-01-01T14:00:00.000Z",
        points: [
          {
            at: "2026-01-01T12:59:58.000Z",
            equity: "10250.75",
            available: "9750.15",
            currency: "USDT",
          },
        ],
      },
    ],
  });

interface EquityDeps {
  readonly pool: Database;
  readonly now: () => number;
}

/** GET /api/equity */
export function equityRoutes({ pool, now }: EquityDeps): FastifyPluginAsyncZod {
  const schema = {
    tags: ["trades"],
    ...scoped("read"),
    summary: "How the equity of a bot's account went",
    querystring: Query,
    response: { 200: EquityCurve, ...FAILURE },
  };
  return async (app) => {
    app.get("/equity", { schema }, async (request) => {
      const { userId } = callerOf(request);
      const { botId } = request.query;
      const span = spanOf(request.query, now());
      const rows = await asTenant(pool, { userId }, async (database) => {
        await requireBot(database, userId, botId);
        return equityBySteps(database, { userId, botId, ...span });
      });
      return {
        from: span.from.toISOString(),
        to: span.to.toISOString(),
        points: rows.map((row) => ({ ...row, at: row.at.toISOString() })),
      };
    });
  };
}

function spanOf(query: z.infer<typeof Query>, nowMs: number) {
  const stepSeconds = STEP_SECONDS[query.step];
  const to = query.to === undefined ? new Date(nowMs) : new Date(query.to);
  const from =
    query.from === undefined
      ? new Date(to.getTime() - POINTS_DEFAULT * stepSeconds * 1_000)
      : new Date(query.from);
  if (from >= to) throw invalidField("from", "must be before `to`");
  if ((to.getTime() - from.getTime()) / 1_000 > POINTS_MAX * stepSeconds) {
    throw invalidField("from", `at most ${POINTS_MAX} steps before \`to\`: use a longer step`);
  }
  return { from, to, stepSeconds };
}
