import { DnsLabel, MarketSymbol } from "@tradingbots/crds";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { callerOf } from "../auth/authenticate.ts";
import { scoped } from "../auth/scopes.ts";
import { asTenant, type Database } from "../database.ts";
import { invalidField } from "../errors.ts";
import { FAILURE } from "../problem.ts";
import { createOnePerUser } from "../one-per-user.ts";
import { requireBot } from "./require-bot.ts";
import { type SumRow, type Sums, sumsOf } from "./statistics-store.ts";

const DAY_MS = 86_400_000;
const DAYS_DEFAULT = 90;
/** What is added up in one request. */
const DAYS_MAX = 366;
/** Doubles know a mean to some 16 digits. */
const ROUNDING = 1e-12;
/** Crypto markets have no days off. */
const DAYS_A_YEAR = 365;

const Query = z.strictObject({
  botId: DnsLabel.optional(),
  symbol: MarketSymbol.optional(),
  from: z.iso
    .datetime({ offset: true })
    .optional()
    .describe(`Closed at or after; ${DAYS_DEFAULT} days before \`to\` by default.`),
  to: z.iso.datetime({ offset: true }).optional().describe("Closed before; now by default."),
});

const Part = { trades: z.int(), won: z.int(), pnl: z.string() };

const Statistics = z
  .object({
    from: z.string(),
    to: z.string(),
    trades: z.int(),
    won: z.int(),
    winRate: z.number().nullable().describe("Share of trades with a gain, 0 to 1."),
    pnl: z.string().describe("After fees, with funding."),
    fees: z.string(),
    funding: z.string(),
    profitFactor: z.number().nullable().describe("Gains over losses; null without losses."),
    maxDrawdown: z.string().describe("Deepest fall of the running result."),
    sharpe: z
      .number()
      .nullable()
      .describe(
        "Of daily results in UTC, by the year; null for less than two days, or when all are alike.",
      ),
    bySymbol: z.array(z.object({ symbol: z.string(), ...Part })),
    byDay: z.array(z.object({ day: z.iso.date(), ...Part })).describe("Days with trades, in UTC."),
  })
  .meta({
    id: "Statistics",
    examples: [
      {
        from: "2025-10-03T12:00:00.000Z",
        to: "2026-01-01T12:00:00.000Z",
        trades: 3,
        won: 2,
        winRate: 0.6666666666666666,
        pnl: "31.10",
        fees: "8.12",
        funding: "-0.35",
        profitFactor: 4.11,
        maxDrawdown: "10.00",
        sharpe: 1.8,
        bySymbol: [{ symbol: "BTC/USDT:USDT", trades: 3, won: 2, pnl: "31.10" }],
        byDay: [
          { day: "2025-12-30", trades: 1, won: 0, pnl: "-10.00" },
          { day: "2025-12-31", trades: 2, won: 2, pnl: "41.10" },
        ],
      },
    ],
  });

interface StatisticsDeps {
  readonly pool: Database;
  readonly now: () => number;
}

/** GET /api/trades/statistics */
export function statisticsRoutes({ pool, now }: StatisticsDeps): FastifyPluginAsyncZod {
  const schema = {
    tags: ["trades"],
    ...scoped("read"),
    summary: "What my closed trades add up to",
    querystring: Query,
    response: { 200: Statistics, ...FAILURE },
  };
  const begin = createOnePerUser("sum of trades");
  return async (app) => {
    app.get("/statistics", { schema }, async (request) => {
      const { userId } = callerOf(request);
      const { botId, symbol } = request.query;
      const range = rangeOf(request.query, now());
      const end = begin(userId);
      try {
        const filter = { userId, botId, symbol, ...range };
        const sums = await asTenant(pool, { userId }, async (database) => {
          await requireBot(database, userId, botId);
          return sumsOf(database, filter);
        });
        return statistics(range, sums);
      } finally {
        end();
      }
    });
  };
}

interface Range {
  readonly from: Date;
  readonly to: Date;
}

function rangeOf(query: z.infer<typeof Query>, nowMs: number): Range {
  const to = query.to === undefined ? new Date(nowMs) : new Date(query.to);
  const from =
    query.from === undefined
      ? new Date(to.getTime() - DAYS_DEFAULT * DAY_MS)
      : new Date(query.from);
  if (from >= to) throw invalidField("from", "must be before `to`");
  if (to.getTime() - from.getTime() > DAYS_MAX * DAY_MS) {
    throw invalidField("from", `at most ${DAYS_MAX} days before \`to\``);
  }
  return { from, to };
}

function statistics({ from, to }: Range, { totals, bySymbol, byDay }: Sums) {
  const { trades, won, pnl, fees, funding, gains, losses, max_drawdown } = totals;
  return {
    from: from.toISOString(),
    to: to.toISOString(),
    trades,
    won,
    winRate: trades === 0 ? null : won / trades,
    pnl,
    fees,
    funding,
    profitFactor: Number(losses) === 0 ? null : Number(gains) / Number(losses),
    maxDrawdown: max_drawdown,
    sharpe: sharpeRatio(byDay.map((row) => ({ day: row.part ?? "", pnl: Number(row.pnl) }))),
    bySymbol: bySymbol.map((row) => ({ symbol: row.part ?? "", ...partOf(row) })),
    byDay: byDay.map((row) => ({ day: row.part ?? "", ...partOf(row) })),
  };
}

function partOf({ trades, won, pnl }: SumRow) {
  return { trades, won, pnl };
}

/**
 * Sharpe's ratio of daily results, annualised: mean ÷ standard deviation of the sample × √365 (W. F. Sharpe, "The Sharpe
 * Ratio", 1994, with a riskless return of zero). Days between the first and the last without a trade count as zero.
 * @param days in order, each with its result
 * @returns null for less than two days, or when all are alike but for rounding
 */
export function sharpeRatio(
  days: readonly { readonly day: string; readonly pnl: number }[],
): number | null {
  const [first, last] = [days.at(0), days.at(-1)];
  if (first === undefined || last === undefined) return null;
  const count = (Date.parse(last.day) - Date.parse(first.day)) / DAY_MS + 1;
  if (count < 2) return null;
  const mean = days.reduce((sum, { pnl }) => sum + pnl, 0) / count;
  const ofTraded = days.reduce((sum, { pnl }) => sum + (pnl - mean) ** 2, 0);
  const variance = (ofTraded + (count - days.length) * mean ** 2) / (count - 1);
  return variance <= (mean * ROUNDING) ** 2
    ? null
    : (mean / Math.sqrt(variance)) * Math.sqrt(DAYS_A_YEAR);
}
