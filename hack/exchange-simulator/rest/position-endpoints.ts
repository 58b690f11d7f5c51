import { z } from "zod";
import { type Account, balancesOf, positionOf } from "../account.ts";
import { BybitError, RetCode } from "../bybit-error.ts";
import type { Exchange } from "../exchange.ts";
import { instrumentOf } from "../instruments.ts";
import { listedSight, type PositionSight, protectionOf } from "../late-positions.ts";
import { liquidationPrice } from "../liquidation.ts";
import { initialMargin, maintenanceMargin } from "../margin.ts";
import { Decimal, isMultipleOf, optionalText, text } from "../money.ts";
import type { Protection } from "../order.ts";
import { protectionRefusal } from "../order-checks.ts";
import { averagePrice, sideOf, unrealisedPnl } from "../position.ts";
import { protectPosition } from "../trading.ts";
import {
  checkPositionIndex,
  DecimalParameter,
  type Endpoints,
  Linear,
  OptionalDecimal,
  OptionalText,
  parse,
  type PrivateCall,
  replayedInstrument,
} from "./endpoint.ts";

const LEVERAGE_STEP = new Decimal("0.01");

const PositionsQuery = z.object({
  category: Linear,
  symbol: OptionalText,
  settleCoin: OptionalText,
});
const SetLeverage = z.object({
  category: Linear,
  symbol: z.string(),
  buyLeverage: DecimalParameter,
  sellLeverage: DecimalParameter,
});
/** 0: one-way, 3: both sides. The simulator switches the whole account, whichever symbol or coin is named. */
const PositionMode = z.coerce.number().pipe(z.union([z.literal(0), z.literal(3)]));
const SwitchMode = z.object({
  category: Linear,
  symbol: OptionalText,
  coin: OptionalText,
  mode: PositionMode,
});
const LastPrice = z.enum(["", "LastPrice"], "only LastPrice is simulated").optional();
const TradingStop = z.object({
  category: Linear,
  symbol: z.string(),
  takeProfit: OptionalDecimal,
  stopLoss: OptionalDecimal,
  positionIdx: z.coerce.number().int().default(0),
  tpTriggerBy: LastPrice,
  slTriggerBy: LastPrice,
  tpslMode: z.enum(["", "Full"], "only Full is simulated").optional(),
  trailingStop: z.enum(["", "0"], "trailing stops are not simulated").optional(),
  tpOrderType: z.enum(["", "Market"], "only Market is simulated").optional(),
  slOrderType: z.enum(["", "Market"], "only Market is simulated").optional(),
});

export const positionEndpoints: Endpoints = {
  "GET /v5/position/list": {
    access: "private",
    answer: ({ parameters, key, exchange }) => {
      const { symbol, settleCoin } = parse(PositionsQuery, parameters);
      const { account } = key;
      const symbols = selectedSymbols(account, { symbol, settleCoin }, exchange);
      const views = symbols
        .map((each) => listedSight(account, each, exchange.trading))
        .map((sight) => positionView(account, sight, exchange));
      // In hedge mode a symbol has a long and a short position.
      const list = account.hedgeMode
        ? views.flatMap((view) => [1, 2].map((positionIdx) => ({ ...view, positionIdx })))
        : views;
      return { category: "linear", list, nextPageCursor: "" };
    },
  },
  "POST /v5/position/set-leverage": { access: "trade", answer: setLeverage },
  "POST /v5/position/trading-stop": { access: "trade", answer: setTradingStop },
  "POST /v5/position/switch-mode": {
    access: "trade",
    answer: ({ parameters, key }) => {
      switchMode(key.account, parse(SwitchMode, parameters).mode === 3);
      return {};
    },
  },
};

/** https://bybit-exchange.github.io/docs/v5/position/position-mode: not while there are positions or open orders. */
function switchMode(account: Account, hedgeMode: boolean): void {
  if (account.hedgeMode === hedgeMode) {
    throw new BybitError(RetCode.positionModeNotModified, "Position mode is not modified");
  }
  if ([...account.positions.values()].some(({ holding }) => !holding.size.isZero())) {
    const message = "You have an existing position, so the position mode cannot be switched";
    throw new BybitError(RetCode.positionBlocksModeSwitch, message);
  }
  if (account.openOrders.size > 0) {
    const message = "You have existing open orders, so the position mode cannot be switched";
    throw new BybitError(RetCode.ordersBlockModeSwitch, message);
  }
  account.hedgeMode = hedgeMode;
}

/** One symbol: its position even when flat. All of a settle coin: those that are shown as open. */
function selectedSymbols(
  account: Account,
  asked: { readonly symbol: string | undefined; readonly settleCoin: string | undefined },
  exchange: Exchange,
): readonly string[] {
  if (asked.symbol !== undefined) return [replayedInstrument(exchange, asked.symbol).symbol];
  if (asked.settleCoin === undefined) {
    throw new BybitError(
      RetCode.invalidParameter,
      "params error: Missing some parameters that must be filled in, symbol or settleCoin",
    );
  }
  if (asked.settleCoin !== "USDT") return [];
  return [...account.positions.keys()].filter(
    (symbol) => !listedSight(account, symbol, exchange.trading).holding.size.isZero(),
  );
}

