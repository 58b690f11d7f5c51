import { BotClass, ExchangeAccount, TradingBot, TradingHalt } from "@tradingbots/crds";
import { customResource } from "@tradingbots/kube";

export const TRADING_BOTS = customResource(TradingBot);
export const EXCHANGE_ACCOUNTS = customResource(ExchangeAccount);
export const BOT_CLASSES = customResource(BotClass);
export const TRADING_HALTS = customResource(TradingHalt);

/** Value of the label `app.kubernetes.io/managed-by`: by it the operator finds what it has made. */
export const MANAGED_BY = "tradingbots-operator";
