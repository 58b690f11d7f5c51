import { MarketSymbol, Risk, type TradingBot } from "@tradingbots/crds";
import { z } from "zod";
import type { Caller } from "../auth/user.ts";
import { findBot, patchBot } from "../bots/change-bot.ts";
import { type BotDeps, createBot } from "../bots/create-bot.ts";
import { ApiError } from "../errors.ts";
import { newId } from "../id.ts";
import { findDefaultBotId, onlyAccount } from "./default-bot.ts";

const { leverage, balancePercent, takeProfitPercent, stopLossPercent, minConfidence } = Risk.shape;

/** The old robot's settings, with its names; the limits and defaults are those of every bot. */
export const RobotConfig = z
  .strictObject({
    symbol: MarketSymbol.default("BTC/USDT:USDT"),
    leverage,
    balance_percent: balancePercent,
    tp_percent: takeProfitPercent,
    sl_percent: stopLossPercent,
    min_confidence: minConfidence,
    auto_trade: z.boolean().default(false),
  })
  .meta({
    examples: [
      {
        symbol: "BTC/USDT:USDT",
        leverage: 10,
        balance_percent: 90,
        tp_percent: 2,
        sl_percent: 1,
        min_confidence: 60,
        auto_trade: true,
      },
    ],
  });
export type RobotConfig = z.infer<typeof RobotConfig>;

/** The default bot's settings, or the defaults before there is one. */
export async function readConfig(deps: BotDeps, caller: Caller): Promise<RobotConfig> {
  const id = await findDefaultBotId(deps, caller);
  if (id === undefined) return RobotConfig.parse({});
  return configOf((await findBot(deps, caller, id)).spec);
}

/** Gives the default bot these settings; the first time it is made, Stopped, on the user's only account. */
export async function writeConfig(
  deps: BotDeps,
  caller: Caller,
  config: RobotConfig,
): Promise<RobotConfig> {
  const id = await findDefaultBotId(deps, caller);
  const bot =
    id === undefined
      ? await createDefaultBot(deps, caller, config)
      : await patchBot(deps, caller, { id, patch: patchOf(config) });
  return configOf(bot.spec);
}

async function createDefaultBot(
  deps: BotDeps,
  caller: Caller,
  config: RobotConfig,
): Promise<TradingBot> {
  const account = await onlyAccount(deps, caller);
  const { risk, ...settings } = patchOf(config);
  return createBot(deps, caller, {
    ...settings,
    id: newId("bot"),
    displayName: "Robot",
    accountId: account.metadata.name,
    mode: account.spec.testnet ? "testnet" : "live",
    timeframe: "1m",
    strategy: { name: "rsi", params: {} },
    risk: Risk.parse(risk),
    state: "Stopped",
    isDefault: true,
  });
}

/** @throws ApiError `config_required` before the first configuration */
export async function requireDefaultBotId(deps: BotDeps, caller: Caller): Promise<string> {
  const id = await findDefaultBotId(deps, caller);
  if (id === undefined) throw new ApiError("config_required", "send PUT /api/robot/config first");
  return id;
}

/** The settings as those of any bot. */
export function patchOf(config: RobotConfig) {
  return {
    symbols: [config.symbol],
    risk: {
      leverage: config.leverage,
      balancePercent: config.balance_percent,
      takeProfitPercent: config.tp_percent,
      stopLossPercent: config.sl_percent,
      minConfidence: config.min_confidence,
    },
    autoTrade: config.auto_trade,
  };
}

function configOf({ symbols, risk, autoTrade }: TradingBot["spec"]): RobotConfig {
  return {
    symbol: symbols[0] ?? "",
    leverage: risk.leverage,
    balance_percent: risk.balancePercent,
    tp_percent: risk.takeProfitPercent,
    sl_percent: risk.stopLossPercent,
    min_confidence: risk.minConfidence,
    auto_trade: autoTrade,
  };
}
