import { z } from "zod";
import { type Account, balancesOf } from "../account.ts";
import type { ApiKey, Exchange } from "../exchange.ts";
import { maintenanceMargins } from "../liquidation.ts";
import { type Decimal, text, ZERO } from "../money.ts";
import { type Endpoints, Linear, OptionalText, parse, replayedInstrument } from "./endpoint.ts";

const DAY_MS = 86_400_000;

const WalletQuery = z.object({ accountType: z.literal("UNIFIED"), coin: OptionalText });
const FeeQuery = z.object({ category: Linear, symbol: OptionalText });

export const accountEndpoints: Endpoints = {
  "GET /v5/user/query-api": {
    access: "private",
    answer: ({ key, exchange }) => keyView(key, exchange.clock.now()),
  },
  "GET /v5/account/info": {
    access: "private",
    answer: ({ exchange }) => ({
      marginMode: "REGULAR_MARGIN",
      updatedTime: `${exchange.clock.now()}`,
      // 6: unified trading account 2.0 pro.
      unifiedMarginStatus: 6,
      dcpStatus: "OFF",
      timeWindow: 10,
      smpGroup: 0,
      isMasterTrader: false,
      spotHedgingStatus: "OFF",
    }),
  },
  "GET /v5/account/wallet-balance": {
    access: "private",
    answer: ({ parameters, key, exchange }) => {
      parse(WalletQuery, parameters);
      return { list: [walletView(key.account, exchange)] };
    },
  },
  "GET /v5/account/fee-rate": {
    access: "private",
    answer: ({ parameters, exchange }) => {
      const { symbol } = parse(FeeQuery, parameters);
      const symbols =
        symbol === undefined
          ? exchange.market.symbols
          : [replayedInstrument(exchange, symbol).symbol];
      const rates = exchange.settings();
      const [takerFeeRate, makerFeeRate] = [text(rates.takerFeeRate), text(rates.makerFeeRate)];
      return {
        category: "linear",
        list: symbols.map((s) => ({ symbol: s, takerFeeRate, makerFeeRate })),
      };
    },
  },
  "GET /v5/asset/coin/query-info": {
    access: "private",
    answer: () => ({ rows: ["BTC", "ETH", "USDT"].map(coinView) }),
  },
};

function keyView(key: ApiKey, nowMs: number): object {
  return {
    id: `${key.account.userId}`,
    note: "exchange simulator",
    apiKey: key.apiKey,
    readOnly: key.readOnly ? 1 : 0,
    secret: "",
    permissions: key.permissions,
    ips: key.ips,
    type: 1,
    deadlineDay: Math.ceil((key.expiresMs - nowMs) / DAY_MS),
    expiredAt: isoSeconds(key.expiresMs),
    createdAt: isoSeconds(key.createdMs),
    unified: 0,
    uta: 1,
    userID: key.account.userId,
    inviterID: 0,
    vipLevel: "No VIP",
    mktMakerLevel: "0",
    affiliateID: 0,
    rsaPublicKey: "",
    isMaster: true,
    parentUid: "0",
    kycLevel: "LEVEL_DEFAULT",
    kycRegion: "",
  };
}

function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** The wallet as /v5/account/wallet-balance and the private stream show it. */
export function walletView(account: Account, exchange: Exchange): object {
  const balances = balancesOf(account, exchange.trading);
  const maintenance = maintenanceMargins(account, exchange.trading);
  const realised = [...account.positions.values()].reduce(
    (sum, position) => sum.plus(position.cumulativeRealised),
    ZERO,
  );
  const used = balances.positionMargin.plus(balances.orderMargin);
  const available = balances.available.isNegative() ? ZERO : balances.available;
  return {
    accountType: "UNIFIED",
    accountLTV: "0",
    accountIMRate: rate(used, balances.equity),
    accountMMRate: rate(maintenance, balances.equity),
    totalEquity: text(balances.equity),
    totalWalletBalance: text(balances.wallet),
    totalMarginBalance: text(balances.equity),
    totalAvailableBalance: text(available),
    totalPerpUPL: text(balances.unrealisedPnl),
    totalInitialMargin: text(used),
    totalMaintenanceMargin: text(maintenance),
    coin: [
      {
        coin: "USDT",
        equity: text(balances.equity),
        usdValue: text(balances.equity),
        walletBalance: text(balances.wallet),
        free: "",
        locked: "0",
        borrowAmount: "0",
        availableToBorrow: "",
        // Bybit deprecated this field for unified accounts and leaves it empty.
        availableToWithdraw: "",
        accruedInterest: "0",
        totalOrderIM: text(balances.orderMargin),
        totalPositionIM: text(balances.positionMargin),
        totalPositionMM: text(maintenance),
        unrealisedPnl: text(balances.unrealisedPnl),
        cumRealisedPnl: text(realised),
        bonus: "0",
        marginCollateral: true,
        collateralSwitch: true,
        spotHedgingQty: "0",
      },
    ],
  };
}

function rate(margin: Decimal, equity: Decimal): string {
  return equity.isPositive() && !equity.isZero() ? text(margin.div(equity).toDecimalPlaces(4)) : "";
}

function coinView(coin: string): object {
  const chain = {
    chainType: coin,
    confirmation: "1",
    withdrawFee: "",
    depositMin: "0",
    withdrawMin: "0",
  };
  const chains = [
    { ...chain, chain: coin, chainDeposit: "0", chainWithdraw: "0", minAccuracy: "8" },
  ];
  return { name: coin, coin, remainAmount: "0", chains };
}
