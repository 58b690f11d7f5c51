import { Risk } from "@tradingbots/crds";
import { expect, test } from "vitest";
import { type Exposure, needsStepUp } from "./exposure.ts";

const bot = (
  mode: Exposure["mode"],
  risk: object = {},
  others: Partial<Pick<Exposure, "autoTrade" | "symbols">> = {},
): Exposure => ({
  mode,
  autoTrade: false,
  symbols: ["BTC/USDT:USDT"],
  ...others,
  risk: Risk.parse(risk),
});
const TRADING = bot("live", {}, { autoTrade: true });
const ANOTHER = bot("live", {}, { symbols: ["ETH/USDT:USDT"] });
const BOTH = bot("live", {}, { symbols: ["ETH/USDT:USDT", "BTC/USDT:USDT"] });

test.for<[name: string, before: Exposure | undefined, wanted: Exposure, needed: boolean]>([
  ["a new paper bot", undefined, bot("paper", { leverage: 50 }), false],
  ["a new testnet bot", undefined, bot("testnet"), false],
  ["a new live bot", undefined, bot("live"), true],
  ["from testnet to live", bot("testnet"), bot("live"), true],
  ["from live to testnet", bot("live"), bot("testnet"), false],
  ["live as before", bot("live"), bot("live"), false],
  ["live with lower leverage", bot("live"), bot("live", { leverage: 2 }), false],
  ["live with higher leverage", bot("live"), bot("live", { leverage: 11 }), true],
  ["live with a larger share", bot("live"), bot("live", { balancePercent: 91 }), true],
  ["live with larger positions", bot("live"), bot("live", { positionPercent: 6 }), true],
  ["live with a wider stop", bot("live"), bot("live", { stopLossPercent: 1.1 }), true],
  ["live with more loss a day", bot("live"), bot("live", { dailyLossPercent: 6 }), true],
  ["live with more errors", bot("live"), bot("live", { maxConsecutiveErrors: 6 }), true],
  ["live with a nearer target", bot("live"), bot("live", { takeProfitPercent: 1 }), false],
  ["live that begins to trade", bot("live"), TRADING, true],
  ["live that trades no more", TRADING, bot("live"), false],
  ["live on another market", bot("live"), ANOTHER, true],
  ["live on one market more", bot("live"), BOTH, true],
  ["live on one market less", BOTH, bot("live"), false],
  ["testnet with higher leverage", bot("testnet"), bot("testnet", { leverage: 50 }), false],
])("%s", ([, before, wanted, needed]) => {
  expect(needsStepUp({ wanted, ...(before === undefined ? {} : { before }) })).toBe(needed);
});
