import { BotState } from "@tradingbots/crds";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { callerOf } from "../auth/authenticate.ts";
import { scoped } from "../auth/scopes.ts";
import type { Caller } from "../auth/user.ts";
import { setState } from "../bots/change-bot.ts";
import type { BotDeps } from "../bots/create-bot.ts";
import { pageOf, PageQuery } from "../page.ts";
import { FAILURE } from "../problem.ts";
import { pageOfTrades } from "../trades/page-of-trades.ts";
import type { TradeRow } from "../trades/trade-store.ts";
import { Balance, readBalance } from "./balance.ts";
import { readConfig, requireDefaultBotId, RobotConfig, writeConfig } from "./config.ts";
import { findDefaultBotId, latestReport } from "./default-bot.ts";

const RobotPosition = z.object({
  symbol: z.string(),
  side: z.enum(["long", "short"]),
  quantity: z.string(),
  entry_price: z.string(),
  unrealised_pnl: z.string(),
  stop_loss: z.string().nullable(),
  take_profit: z.string().nullable(),
  as_of: z.string(),
});
const RobotPositions = z.array(RobotPosition).meta({
  examples: [
    [
      {
        symbol: "BTC/USDT:USDT",
        side: "long",
        quantity: "0.025",
        entry_price: "100120.5",
        unrealised_pnl: "4.20",
        stop_loss: "99119.3",
        take_profit: "102122.9",
        as_of: "2026-01-01T12:00:05.000Z",
      },
    ],
  ],
});

const RobotTrade = z
  .object({
    id: z.string(),
    symbol: z.string(),
    side: z.enum(["long", "short"]),
    quantity: z.string(),
    entry_price: z.string(),
    exit_price: z.string().nullable(),
    pnl: z.string().nullable(),
    fees: z.string(),
    opened_at: z.string(),
    closed_at: z.string().nullable(),
    reason: z.string().nullable(),
  })
  .meta({
    examples: [
      {
        id: "6d93125c-e84b-8118-8b2a-59008f79977b",
        symbol: "BTC/USDT:USDT",
        side: "long",
        quantity: "0.025",
        entry_price: "100120.5",
        exit_price: "101122.0",
        pnl: "22.27",
        fees: "2.77",
        opened_at: "2026-01-01T12:00:01.250Z",
        closed_at: "2026-01-01T14:30:00.500Z",
        reason: "target",
      },
    ],
  });

const RobotState = z.object({ state: BotState }).meta({ examples: [{ state: "Running" }] });
const tags = ["robot"];

function schema<Answer extends Record<number, z.ZodType>>(summary: string, answer: Answer) {
  return { tags, ...scoped("read"), summary, response: { ...answer, ...FAILURE } };
}

/** /api/robot: the user's default bot with the names of the robot that came before. */
export function robotRoutes(deps: BotDeps): FastifyPluginAsyncZod {
  return async (app) => {
    app.get("/balance", { schema: schema("Balance, with its age", { 200: Balance }) }, (request) =>
      readBalance(deps, callerOf(request)),
    );

    app.get(
      "/positions",
      { schema: schema("Open positions, with their age", { 200: RobotPositions }) },
      (request) => readPositions(deps, callerOf(request)),
    );

    app.get(
      "/config",
      { schema: schema("Settings, or the defaults", { 200: RobotConfig }) },
      (request) => readConfig(deps, callerOf(request)),
    );

    app.put(
      "/config",
      {
        schema: {
          ...schema("Replace the settings; absent ones take their default", { 200: RobotConfig }),
          ...scoped("trade"),
          body: RobotConfig,
        },
      },
      (request) => writeConfig(deps, callerOf(request), request.body),
    );

    for (const [action, state] of [
      ["start", "Running"],
      ["stop", "Stopped"],
    ] as const) {
      const answer = schema(`Make the robot ${state}`, { 202: RobotState });
      const actionSchema = { ...answer, ...scoped("trade") };
      app.post(`/${action}`, { schema: actionSchema }, async (request, reply) => {
        const caller = callerOf(request);
        const id = await requireDefaultBotId(deps, caller);
        const bot = await setState(deps, caller, { id, state });
        return reply.code(202).send({ state: bot.spec.state });
      });
    }

    app.get(
      "/trades",
      {
        schema: {
          ...schema("The robot's trades, newest first", { 200: pageOf(RobotTrade) }),
          querystring: PageQuery,
        },
      },
      (request) => readTrades(deps, callerOf(request), request.query),
    );
  };
}

async function readPositions(deps: BotDeps, caller: Caller) {
  const botId = await findDefaultBotId(deps, caller);
  const report = botId === undefined ? undefined : await latestReport(deps, caller, botId);
  if (report === undefined) return [];
  return report.positions.map((position) => ({
    symbol: position.symbol,
    side: position.side,
    quantity: position.quantity,
    entry_price: position.entryPrice,
    unrealised_pnl: position.unrealisedPnl,
    stop_loss: position.stopLoss,
    take_profit: position.takeProfit,
    as_of: report.asOf,
  }));
}

async function readTrades({ pool }: BotDeps, caller: Caller, page: PageQuery) {
  const botId = await findDefaultBotId({ pool }, caller);
  if (botId === undefined) return { items: [], next: null };
  const { items, next } = await pageOfTrades(pool, page, { userId: caller.userId, botId });
  return { items: items.map(robotTrade), next };
}

function robotTrade({ opened_at, closed_at, ...row }: TradeRow) {
  return {
    ...row, // the schema lets no other field out
    opened_at: opened_at.toISOString(),
    closed_at: closed_at?.toISOString() ?? null,
  };
}