function setLeverage({ parameters, key, exchange }: PrivateCall): object {
  const { symbol, buyLeverage, sellLeverage } = parse(SetLeverage, parameters);
  const instrument = replayedInstrument(exchange, symbol);
  if (!buyLeverage.eq(sellLeverage)) {
    throw new BybitError(RetCode.invalidParameter, "buy leverage not equal sell leverage");
  }
  if (buyLeverage.lt(1) || !isMultipleOf(buyLeverage, LEVERAGE_STEP)) {
    throw new BybitError(RetCode.invalidParameter, "leverage invalid");
  }
  if (buyLeverage.gt(instrument.maximumLeverage)) {
    const most = text(instrument.maximumLeverage);
    throw new BybitError(
      RetCode.leverageAboveRiskLimit,
      `cannot set leverage [${text(buyLeverage)}] gt maxLeverage [${most}] by risk limit`,
    );
  }
  const position = positionOf(key.account, symbol);
  if (position.leverage.eq(buyLeverage)) {
    throw new BybitError(RetCode.leverageNotModified, "leverage not modified");
  }
  const before = position.leverage;
  position.leverage = buyLeverage;
  const overdrawn = balancesOf(key.account, exchange.trading).available.isNegative();
  if (overdrawn && buyLeverage.lt(before)) {
    position.leverage = before;
    throw new BybitError(RetCode.insufficientMargin, "available margin is insufficient");
  }
  key.account.publish({ kind: "position", symbol });
  return {};
}

function setTradingStop({ parameters, key, exchange }: PrivateCall): object {
  const { symbol, takeProfit, stopLoss, positionIdx } = parse(TradingStop, parameters);
  const instrument = replayedInstrument(exchange, symbol);
  const side = sideOf(positionOf(key.account, symbol).holding);
  checkPositionIndex(key.account, positionIdx);
  if (side === "") {
    throw new BybitError(RetCode.invalidParameter, "can not set tp/sl/ts for zero position");
  }
  const protection = { takeProfit, stopLoss };
  const base = exchange.market.lastPrice(symbol);
  const refusal = protectionRefusal({ protection, side, base }, instrument);
  if (refusal !== undefined) throw new BybitError(refusal.retCode, refusal.message);
  const levels = () => JSON.stringify(levelsText(protectionOf(key.account, symbol)));
  const before = levels();
  protectPosition(key.account, { symbol, ...protection }, exchange.trading);
  if (levels() === before) {
    throw new BybitError(RetCode.notModified, "not modified");
  }
  return {};
}

function levelsText({ takeProfit, stopLoss }: Protection) {
  return { takeProfit: optionalText(takeProfit), stopLoss: optionalText(stopLoss) };
}

/** A position as /v5/position/list shows it. */
export function positionView(
  account: Account,
  { symbol, holding, protection }: PositionSight,
  exchange: Exchange,
) {
  const position = positionOf(account, symbol);
  const { leverage } = position;
  const side = sideOf(holding);
  const mark = exchange.market.lastPrice(symbol);
  const open = side !== "";
  const terms = { leverage, takerFeeRate: exchange.settings().takerFeeRate };
  return {
    symbol,
    positionIdx: 0,
    riskId: 1,
    riskLimitValue: "2000000",
    side,
    size: text(holding.size.abs()),
    avgPrice: text(averagePrice(holding) ?? new Decimal(0)),
    positionValue: open ? text(holding.entryValue) : "",
    tradeMode: 0,
    positionStatus: "Normal",
    autoAddMargin: 0,
    adlRankIndicator: open ? 2 : 0,
    leverage: text(leverage),
    positionBalance: "0",
    markPrice: text(mark),
    liqPrice: open ? shownLiquidationPrice(account, symbol, exchange) : "",
    bustPrice: "",
    positionIM: open ? text(initialMargin(side, holding.entryValue, terms)) : "",
    positionMM: open ? text(maintenanceMargin(side, holding.entryValue, terms)) : "",
    tpslMode: "Full",
    ...levelsText(protection),
    trailingStop: "0",
    unrealisedPnl: open ? text(unrealisedPnl(holding, mark)) : "",
    curRealisedPnl: text(position.currentRealised),
    cumRealisedPnl: text(position.cumulativeRealised),
    sessionAvgPrice: "",
    seq: position.sequence,
    isReduceOnly: false,
    mmrSysUpdatedTime: "",
    leverageSysUpdatedTime: "",
    createdTime: `${position.createdMs}`,
    updatedTime: `${position.updatedMs}`,
  };
}

/** For a cross margin account an estimate; "" when no price liquidates it, and while liquidation is off. */
function shownLiquidationPrice(account: Account, symbol: string, exchange: Exchange): string {
  if (!exchange.settings().liquidation) return "";
  const price = liquidationPrice(account, symbol, exchange.trading);
  const { tickSize, maximumPrice } = instrumentOf(symbol);
  if (price === undefined || price.lte(tickSize) || price.gte(maximumPrice)) return "";
  return text(price.toNearest(tickSize));
}
