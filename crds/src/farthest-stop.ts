/**
 * How far a stop may be from the entry price, in percent of it: this share of the way to liquidation, which is what the margin
 * is less what must remain of it, 100 / leverage − maintenance. The rest is for fees, slippage and other prices than the last
 * one. https://www.bybit.com/en/help-center/article/Liquidation-Price-USDT-Contract
 *
 * A bot's specification is held to it with the least maintenance of any contract, the bot's risk gate with that of the
 * contract: a specification that is accepted trades wherever a contract allows it.
 */
export const LIQUIDATION_SHARE = 0.8;
/** Percent of the entry price: that of contracts with leverage up to 100, the most that a specification may ask for. */
export const LEAST_MAINTENANCE_PERCENT = 0.5;
