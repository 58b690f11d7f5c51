import type { BenchBot } from "./bench-bots.ts";

const SYMBOL = "BTC/USDT:USDT";
const AT = "2026-01-02T03:04:05.678Z";
const HEX = 16;

/** The next `count` records of a bot as JSON, without the brackets: what a minute of trading tells, over and over. */
export function recordsOf(bot: BenchBot, count: number): string {
  const first = bot.sequence + 1;
  return Array.from({ length: count }, (_, index) => {
    const sequence = first + index;
    return `{"sequence":${sequence},"body":${bodyOf(bot, sequence)}}`;
  }).join(",");
}

function bodyOf({ id, epoch }: BenchBot, sequence: number): string {
  const order = `${id.slice(4, 12).padEnd(8, "0")}-0000-8000-8000-${Math.floor(sequence / 20)
    .toString(HEX)
    .padStart(12, "0")}`;
  const place = sequence % 20;
  if (place === 0) return report();
  if (place < 3) return orderOf(order, place === 1 ? "accepted" : "filled");
  if (place < 5) return fillOf(order, `${epoch}-${sequence}`);
  if (place < 6) return tradeOf(order);
  if (place < 13)
    return `{"type":"equity","equity":"1000.${sequence}","available":"900.5","currency":"USDT","at":"${AT}"}`;
  return `{"type":"event","kind":"signal","message":"rsi 28.4 below 30 on the 1m candle ${sequence}","at":"${AT}"}`;
}

function orderOf(order: string, status: string): string {
  return `{"type":"order","clientOrderId":"${order}","exchangeOrderId":"x-1","symbol":"${SYMBOL}","purpose":"entry","side":"buy","quantity":"0.010","status":"${status}","code":null,"message":null,"at":"${AT}"}`;
}

function fillOf(order: string, execution: string): string {
  return `{"type":"fill","executionId":"${execution}","clientOrderId":"${order}","tradeId":"${order}","symbol":"${SYMBOL}","purpose":"entry","side":"buy","price":"60000.10","quantity":"0.005","fee":"0.165","feeCurrency":"USDT","at":"${AT}"}`;
}

/** `openedAt` may be a time that somebody wants to find again. */
export function tradeOf(order: string, openedAt = AT): string {
  return `{"type":"trade","trade":{"id":"${order}","symbol":"${SYMBOL}","side":"long","quantity":"0.010","entryPrice":"60000.10","exitPrice":null,"pnl":null,"fees":"0.33","funding":"0","openedAt":"${openedAt}","closedAt":null,"reason":null}}`;
}

function report(): string {
  return `{"type":"report","report":{"generation":1,"state":"Running","flat":true,"protected":true,"trading":true,"blocked":[],"positions":[],"balance":{"equity":"1000.10","available":"900.50","currency":"USDT"},"dayResult":null,"lastTradeAt":null,"halts":[],"leased":true,"consecutiveErrors":0,"asOf":"${AT}"}}`;
}
