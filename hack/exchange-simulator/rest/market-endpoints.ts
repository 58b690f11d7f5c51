import { z } from "zod";
import { type Candle, turnoverOf } from "../candles.ts";
import { BybitError, RetCode } from "../bybit-error.ts";
import type { Exchange } from "../exchange.ts";
import { type Instrument, MINIMUM_ORDER_VALUE } from "../instruments.ts";
import { nextFundingTime } from "../funding.ts";
import { text, ZERO } from "../money.ts";
import {
  type Endpoints,
  OptionalMilliseconds,
  OptionalText,
  pageLimit,
  parse,
  replayedInstrument,
} from "./endpoint.ts";

/** Bybit takes all of these; the simulator's lists are empty except for linear. */
const Category = z.enum(["linear", "inverse", "spot", "option"]);

const InstrumentsQuery = z.object({
  category: Category,
  symbol: OptionalText,
  status: OptionalText,
});
const TickersQuery = z.object({ category: Category, symbol: OptionalText });
const KlineQuery = z.object({
  category: Category.default("linear"),
  symbol: z.string(),
  interval: z.string(),
  start: OptionalMilliseconds,
  end: OptionalMilliseconds,
  limit: pageLimit(1_000, 200),
});

export const marketEndpoints: Endpoints = {
  "GET /v5/market/time": {
    access: "public",
    answer: ({ exchange }) => {
      const nowMs = exchange.clock.now();
      return { timeSecond: `${Math.floor(nowMs / 1_000)}`, timeNano: `${nowMs}000000` };
    },
  },
  "GET /v5/market/instruments-info": {
    access: "public",
    answer: ({ parameters, exchange }) => {
      const { category, symbol, status } = parse(InstrumentsQuery, parameters);
      // Without a status Bybit lists what trades; a symbol whose delisting is announced still does.
      const views = symbolsOf(exchange, category, symbol).map((s) => ({
        ...instrumentView(replayedInstrument(exchange, s)),
        status: exchange.symbolStatus(s) === "Closed" ? "Closed" : "Trading",
      }));
      const list = views.filter((view) => view.status === (status ?? "Trading"));
      return { category, list, nextPageCursor: "" };
    },
  },
  "GET /v5/market/tickers": {
    access: "public",
    answer: ({ parameters, exchange }) => {
      const { category, symbol } = parse(TickersQuery, parameters);
      const symbols = symbolsOf(exchange, category, symbol);
      return { category, list: symbols.map((s) => tickerView(exchange, s)) };
    },
  },
  "GET /v5/market/kline": {
    access: "public",
    answer: ({ parameters, exchange }) => {
      const query = parse(KlineQuery, parameters);
      replayedInstrument(exchange, query.symbol);
      if (exchange.market.servedIntervalMs(query.interval) === undefined) {
        throw new BybitError(RetCode.invalidParameter, "params error: Invalid period!");
      }
      const candles = exchange.market.klines({ ...query, startMs: query.start, endMs: query.end });
      return { category: query.category, symbol: query.symbol, list: candles.map(klineView) };
    },
  },
};

function symbolsOf(
  exchange: Exchange,
  category: string,
  symbol: string | undefined,
): readonly string[] {
  if (category !== "linear") return [];
  if (symbol === undefined) return exchange.market.symbols;
  return [replayedInstrument(exchange, symbol).symbol];
}

function instrumentView(instrument: Instrument): object {
  const step = text(instrument.tickSize);
  return {
    symbol: instrument.symbol,
    contractType: "LinearPerpetual",
    baseCoin: instrument.baseCoin,
    quoteCoin: "USDT",
    launchTime: `${instrument.launchMs}`,
    deliveryTime: "0",
    deliveryFeeRate: "",
    priceScale: `${instrument.tickSize.decimalPlaces()}`,
    leverageFilter: {
      minLeverage: "1",
      maxLeverage: text(instrument.maximumLeverage),
      leverageStep: "0.01",
    },
    priceFilter: { minPrice: step, maxPrice: text(instrument.maximumPrice), tickSize: step },
    lotSizeFilter: {
      maxOrderQty: text(instrument.maximumQuantity),
      minOrderQty: text(instrument.minimumQuantity),
      qtyStep: text(instrument.quantityStep),
      postOnlyMaxOrderQty: text(instrument.maximumQuantity),
      maxMktOrderQty: text(instrument.maximumMarketQuantity),
      minNotionalValue: text(MINIMUM_ORDER_VALUE),
    },
    unifiedMarginTrade: true,
    fundingInterval: 480,
    settleCoin: "USDT",
    copyTrading: "none",
    upperFundingRate: "0",
    lowerFundingRate: "0",
    isPreListing: false,
    preListingInfo: null,
  };
}

function klineView(candle: Candle): readonly string[] {
  const { start, open, high, low, close, volume } = candle;
  return [`${start}`, open, high, low, close, volume, turnoverOf(candle)];
}

function tickerView(exchange: Exchange, symbol: string): object {
  const last = exchange.market.lastPrice(symbol);
  const price = text(last);
  const day = exchange.market.lastDay(symbol);
  return {
    symbol,
    lastPrice: price,
    indexPrice: price,
    markPrice: price,
    prevPrice24h: day.open,
    price24hPcnt: text(last.minus(day.open).div(day.open).toDecimalPlaces(6)),
    highPrice24h: day.high,
    lowPrice24h: day.low,
    prevPrice1h: price,
    openInterest: "0",
    openInterestValue: "0",
    turnover24h: turnoverOf(day),
    volume24h: day.volume,
    fundingRate: text(exchange.settings().fundingRates[symbol] ?? ZERO),
    // In replay time, as candles are.
    nextFundingTime: `${nextFundingTime(exchange.market.replayTime())}`,
    predictedDeliveryPrice: "",
    basisRate: "",
    deliveryFeeRate: "",
    deliveryTime: "0",
    ask1Size: "0",
    bid1Price: price,
    ask1Price: price,
    bid1Size: "0",
    basis: "",
  };
}
