import { BybitError, RetCode } from "../bybit-error.ts";
import type { Order } from "../order.ts";

const DAY_MS = 86_400_000;
/** Most that one question about the past covers. */
const RANGE_MS = 7 * DAY_MS;

interface AskedRange {
  readonly startTime?: number | undefined;
  readonly endTime?: number | undefined;
}

/**
 * The times that a question about the past covers: without any the last seven days, with one of them the seven days after the
 * start or before the end; Bybit's refusal for more
 * (https://bybit-exchange.github.io/docs/v5/order/execution, https://bybit-exchange.github.io/docs/v5/order/order-list).
 */
export function pastRange(
  { startTime, endTime }: AskedRange,
  nowMs: number,
): { readonly fromMs: number; readonly untilMs: number } {
  if (startTime === undefined && endTime === undefined)
    return { fromMs: nowMs - RANGE_MS, untilMs: Infinity };
  const untilMs = endTime ?? (startTime ?? 0) + RANGE_MS;
  const fromMs = startTime ?? untilMs - RANGE_MS;
  if (fromMs > untilMs || untilMs - fromMs > RANGE_MS)
    throw new BybitError(
      RetCode.invalidParameter,
      "params error: startTime and endTime must be at most 7 days apart",
    );
  return { fromMs, untilMs };
}

/**
 * Whether /v5/order/history still knows a closed order: one of which nothing was filled is forgotten after a day
 * (https://bybit-exchange.github.io/docs/v5/order/order-list).
 */
export function isRemembered(order: Order, nowMs: number): boolean {
  return !order.filledQuantity.isZero() || nowMs - order.updatedMs <= DAY_MS;
}
