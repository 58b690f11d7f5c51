import { createHmac } from "node:crypto";
import { z } from "zod";
import { platform, type Trader } from "./trader.ts";

const RECEIVE_WINDOW_MS = "5000";
const Answer = z.object({ retCode: z.number(), retMsg: z.string() });

/**
 * What the owner of an account does at the exchange by hand, with their own key: one signed POST of Bybit's API v5.
 * Signature: HMAC-SHA256 over timestamp + key + receive window + body.
 */
export async function byHand(
  trader: Trader,
  path: string,
  body: Readonly<Record<string, unknown>>,
) {
  const timestamp = String(Date.now());
  const text = JSON.stringify(body);
  const signature = createHmac("sha256", trader.apiSecret)
    .update(timestamp + trader.apiKey + RECEIVE_WINDOW_MS + text)
    .digest("hex");
  const response = await fetch(platform.simulatorUrl + path, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "X-BAPI-API-KEY": trader.apiKey,
      "X-BAPI-TIMESTAMP": timestamp,
      "X-BAPI-RECV-WINDOW": RECEIVE_WINDOW_MS,
      "X-BAPI-SIGN": signature,
    },
    body: text,
  });
  const { retCode, retMsg } = Answer.parse(await response.json());
  if (retCode !== 0) throw new Error(`${path}: ${retCode} ${retMsg}`);
}

/** Takes the stop off a position, as nobody but its owner could. */
export async function removeStop(trader: Trader, symbol: string): Promise<void> {
  await byHand(trader, "/v5/position/trading-stop", {
    category: "linear",
    symbol,
    positionIdx: 0,
    tpslMode: "Full",
    stopLoss: "0",
  });
}

/** Sells a long position at the market. */
export async function closeByHand(trader: Trader, symbol: string, size: string): Promise<void> {
  await byHand(trader, "/v5/order/create", {
    category: "linear",
    symbol,
    side: "Sell",
    orderType: "Market",
    qty: size,
    reduceOnly: true,
    positionIdx: 0,
  });
}
